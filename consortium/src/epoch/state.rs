//! Where every member stands on every signal, up to a size of the governance log: what an epoch is built of, and what the
//! next state is made of with the contributions since, instead of all that ever were. The two ways come to the same bytes.
//! A state is a member's own file, never sent; its last bytes are the hash of the others.

use crate::epoch::merge::{Admitted, Merge};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{
    Hashing, Sink, Texts, Written, check_magic, get, get_u16, get_u32, get_u64, malformed, put, sha256,
    text_of,
};
use crate::kind::MemberId;
use crate::limits::{EPOCH_ROWS_MAX, TEXT_AREA_BYTES_MAX};
use crate::signal::reputation::{Tallies, Tally, count};
use crate::signal::row::key_at;
use crate::signal::stand::{Claim, Outcome, Stand, Standing};
use crate::signal::{Key, Reason};

const MAGIC: &[u8; 8] = b"INTDSTAT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;
const ROW_BYTES: usize = 76;
const TALLY_BYTES: usize = 18;
const TRAILER_BYTES: usize = 24;
const HASH_BYTES: usize = 32;

/// A state that was checked, where its bytes lie.
#[derive(Debug, Clone)]
pub struct State<'a> {
    governance_size: u64,
    rows: &'a [u8],
    texts: &'a [u8],
    carried: Tallies,
}

impl<'a> State<'a> {
    /// Reads a state; checks every byte of it.
    ///
    /// # Errors
    /// `Corrupt` where the bytes are not those that were written; else as other readers, with the byte or the row.
    pub fn open(bytes: &'a [u8]) -> Result<State<'a>> {
        check_magic(bytes, MAGIC, VERSION, HEADER_BYTES + TRAILER_BYTES + HASH_BYTES)?;
        if get_u32(bytes, 12) != 0 {
            return Err(malformed(12, "expected 0"));
        }
        let hash_at = bytes.len() - HASH_BYTES;
        let end = hash_at - TRAILER_BYTES;
        let (rows, texts, tallies) = (get_u64(bytes, end), get_u64(bytes, end + 8), get_u64(bytes, end + 16));
        if rows > EPOCH_ROWS_MAX || texts > TEXT_AREA_BYTES_MAX as u64 || tallies > 1 << 16 {
            let message =
                format!("{rows} rows, {texts} bytes of text and {tallies} tallies: more than may be");
            return Err(Error::new(ErrorKind::TooLarge, message).at(Place::Byte(end as u64)));
        }
        let expected = HEADER_BYTES as u64 + rows * ROW_BYTES as u64 + texts + tallies * TALLY_BYTES as u64;
        if expected != end as u64 {
            return Err(malformed(
                end,
                format!("counts of {expected} bytes, the file has {end} before them"),
            ));
        }
        if sha256(&bytes[..hash_at]) != bytes[hash_at..] {
            return Err(Error::new(ErrorKind::Corrupt, "the state's bytes are not those that were written"));
        }
        let size = |n: u64| usize::try_from(n).expect("below the file's length");
        let (rows, rest) = bytes[HEADER_BYTES..end].split_at(size(rows) * ROW_BYTES);
        let (texts, tallies) = rest.split_at(size(texts));
        let carried = read_tallies(tallies)?;
        let state = State { governance_size: get_u64(bytes, 16), rows, texts, carried };
        state.check()?;
        Ok(state)
    }
    fn check(&self) -> Result<()> {
        let (mut before, mut text_at) = (None, 0);
        for (number, bytes) in self.rows.chunks_exact(ROW_BYTES).enumerate() {
            let at = |e: Error| e.at(Place::Row(number as u64));
            let (key, stand) = decode(bytes, self.texts).map_err(at)?;
            let text = stand.claim.map_or("", |claim| claim.text);
            let expected = if text.is_empty() { 0 } else { text_at };
            if before.is_some_and(|before| before >= (key, stand.member)) || get_u32(bytes, 72) != expected {
                return Err(at(Error::new(ErrorKind::Malformed, "out of order, or its text is")));
            }
            text_at += u32::try_from(text.len()).expect("a text's length has 16 bits");
            before = Some((key, stand.member));
        }
        match text_at as usize == self.texts.len() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Malformed, "text that is no row's")),
        }
    }
    /// Leaves of the governance log that it holds.
    pub fn governance_size(&self) -> u64 {
        self.governance_size
    }
    /// How many stands.
    pub fn len(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// What outcomes say of all contributors: of signals that have lapsed, and of those that have not.
    pub fn tallies(&self) -> Tallies {
        let mut tallies = self.carried.clone();
        let (mut groups, mut stands) = (self.groups(), Vec::new());
        while groups.next(&mut stands).is_some() {
            count(&stands, &mut tallies);
        }
        tallies
    }
    /// The signals that a member contributes now or did once, with where it stands: for the member's own overview, and for
    /// credit to contributors of confirmed signals.
    pub fn groups(&self) -> Groups<'a, '_> {
        Groups { state: self, next: 0 }
    }
    pub(crate) fn key(&self, row: usize) -> Option<(Key, MemberId)> {
        let bytes = self.rows.get(row * ROW_BYTES..(row + 1) * ROW_BYTES)?;
        Some((key_at(bytes).expect("the state was checked at opening"), MemberId(get_u16(bytes, 64))))
    }
    pub(crate) fn row(&self, row: usize) -> Option<(Key, Stand<'a>)> {
        let bytes = self.rows.get(row * ROW_BYTES..(row + 1) * ROW_BYTES)?;
        Some(decode(bytes, self.texts).expect("the state was checked at opening"))
    }
}

