//! From where members stand to what is active: the same bytes for everybody who has the same log and the same rules. A
//! member builds them itself before it cosigns, and is told the first row that differs.

use crate::epoch::header::{HEADER_BYTES, Header};
use crate::epoch::manifest::Manifest;
use crate::epoch::snapshot::{ROW_BYTES, Row, SnapshotWriter};
use crate::epoch::state::State;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{Sink, Written};
use crate::kind::MemberId;
use crate::signal::activation::activate;
use crate::signal::reputation::{Smoothing, Tallies};
use crate::signal::{Contributor, Policies};
use std::collections::BTreeMap;

/// What an epoch is judged by: the rules and members at its size of the governance log, and its time.
#[derive(Debug, Clone)]
pub struct View {
    /// The epoch's number.
    pub number: u64,
    /// When it is built, in unix milliseconds.
    pub built_ms: u64,
    /// The versions of the tag key that are alive, ascending: one or two.
    pub key_versions: Vec<u32>,
    /// The rules of the kinds.
    pub policies: Policies,
    /// The members; who is not among them is not heard.
    pub contributors: Vec<Contributor>,
    /// How reputation is reckoned.
    pub smoothing: Smoothing,
}

/// Builds the snapshot of what is active and writes it to a sink. Signals that do not fit the rules in force (a kind that
/// is told otherwise now, a version of the key that is not alive) lapse.
///
/// # Errors
/// `Invalid` for a view that is none; `TooLarge`; what the sink says.
pub fn build(state: &State<'_>, view: &View, sink: impl Sink) -> Result<Written> {
    view.smoothing.check()?;
    let header = Header::new(view.number, view.built_ms, &view.key_versions, &view.policies)?;
    let contributors = heard(view, &state.tallies());
    let mut writer = SnapshotWriter::new(sink, &header)?;
    let (mut groups, mut stands) = (state.groups(), Vec::new());
    while let Some(key) = groups.next(&mut stands) {
        let Some(policy) = view.policies.get(key.kind) else { continue };
        let Ok(shape) = header.check_key(&key) else { continue };
        let active = activate(&stands, policy, view.built_ms, |id| contributors.get(&id).copied());
        let Some(active) = active else { continue };
        writer.put(&Row {
            key,
            reason: active.reason,
            severity: active.severity,
            first_seen_ms: active.first_seen_ms,
            last_seen_ms: active.last_seen_ms,
            expires_ms: active.expires_ms,
            trusted: active.trusted,
            contributors: active.contributors,
            member: Some(active.member).filter(|_| shape.names_member),
            text: active.text,
        })?;
    }
    writer.finish()
}

/// The members by number, each as trusted as its reputation leaves it.
fn heard(view: &View, tallies: &Tallies) -> BTreeMap<MemberId, Contributor> {
    let lowered = view.contributors.iter().map(|contributor| {
        let tally = tallies.get(&contributor.id).copied().unwrap_or_default();
        let trusted = contributor.trusted && view.smoothing.is_trusted(tally);
        (contributor.id, Contributor { trusted, ..*contributor })
    });
    lowered.collect()
}

/// Builds the snapshot that a manifest is of, from one's own state and view, and compares it with the one that was
/// published: what a member does before it cosigns.
///
/// # Errors
/// `Invalid` where state or view are of another size, number, time or rules than the manifest; `Corrupt` with the first row
/// (or byte) that differs, or where the manifest's counts or hash are others.
pub fn rebuild_and_compare(
    manifest: &Manifest,
    state: &State<'_>,
    view: &View,
    snapshot: &[u8],
) -> Result<()> {
    if state.governance_size() != manifest.governance_size {
        let (here, there) = (state.governance_size(), manifest.governance_size);
        let message = format!("the state here is of {here} governance leaves, the epoch of {there}");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let header = Header::new(view.number, view.built_ms, &view.key_versions, &view.policies)?;
    manifest.check_header(&header).map_err(|_| {
        let message = "the manifest says other numbers, times, keys or kinds than the governance log";
        Error::new(ErrorKind::Invalid, message)
    })?;
    let mut compare = Compare { expected: snapshot, at: 0 };
    let written = build(state, view, &mut compare)?;
    if compare.at != snapshot.len() {
        return Err(differs(compare.at, "the published snapshot goes on where the one built here ends"));
    }
    let is_signed = written.sha256 == manifest.snapshot.sha256
        && written.bytes == manifest.snapshot.bytes
        && written.rows == manifest.rows;
    match is_signed {
        true => Ok(()),
        false => {
            let message = "the published snapshot is right, and the manifest signs another one";
            Err(Error::new(ErrorKind::Corrupt, message))
        }
    }
}

/// A sink that compares.
struct Compare<'a> {
    expected: &'a [u8],
    at: usize,
}

impl Sink for Compare<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let rest = &self.expected[self.at..];
        let same = bytes.iter().zip(rest).take_while(|(a, b)| a == b).count();
        self.at += same;
        match same == bytes.len() {
            true => Ok(()),
            false => Err(differs(self.at, "the published snapshot differs from the one built here")),
        }
    }
}

/// The error at a byte: by its row where it is in one. Counts and texts come behind the rows, so the first difference is
/// in a row wherever rows differ.
fn differs(at: usize, message: &str) -> Error {
    let place = match at.checked_sub(HEADER_BYTES) {
        Some(behind) => Place::Row((behind / ROW_BYTES) as u64),
        None => Place::Byte(at as u64),
    };
    Error::new(ErrorKind::Corrupt, message).at(place)
}
