//! The first 80 bytes of a snapshot, which its delta has too: which epoch, when built, and how each kind is told.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{check_magic, get_u32, get_u64, malformed, put};
use crate::kind::{Kind, Privacy};
use crate::limits::TIME_MS_MAX;
use crate::signal::policy::bits_of;
use crate::signal::{Key, Policies, Policy};

pub(crate) const MAGIC: &[u8; 8] = b"INTDEPOC";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 80;
/// Slots for kinds, by their numbers; what has no kind is zero.
const SLOTS: usize = 10;
const NAMES_MEMBER: u8 = 1;

/// How a kind is told in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindShape {
    /// How much of an identifier is seen.
    pub privacy: Privacy,
    /// Bits of the tag: 0 open, 128 keyed, fewer oblivious.
    pub bits: u8,
    /// Whether rows say who contributed.
    pub names_member: bool,
}

impl From<&Policy> for KindShape {
    fn from(policy: &Policy) -> KindShape {
        KindShape { privacy: policy.privacy, bits: policy.bits, names_member: policy.names_member }
    }
}

/// A snapshot's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The epoch's number, from 1.
    pub number: u64,
    /// When it was built, in unix milliseconds: expiry is judged then.
    pub built_ms: u64,
    /// The versions of the tag key that are alive, ascending: one or two.
    pub key_versions: Vec<u32>,
    kinds: [Option<KindShape>; SLOTS],
}

impl Header {
    /// A header of the rules' kinds.
    ///
    /// # Errors
    /// `Invalid` for other than one or two rising versions from 1, number 0, a time after the year 9998.
    pub fn new(number: u64, built_ms: u64, key_versions: &[u32], policies: &Policies) -> Result<Header> {
        let mut kinds = [None; SLOTS];
        for (kind, policy) in policies.iter() {
            kinds[kind as usize] = Some(KindShape::from(policy));
        }
        let header = Header { number, built_ms, key_versions: key_versions.to_vec(), kinds };
        header.check()?;
        Ok(header)
    }
    fn check(&self) -> Result<()> {
        check_versions(&self.key_versions)?;
        if self.number == 0 || self.built_ms == 0 || self.built_ms > TIME_MS_MAX {
            let message = "an epoch's number is from 1, its time above 0 and before the year 9999";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
    /// How a kind is told; `None` where it is not shared.
    pub fn kind(&self, kind: Kind) -> Option<KindShape> {
        self.kinds[kind as usize]
    }
    /// All kinds that are shared, by number.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, KindShape)> {
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.kind(kind)?)))
    }
    /// That a key is of a kind and a version that this snapshot has, told as it says.
    pub(crate) fn check_key(&self, key: &Key) -> Result<KindShape> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        let Some(shape) = self.kind(key.kind) else {
            return refuse("of a kind that the header does not have");
        };
        let is_exact = key.tags.exact != [0; 16];
        let fits = match shape.privacy {
            Privacy::Open => key.is_open() && !is_exact,
            Privacy::Keyed => !key.is_open() && !is_exact,
            Privacy::Oblivious => !key.is_open() && is_exact && key.tags.is_cut_to(shape.bits),
        };
        if !fits {
            return refuse("told otherwise than the header says of its kind");
        }
        if !key.is_open() && !self.key_versions.contains(&key.key_version) {
            return refuse("under a version of the key that the header does not have");
        }
        Ok(shape)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        for (slot, shape) in self.kinds.iter().enumerate() {
            let Some(shape) = shape else { continue };
            let names = if shape.names_member { NAMES_MEMBER } else { 0 };
            put(&mut bytes, 16 + 4 * slot, &[shape.privacy as u8, shape.bits, names]);
        }
        let newest = self.key_versions.last().copied().unwrap_or_default();
        let older = if self.key_versions.len() == 2 { self.key_versions[0] } else { 0 };
        put(&mut bytes, 56, &older.to_le_bytes());
        put(&mut bytes, 60, &newest.to_le_bytes());
        put(&mut bytes, 64, &self.number.to_le_bytes());
        put(&mut bytes, 72, &self.built_ms.to_le_bytes());
        bytes
    }
    /// Reads the header at the beginning of a file; every byte must be as [`Header::encode`] writes it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Header> {
        check_magic(bytes, MAGIC, VERSION, HEADER_BYTES)?;
        let mut kinds = [None; SLOTS];
        for (slot, shape) in kinds.iter_mut().enumerate() {
            let at = 16 + 4 * slot;
            *shape = shape_at(bytes, at, slot)?;
        }
        let (older, newest) = (get_u32(bytes, 56), get_u32(bytes, 60));
        let key_versions = if older == 0 { vec![newest] } else { vec![older, newest] };
        let header = Header { number: get_u64(bytes, 64), built_ms: get_u64(bytes, 72), key_versions, kinds };
        header.check().map_err(|e| e.at(Place::Byte(56)))?;
        match bytes[..HEADER_BYTES] == header.encode() {
            true => Ok(header),
            false => Err(malformed(12, "a byte of the header that is not as it is written")),
        }
    }
}

fn shape_at(bytes: &[u8], at: usize, slot: usize) -> Result<Option<KindShape>> {
    let [privacy, bits, flags] = crate::fixed::get::<3>(bytes, at);
    let privacy = match privacy {
        0 => return Ok(None),
        number => Privacy::ALL.into_iter().find(|privacy| *privacy as u8 == number),
    };
    let privacy = privacy.ok_or_else(|| malformed(at, "expected a privacy level, 0 to 3"))?;
    let is_kind = u8::try_from(slot).is_ok_and(|number| Kind::by_number(number).is_ok());
    if !is_kind || !bits_of(privacy).contains(&bits) {
        return Err(malformed(
            at,
            format!("slot {slot}: {bits} bits for {privacy}, or no kind of this number"),
        ));
    }
    Ok(Some(KindShape { privacy, bits, names_member: flags == NAMES_MEMBER }))
}

/// That versions are one or two, ascending, from 1.
pub(crate) fn check_versions(versions: &[u32]) -> Result<()> {
    match versions {
        [only] if *only > 0 => Ok(()),
        [older, newest] if *older > 0 && older < newest => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            "expected one or two versions of the tag key, ascending from 1",
        )),
    }
}