/// The signals of a state, ascending, each with all stands on it.
#[derive(Debug)]
pub struct Groups<'a, 's> {
    state: &'s State<'a>,
    next: usize,
}

impl<'a> Groups<'a, '_> {
    /// The next signal; `stands` becomes where members stand on it, ascending by member.
    pub fn next(&mut self, stands: &mut Vec<Stand<'a>>) -> Option<Key> {
        stands.clear();
        let (key, first) = self.state.row(self.next)?;
        stands.push(first);
        self.next += 1;
        while let Some((_, stand)) = self.state.row(self.next).filter(|(other, _)| *other == key) {
            stands.push(stand);
            self.next += 1;
        }
        Some(key)
    }
}

/// Merges a state and the contributions since (in any order) into the state at another size of the governance log, and
/// writes it to a sink. `alive` are the versions of the tag key at that size; signals of others lapse, and what outcomes say
/// of their contributors is carried. Without a state it begins from nothing.
///
/// # Errors
/// `Invalid` with the leaf for a contribution that is not of the leaves between, or numbers that do not rise; `TooLarge`;
/// what the sink says.
pub fn consolidate(
    state: Option<&State<'_>>,
    bodies: &[Admitted<'_>],
    alive: &[u32],
    governance_size: u64,
    sink: impl Sink,
) -> Result<Written> {
    crate::epoch::header::check_versions(alive)?;
    let mut merge = Merge::new(state, bodies, governance_size)?;
    let mut out = Hashing::new(sink);
    let (mut texts, mut rows) = (Texts::default(), 0u64);
    let mut carried = state.map_or_else(Tallies::new, |state| state.carried.clone());
    let mut header = [0; HEADER_BYTES];
    put(&mut header, 0, MAGIC);
    put(&mut header, 8, &VERSION.to_le_bytes());
    put(&mut header, 16, &governance_size.to_le_bytes());
    out.put(&header)?;
    let mut stands = Vec::new();
    while let Some(key) = merge.next(&mut stands) {
        if !key.is_open() && !alive.contains(&key.key_version) {
            count(&stands, &mut carried);
            continue;
        }
        rows += stands.len() as u64;
        if rows > EPOCH_ROWS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {EPOCH_ROWS_MAX} stands")));
        }
        for stand in &stands {
            out.put(&encode(&key, stand, &mut texts)?)?;
        }
    }
    out.put(texts.bytes())?;
    for (member, tally) in &carried {
        let mut bytes = [0; TALLY_BYTES];
        put(&mut bytes, 0, &member.0.to_le_bytes());
        put(&mut bytes, 2, &tally.confirmed.to_le_bytes());
        put(&mut bytes, 10, &tally.refuted.to_le_bytes());
        out.put(&bytes)?;
    }
    for count in [rows, texts.bytes().len() as u64, carried.len() as u64] {
        out.put(&count.to_le_bytes())?;
    }
    let hash = out.so_far()?;
    out.put(&hash)?;
    out.finish(rows)
}

