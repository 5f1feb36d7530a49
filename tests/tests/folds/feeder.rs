//! A node over a folder of its own, with two lists that the configuration has files for: fed with deltas and
//! payments, started again, looked into.

use interdict::cli::verify::{Summary, verify};
use interdict::history::Folder;
use interdict::http::decisions::from_decoded;
use interdict::node::{Answered, Node, Options};
use interdict_engine::domain::{
    Body, Effect, Entry, Event, ListDelta, ReasonSource, Subject, SubjectKind, Tag, Verdict,
};
use interdict_engine::sequencer::Submission;
use interdict_ingest::decode::entries::decode_entries;
use interdict_ingest::{Decoder, RequestContext};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const ARRIVAL_MS: i64 = 1_522_540_930_000;

fn block(subject: Subject, reason: &str) -> Entry {
    Entry {
        id: 0,
        subject,
        effect: Effect::Block,
        overridable: true,
        overrides: None,
        reason: reason.into(),
        severity: 50,
        contributor: "tests".into(),
        valid_from_ms: None,
        valid_to_ms: None,
    }
}
/// A block of a tag.
pub fn tag(tag: u128) -> Entry {
    block(Subject::Tag { kind: SubjectKind::Card, tag: Tag(tag) }, "stolen")
}
/// A block of a BIN of six digits.
pub fn bin(number: u32, reason: &str) -> Entry {
    block(Subject::Bin { number, digits: 6 }, reason)
}
/// A delta that adds to a shared list.
pub fn delta_of(list: &str, add: Vec<Entry>) -> ListDelta {
    ListDelta { list: list.into(), shared: true, add, remove: Vec::new() }
}

/// The node and its folder.
pub struct Feeder {
    dir: tempfile::TempDir,
    fold_at: usize,
    pub lanes: usize,
    node: Option<Arc<Node>>,
}

impl Feeder {
    /// No node yet: [`Feeder::files`] and [`Feeder::restart`] make it. The keys are the same for all.
    pub fn new(fold_at: usize) -> Feeder {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        interdict::node::keys::NodeKeys::open(&keys, true).unwrap();
        let secret = keys.join("master.key");
        fs::write(&secret, [7; 32]).unwrap();
        Feeder { dir, fold_at, lanes: 0, node: None }
    }
    fn config(&self) -> PathBuf {
        self.dir.path().join("c.toml")
    }
    /// Writes the configuration and its list files; a list without one is not in it.
    pub fn files(&self, files: &BTreeMap<&str, Option<Vec<u32>>>) {
        let mut text = format!("[keys]\ndir = \"keys\"\n[lists]\nfold_at = {}\n", self.fold_at);
        for (name, bins) in files {
            let Some(bins) = bins else { continue };
            let rows: String = bins.iter().map(|number| format!("bin,{number},block,FILE\n")).collect();
            fs::write(
                self.dir.path().join(format!("{name}.csv")),
                format!("type,value,effect,reason\n{rows}"),
            )
            .unwrap();
            text += &format!("[lists.{name}]\nfile = \"{name}.csv\"\n");
        }
        fs::write(self.config(), text).unwrap();
    }
    /// Closes the node, where there is one, and opens its folder.
    pub fn restart(&mut self) {
        if let Some(node) = self.node.take() {
            node.close().unwrap();
        }
        let loaded = interdict::config::load(&self.config()).unwrap();
        let options = Options { lanes: Some(self.lanes), ..Options::default() };
        self.node = Some(Node::open(&self.dir.path().join("data"), loaded, &options, ARRIVAL_MS).unwrap());
    }
    /// Takes away the place where snapshots go, or gives it back: as good as a full disk.
    pub fn keep_away(&self, away: bool) {
        let objects = self.dir.path().join("data/generations/objects");
        let aside = objects.with_extension("away");
        if away {
            fs::rename(&objects, &aside).unwrap();
            fs::write(&objects, "").unwrap();
        } else {
            fs::remove_file(&objects).unwrap();
            fs::rename(&aside, &objects).unwrap();
        }
    }
    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        self.node.as_ref().unwrap()
    }
    /// Submits a delta; whether it was taken, and not refused for the overlay's bound.
    pub fn try_delta(&self, delta: &ListDelta) -> bool {
        let body = Body::ListDelta(Box::new(delta.clone()));
        let event = Event { tenant: "default".into(), arrival_ms: ARRIVAL_MS, body };
        let submission =
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
        match self.node().call(submission) {
            Answered::Noted(_) => true,
            Answered::Refused(e) if e.message.contains("after a fold") => false,
            other => panic!("{other:?}"),
        }
    }
    /// Submits a delta that fits.
    pub fn delta(&self, delta: &ListDelta) {
        assert!(self.try_delta(delta));
    }
    fn decoder(&self) -> Decoder {
        Decoder::new(self.node().keys.tags.clone())
    }
    /// A block of one of our cards.
    pub fn card(&self, number: usize) -> Entry {
        let body = json!([{"card": {"token": format!("c-{number}")}, "effect": "block", "reason": "OURS"}]);
        let decoder = self.decoder();
        let entries = decode_entries(body.to_string().as_bytes(), decoder.keys().shared(), "tests");
        entries.unwrap().remove(0)
    }
    /// A payment by one of our cards: its sequence and verdict.
    pub fn pay(&self, id: usize, card: usize) -> (u64, Verdict) {
        let body = json!({
            "id": format!("tx-{id}"), "time": "2018-04-01T00:02:10Z", "channel": "ecommerce",
            "amount": {"minor": 100, "currency": "EUR"}, "card": {"token": format!("c-{card}")},
        });
        let decoded = self.decoder().decode(body.to_string().as_bytes(), &RequestContext::default()).unwrap();
        match self.node().call(from_decoded(decoded, ARRIVAL_MS)) {
            Answered::Decided(settled) => (settled.verdict.sequence, settled.verdict),
            other => panic!("{other:?}"),
        }
    }
    /// Whether every list entry that an old verdict names is found and is one of our cards.
    pub fn tells_its_entries(&self, sequence: u64) -> bool {
        let given = self.node().given(sequence).unwrap().unwrap();
        given.verdict.reasons.iter().all(|reason| {
            let ReasonSource::Entry { list, entry, .. } = reason.source else { return true };
            let recalled =
                given.recalled.iter().find(|one| one.entry.id == entry).map(|one| one.entry.clone());
            let found = recalled.or_else(|| given.view.lists().entry(list, entry));
            found.is_some_and(|found| found.reason == "OURS")
        })
    }
    /// The shared lists in force: name → BIN → reason.
    pub fn lists(&self) -> BTreeMap<String, BTreeMap<u32, String>> {
        let view = self.node().view();
        let lists = view.lists();
        (0..lists.len() as u16)
            .map(|number| {
                let entries = lists.entries(number).into_iter().map(|entry| match entry.subject {
                    Subject::Bin { number, .. } => (number, entry.reason),
                    other => panic!("{other:?}"),
                });
                (lists.list_name(number).unwrap().to_owned(), entries.collect())
            })
            .collect()
    }
    /// What `interdict verify` finds.
    pub fn verify(&self) -> Summary {
        let folder = Folder::open(&self.dir.path().join("data"), Some(&self.config())).unwrap();
        verify(&folder, 1, u64::MAX, &mut |_, _| {}).unwrap()
    }
}