fn read_tallies(bytes: &[u8]) -> Result<Tallies> {
    let mut tallies = Tallies::new();
    for bytes in bytes.chunks_exact(TALLY_BYTES) {
        let member = MemberId(get_u16(bytes, 0));
        if tallies.last_key_value().is_some_and(|(before, _)| *before >= member) {
            return Err(Error::new(ErrorKind::Malformed, "tallies out of order"));
        }
        tallies.insert(member, Tally { confirmed: get_u64(bytes, 2), refuted: get_u64(bytes, 10) });
    }
    Ok(tallies)
}

fn encode(key: &Key, stand: &Stand<'_>, texts: &mut Texts) -> Result<[u8; ROW_BYTES]> {
    let mut bytes = [0; ROW_BYTES];
    bytes[0] = key.kind as u8;
    bytes[1] = stand.standing as u8 | stand.outcome.map_or(0, |outcome| outcome as u8) << 2;
    put(&mut bytes, 4, &key.key_version.to_le_bytes());
    put(&mut bytes, 8, &key.tags.tag);
    put(&mut bytes, 24, &key.tags.exact);
    put(&mut bytes, 64, &stand.member.0.to_le_bytes());
    put(&mut bytes, 66, &stand.dispute.map_or(0, Reason::code).to_le_bytes());
    if let Some(claim) = &stand.claim {
        let (text_at, text_len) = texts.add(claim.text)?;
        put(&mut bytes, 2, &claim.reason.code().to_le_bytes());
        put(&mut bytes, 40, &claim.first_seen_ms.to_le_bytes());
        put(&mut bytes, 48, &claim.last_seen_ms.to_le_bytes());
        put(&mut bytes, 56, &claim.expires_ms.to_le_bytes());
        bytes[68] = claim.severity;
        put(&mut bytes, 70, &text_len.to_le_bytes());
        put(&mut bytes, 72, &text_at.to_le_bytes());
    }
    Ok(bytes)
}

fn decode<'a>(bytes: &[u8], texts: &'a [u8]) -> Result<(Key, Stand<'a>)> {
    let refuse = |message: &str| Err(Error::new(ErrorKind::Malformed, message));
    let standing = match bytes[1] & 3 {
        1 => Standing::Live,
        2 => Standing::Withdrawn,
        3 => Standing::Expired,
        _ => Standing::Never,
    };
    let outcome = match bytes[1] >> 2 {
        0 => None,
        1 => Some(Outcome::Confirmed),
        2 => Some(Outcome::FalseAlarm),
        _ => return refuse("an outcome that is not known here"),
    };
    let dispute = match get_u16(bytes, 66) {
        0 => None,
        code => Some(Reason::by_code(code)?),
    };
    if bytes[69] != 0 {
        return refuse("byte 69 is not zero");
    }
    let claim = match standing {
        Standing::Live => Some(Claim {
            reason: Reason::by_code(get_u16(bytes, 2))?,
            severity: bytes[68],
            first_seen_ms: get_u64(bytes, 40),
            last_seen_ms: get_u64(bytes, 48),
            expires_ms: get_u64(bytes, 56),
            text: text_of(texts, get_u32(bytes, 72), get_u16(bytes, 70))?,
        }),
        _ if get::<2>(bytes, 2) != [0; 2] || bytes[40..64] != [0; 24] || bytes[68..] != [0; 8] => {
            return refuse("a claim where none is live");
        }
        _ => None,
    };
    let stand = Stand { member: MemberId(get_u16(bytes, 64)), standing, claim, dispute, outcome };
    if stand.is_empty() {
        return refuse("a stand that says nothing");
    }
    Ok((key_at(bytes)?, stand))
}
