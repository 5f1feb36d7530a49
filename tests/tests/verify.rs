//! `interdict verify` and `interdict explain` as a user has them: the binary over data folders that a node wrote, whole,
//! damaged in one place, or gone in part.
#![allow(clippy::unwrap_used)]

#[path = "verify/upgrade.rs"]
mod upgrade;

use interdict::node::{Answered, Node, Options};
use interdict_engine::domain::{
    Accepted, Body, Decided, Event, Finished, GenerationId, Lever, ListDelta, Opened, Outcome, Verdict,
};
use interdict_engine::sequencer::{ENGINE, Submission};
use interdict_ingest::decode::entries::{decode_entries, decode_subjects};
use interdict_ingest::{Decoder, RequestContext};
use interdict_ledger::journal::{self, Durability, Journal, Record, RecordKind};
use interdict_ledger::storage::FileStorage;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

const ARRIVAL_MS: i64 = 1_522_540_930_000;

fn pack(ceiling: u32) -> [(&'static str, String); 3] {
    let manifest =
        "name: small\nversion: \"1\"\nowner: tests\nlists:\n  - {name: stolen, doc: stolen cards}\n";
    let features =
        "features:\n  - {name: card, key: card, windows: [1h], aggregates: [count, sum], currency: EUR}\n";
    let rules = format!(
        r#"rules:
  - id: ceiling
    title: Nothing above the ceiling
    when: amount.currency == "EUR" && amount.minor > {ceiling}
    outcome: decline
    score: 1000
    code: AMOUNT_LIMIT
    examples:
      hit: [{{amount.minor: {above}, amount.currency: EUR}}]
      miss: [{{amount.minor: {ceiling}, amount.currency: EUR}}]
  - id: payee
    title: A payee we watch
    when: payee.name == "Olaf Scholze"
    outcome: hold
    score: amount.minor / 100
    code: PAYEE
    examples:
      hit: [{{payee.name: Olaf Scholze, amount.minor: 100}}]
      miss: [{{payee.name: Ana Silva}}]
  - id: burst
    title: Many payments in quick succession
    when: features.card.count_1h > 40 || features.card.sum_1h > 90000000
    outcome: review
    score: 400
    code: VELOCITY
    examples:
      hit: [{{features.card.count_1h: 41, features.card.sum_1h: 0}}]
      miss: [{{features.card.count_1h: 1, features.card.sum_1h: 0}}]
  - id: corridor
    title: A corridor under watch
    when: corridor == "FR-RU" || lists.stolen
    outcome: review
    score: 300
    code: CORRIDOR
    mode: shadow
    examples:
      hit: [{{corridor: FR-RU, lists.stolen: false}}]
      miss: [{{corridor: FR-DE, lists.stolen: false}}]
"#,
        above = ceiling + 1
    );
    [("pack.yaml", manifest.into()), ("features.yaml", features.into()), ("rules/all.yaml", rules)]
}

fn write_pack(dir: &Path, ceiling: u32) {
    fs::create_dir_all(dir.join("pack/rules")).unwrap();
    for (name, text) in pack(ceiling) {
        fs::write(dir.join("pack").join(name), text).unwrap();
    }
}

struct Feeder {
    node: Arc<Node>,
    decoder: Decoder,
}

impl Feeder {
    fn pay(&self, body: &Value) -> u64 {
        let decoded = self.decoder.decode(body.to_string().as_bytes(), &RequestContext::default()).unwrap();
        let refers_to = decoded.refers_to();
        let event = Event {
            tenant: decoded.tx.tenant.clone(),
            arrival_ms: ARRIVAL_MS,
            body: Body::Payment(Box::new(decoded.tx)),
        };
        let submission = Submission {
            event,
            identity: decoded.id_key.map(|key| key.0),
            alias: decoded.id_alias.map(|key| key.0),
            payment_digest: decoded.payment_digest,
            refers_to,
        };
        match self.node.call(submission) {
            Answered::Decided(settled) => settled.verdict.sequence,
            other => panic!("{other:?}"),
        }
    }
    fn delta(&self, list: &str, add: &Value, remove: &Value) {
        let keys = self.decoder.keys().tenant("default");
        let add = decode_entries(add.to_string().as_bytes(), &keys.state, "an analyst").unwrap();
        let remove = decode_subjects(remove.to_string().as_bytes(), &keys.state).unwrap();
        let delta = ListDelta { list: list.into(), shared: false, add, remove };
        let event = Event {
            tenant: "default".into(),
            arrival_ms: ARRIVAL_MS,
            body: Body::ListDelta(Box::new(delta)),
        };
        let submission =
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
        assert!(matches!(self.node.call(submission), Answered::Noted(_)));
    }
}

fn payment(number: u64) -> Value {
    let mut body = json!({
        "id": format!("tx-{number}"),
        "time": "2018-04-01T00:02:10Z",
        "amount": {"minor": 100 + number * 7919 % 30_000, "currency": "EUR"},
        "channel": "ecommerce",
        "card": {"token": format!("c-{}", number % 20)},
        "merchant": {"id": "M-3156", "name": "Café du Nord", "mcc": "5812", "country": "FR"},
        "terminal": {"id": "T-9"},
    });
    if number.is_multiple_of(7) {
        body["channel"] = "transfer".into();
        body["payee"] = json!({"name": if number.is_multiple_of(2) { "Olaf Scholze" } else { "Ana Silva" }});
    }
    body
}

/// A folder with 300 payments, deltas and a second publication, made once.
fn original() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        write_pack(dir.path(), 22_000);
        fs::write(dir.path().join("stolen.csv"), "type,value,effect,reason\nbin,41111111,block,HOT_BIN\n").unwrap();
        let config = "[rules]\npacks = [\"pack\"]\n[lists.stolen]\nfile = \"stolen.csv\"\n\
                      [decision.levers]\ntransfer = \"stop_before_cutoff\"\n";
        fs::write(dir.path().join("c.toml"), config).unwrap();
        let loaded = interdict::config::load(&dir.path().join("c.toml")).unwrap();
        let node = Node::open(&dir.path().join("data"), loaded, &Options::default(), ARRIVAL_MS).unwrap();
        let decoder = Decoder::new(node.keys.tags.clone());
        let feeder = Feeder { node, decoder };
        let card = |number: u32| json!({"token": format!("c-{number}")});
        for number in 0..300 {
            match number {
                50 => {
                    let block = |number| {
                        json!({"card": card(number), "effect": "block", "overridable": true,
                               "reason": "REPORTED", "severity": 90})
                    };
                    feeder.delta("hot", &json!([block(3), block(4)]), &json!([]));
                }
                100 => {
                    let vip = json!({"card": card(3), "effect": "override", "overrides": "hot", "reason": "VIP",
                                     "valid_to": "2030-01-01T00:00:00Z"});
                    feeder.delta("vip", &json!([vip]), &json!([]));
                }
                150 => {
                    write_pack(dir.path(), 15_000);
                    feeder.node.publish_current(ARRIVAL_MS).unwrap();
                }
                200 => feeder.delta("hot", &json!([]), &json!([{"card": card(4)}])),
                _ => {}
            }
            feeder.pay(&payment(number));
        }
        feeder.pay(&json!({"id": "big", "time": "2018-04-01T00:02:10Z", "channel": "chip",
            "amount": {"minor": 1_234_567, "currency": "EUR"}, "card": {"pan": "4111111111111111"}}));
        let Feeder { node, .. } = feeder;
        node.close().unwrap();
        dir
    })
    .path()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).map(|_| ()).unwrap()
        }
    }
}

/// A copy of the folder to do harm to.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy_tree(&original().join("data"), &data);
    (dir, data)
}

/// Exit code, stdout, stderr.
fn interdict(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_interdict-under-test")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

fn verify(data: &Path, more: &[&str]) -> (i32, Value) {
    let args = [&["verify", "--data", data.to_str().unwrap(), "--json"], more].concat();
    let (code, out, err) = interdict(&args);
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")))
}

fn explain(data: &Path, args: &[&str]) -> String {
    let (code, out, err) = interdict(&[&["explain", "--data", data.to_str().unwrap()], args].concat());
    assert_eq!(code, 0, "{out}{err}");
    out
}

/// All files of a folder with their bytes.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push((path.clone(), fs::read(path).unwrap()))
            }
        }
    }
    files.sort();
    files
}

/// The lines of the kept manifests, with the manifest's path: `kind`, `name`, `hash`.
fn manifests(data: &Path) -> Vec<(PathBuf, String)> {
    let each = fs::read_dir(data.join("generations/manifests")).unwrap();
    each.map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

fn object_of(manifest: &str, kind: &str) -> String {
    let line = manifest.lines().find(|line| line.starts_with(kind)).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_whole_folder_is_equal_throughout_and_stays_untouched() {
    let (_dir, data) = copy();
    let before = snapshot(&data);
    let (code, found) = verify(&data, &[]);
    assert_eq!(code, 0, "{found}");
    assert_eq!((found["checked"].as_u64(), found["equal"].as_u64()), (Some(301), Some(301)), "{found}");
    for none in ["different", "not_kept", "other_engine", "undecided"] {
        assert_eq!(found[none], 0, "{none} in {found}");
    }
    let (code, part) = verify(&data, &["--from", "101", "--to", "200"]);
    assert_eq!(code, 0);
    let part = part["checked"].as_u64().unwrap();
    assert!((90..=100).contains(&part), "{part} payments among 100 sequences");
    assert!(explain(&data, &["tx-9"]).contains("tx-9"));
    assert!(snapshot(&data) == before, "verify and explain change nothing");
}

#[test]
fn a_folder_that_is_being_written_is_read_beside_its_node() {
    let (_dir, data) = copy();
    let loaded = interdict::config::load(&original().join("c.toml")).unwrap();
    let node = Node::open(&data, loaded, &Options::default(), ARRIVAL_MS).unwrap();
    let decoder = Decoder::new(node.keys.tags.clone());
    let feeder = Feeder { node, decoder };
    for number in 300..320 {
        feeder.pay(&payment(number));
    }
    let (code, found) = verify(&data, &[]);
    assert_eq!((code, found["equal"].as_u64()), (0, Some(321)), "{found}");
    assert!(explain(&data, &["tx-319"]).contains("tx-319"));
    feeder.pay(&payment(320));
    let Feeder { node, .. } = feeder;
    node.close().unwrap();
}

#[test]
fn keys_that_lie_elsewhere_are_named_by_the_config() {
    let (dir, data) = copy();
    fs::rename(data.join("keys"), dir.path().join("elsewhere")).unwrap();
    let (code, _, err) = interdict(&["verify", "--data", data.to_str().unwrap()]);
    assert!(code == 3 && err.contains("--config"), "{err}");
    let config = dir.path().join("c.toml");
    fs::write(&config, "[keys]\ndir = \"elsewhere\"\n").unwrap();
    let (code, found) = verify(&data, &["--config", config.to_str().unwrap()]);
    assert_eq!((code, found["equal"].as_u64()), (0, Some(301)), "{found}");
}

#[test]
fn a_flipped_byte_of_a_segment_is_found_and_placed() {
    let (_dir, data) = copy();
    let segment = data.join("journal/00000000000000000001.seg");
    flip(&segment, fs::metadata(&segment).unwrap().len() as usize / 2);
    let (code, found) = verify(&data, &[]);
    assert_eq!(code, 1, "{found}");
    assert_eq!(found["journal"]["damage"]["segment"], 1, "{found}");
    assert!(found["journal"]["damage"]["offset"].as_u64().unwrap() > 0);
    let (_, out, _) = interdict(&["verify", "--data", data.to_str().unwrap()]);
    assert!(out.contains("damaged at segment 1 offset"), "{out}");
}

#[test]
fn a_changed_rule_of_a_kept_generation_is_found_and_named() {
    for kind in ["pack", "list", "settings"] {
        let (_dir, data) = copy();
        let object = object_of(&manifests(&data)[0].1, kind);
        let path = data.join("generations/objects").join(&object);
        flip(&path, fs::metadata(&path).unwrap().len() as usize / 2);
        let (code, found) = verify(&data, &[]);
        assert_eq!(code, 1, "{kind}: {found}");
        assert!(found["findings"][0].as_str().unwrap().contains(&object), "{found}");
        assert!(found["damaged"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_generation_that_is_gone_is_counted_not_guessed() {
    for removed in [0, 1] {
        let (_dir, data) = copy();
        fs::remove_file(&manifests(&data)[removed].0).unwrap();
        let (code, found) = verify(&data, &[]);
        assert_eq!(code, 0, "{found}");
        let count = |name: &str| found[name].as_u64().unwrap();
        assert!(count("not_kept") >= 149 && count("equal") > 0, "{found}");
        assert_eq!(count("not_kept") + count("equal"), 301, "{found}");
        let told = [explain(&data, &["tx-9"]), explain(&data, &["tx-290"])];
        assert_eq!(told.iter().filter(|text| text.contains("no longer kept")).count(), 1);
    }
}

/// Appends a payment with a verdict of one's own making, as whoever can write the folder could.
fn forge(data: &Path, engine: &str, verdict: impl Fn(&mut Decided), is_decided: bool) -> u64 {
    let keys = interdict::node::keys::NodeKeys::open(&data.join("keys"), false).unwrap();
    let storage = || Arc::new(FileStorage::open(data.join("journal")).unwrap());
    let options = journal::Options::new(Durability::Os, ENGINE, interdict::node::recovery::catalogue_hash());
    let (mut last, mut decided) = (None, None);
    let (mut journal, _) = Journal::open_with(storage(), &keys.sealing, options, &mut |stored| {
        match stored.kind {
            RecordKind::Accepted => {
                last = Some(Accepted::decode(stored.open(), stored.sealed()?.as_deref()).unwrap())
            }
            RecordKind::Decided => decided = Some(Decided::decode(stored.open()).unwrap()),
            RecordKind::Finished => {}
        }
        Ok(())
    })
    .unwrap();
    let (mut accepted, mut decided) = (last.unwrap(), decided.unwrap());
    accepted.sequence += 1;
    accepted.engine = engine.into();
    decided.verdict.sequence = accepted.sequence;
    verdict(&mut decided);
    let (open, sealed) = (accepted.encode_open(), accepted.encode_sealed());
    let sequence = accepted.sequence;
    journal.append(&[Record { kind: RecordKind::Accepted, sequence, open: &open, sealed: &sealed }]).unwrap();
    if is_decided {
        let open = decided.encode();
        journal.append(&[Record { kind: RecordKind::Decided, sequence, open: &open, sealed: &[] }]).unwrap();
    }
    journal.close().unwrap();
    sequence
}

#[test]
fn a_forged_verdict_differs_and_another_engine_s_is_told_apart() {
    let soften = |decided: &mut Decided| decided.verdict.outcome = Outcome::Approve;
    let (_dir, data) = copy();
    let sequence = forge(&data, ENGINE, soften, true);
    let (code, found) = verify(&data, &[]);
    assert_eq!(
        (code, found["different"].as_u64(), found["equal"].as_u64()),
        (1, Some(1), Some(301)),
        "{found}"
    );
    assert_eq!(found["differences"][0]["sequence"].as_u64(), Some(sequence));
    let what = found["differences"][0]["what"][0].as_str().unwrap();
    assert_eq!(what, "outcome: recorded approve, recomputed decline");

    let (_dir, data) = copy();
    forge(&data, "0.0.0-another", soften, true);
    let (code, found) = verify(&data, &[]);
    assert_eq!(
        (code, found["different"].as_u64(), found["other_engine"].as_u64()),
        (0, Some(0), Some(1)),
        "{found}"
    );

    let (_dir, data) = copy();
    let sequence = forge(&data, ENGINE, soften, false);
    let (code, found) = verify(&data, &[]);
    assert_eq!(
        (code, found["undecided"].as_u64(), found["equal"].as_u64()),
        (0, Some(1), Some(301)),
        "{found}"
    );
    let at = format!("@{sequence}");
    let (code, _, err) = interdict(&["explain", &at, "--data", data.to_str().unwrap()]);
    assert!(code == 3 && err.contains("no verdict yet"), "{err}");
}

#[test]
fn a_hold_that_did_not_begin_so_is_told() {
    let (_dir, data) = copy();
    let forged = |decided: &mut Decided| {
        decided.recorded.hold = Some(Box::new(Opened {
            tenant: "acme".into(),
            at_ms: ARRIVAL_MS,
            until_ms: None,
            expiry_releases: true,
            cut_off_ms: ARRIVAL_MS,
            lever: Lever::StopBeforeCutoff,
            recall: false,
            amount_minor: 1,
            currency: "EUR".into(),
            sanctions: false,
            outcome: Outcome::Hold,
            score: 1,
            reasons: Vec::new(),
            causes: vec!["nobody/knows".into()],
            generation: decided.verdict.generation,
            learned: None,
        }));
    };
    let sequence = forge(&data, ENGINE, forged, true);
    let (code, found) = verify(&data, &[]);
    // Those of the folder's own holds are the same again.
    assert_eq!((code, &found["different"], &found["equal"]), (1, &json!(1), &json!(301)), "{found}");
    assert_eq!(found["differences"][0]["sequence"].as_u64(), Some(sequence));
    let what = found["differences"][0]["what"][0].as_str().unwrap();
    assert!(what.starts_with("hold: recorded hold by stop_before_cutoff"), "{what}");
    assert!(what.ends_with("recomputed none"), "a declined payment is not held: {what}");
}

#[test]
fn a_forged_finished_verdict_differs_and_another_engine_s_is_told_apart() {
    for (engine, softened, code, different, other) in
        [(ENGINE, false, 0, 0, 0), (ENGINE, true, 1, 1, 0), ("0.0.0-another", true, 0, 0, 1)]
    {
        let (_dir, data) = copy();
        let keys = interdict::node::keys::NodeKeys::open(&data.join("keys"), false).unwrap();
        let storage = Arc::new(FileStorage::open(data.join("journal")).unwrap());
        let options =
            journal::Options::new(Durability::Os, ENGINE, interdict::node::recovery::catalogue_hash());
        let (mut journal, _) = Journal::open(storage, &keys.master, options).unwrap();
        let decided = journal.reader().records(0).map(|record| record.unwrap());
        let decided = decided.filter(|record| record.kind == RecordKind::Decided).last().unwrap();
        let Decided { mut verdict, recorded, .. } = Decided::decode(&decided.open).unwrap();
        if softened {
            verdict.score += 1;
        }
        let open = Finished { at_ms: 5, engine: engine.into(), verdict, recorded }.encode();
        let sequence = decided.sequence;
        let record = Record { kind: RecordKind::Finished, sequence, open: &open, sealed: &[] };
        journal.append(&[record]).unwrap();
        journal.close().unwrap();
        let (found_code, found) = verify(&data, &[]);
        let finished = &found["finished"];
        assert_eq!(
            (found_code, finished["different"].as_u64(), finished["other_engine"].as_u64()),
            (code, Some(different), Some(other)),
            "{found}"
        );
        assert_eq!((&finished["checked"], &found["different"]), (&json!(1), &json!(0)), "{found}");
        if different > 0 {
            let what = found["differences"][0]["what"][0].as_str().unwrap();
            assert!(what.starts_with("finished: score: recorded "), "{found}");
        }
    }
}

#[test]
fn texts_whose_key_was_destroyed_are_said_to_be_gone() {
    let (_dir, data) = copy();
    let keys = interdict::node::keys::NodeKeys::open(&data.join("keys"), false).unwrap();
    let storage = Arc::new(FileStorage::open(data.join("journal")).unwrap());
    let options = journal::Options::new(Durability::Os, ENGINE, interdict::node::recovery::catalogue_hash());
    let (mut journal, _) = Journal::open(storage, &keys.sealing, options).unwrap();
    journal.destroy_key(1).unwrap();
    journal.close().unwrap();
    let (code, found) = verify(&data, &[]);
    assert_eq!((code, found["different"].as_u64()), (0, Some(0)), "{found}");
    // Of the verdicts only those that a name decided cannot be made again.
    let unreadable = found["unreadable"].as_u64().unwrap();
    assert!((1..50).contains(&unreadable) && found["equal"].as_u64() == Some(301 - unreadable), "{found}");
    let held = explain(&data, &["tx-14"]);
    assert!(held.contains("payee.name no longer readable: its key was destroyed"), "{held}");
    assert!(!held.contains("payee.name = \"Olaf") && held.contains("Outcome: hold"), "{held}");
}

#[test]
fn a_torn_tail_is_no_damage() {
    let (_dir, data) = copy();
    let segment = data.join("journal/00000000000000000001.seg");
    let file = fs::File::options().write(true).open(&segment).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1000).unwrap();
    let (code, found) = verify(&data, &[]);
    let count = |name: &str| found[name].as_u64().unwrap();
    assert!(code == 0 && found["journal"]["torn_bytes"].as_u64().unwrap() > 0, "{found}");
    assert!((295..301).contains(&count("checked")) && count("equal") == count("checked"), "{found}");
}

#[test]
fn explain_tells_amounts_rules_lists_and_levers() {
    let data = original().join("data");
    let big = explain(&data, &["big"]);
    for part in [
        "12,345.67 EUR",
        "card ending 1111, BIN 41111111",
        "Outcome: decline",
        "Nothing above the ceiling",
        "amount.minor = 1234567 (12,345.67 EUR)",
        "the card's BIN is on list \"stolen\"",
        "HOT_BIN",
    ] {
        assert!(big.contains(part), "{part:?} in\n{big}");
    }
    let blocked = explain(&data, &["tx-63"]);
    for part in [
        "the card is on list \"hot\"",
        "a block, which asks for decline",
        "\"REPORTED\"",
        "severity 90",
        "by \"an analyst\"",
        "put there at sequence",
        "\"M-3156\", \"Café du Nord\"",
        "\"T-9\"",
    ] {
        assert!(blocked.contains(part), "{part:?} in\n{blocked}");
    }
    let cancelled = explain(&data, &["tx-103"]);
    for part in ["cancelled by override entry", "an override of \"hot\"", "valid until 2030-01-01T00:00:00"] {
        assert!(cancelled.contains(part), "{part:?} in\n{cancelled}");
    }
    let held = explain(&data, &["tx-14"]);
    for part in ["Outcome: hold", "stop_before_cutoff", "A payee we watch", "payee.name = \"Olaf Scholze\""] {
        assert!(held.contains(part), "{part:?} in\n{held}");
    }
    // tx-24 is of card c-4, which left the list before tx-204.
    assert!(explain(&data, &["tx-64"]).contains("list \"hot\""));
    assert!(!explain(&data, &["tx-204"]).contains("list \"hot\""));
}

#[test]
fn explain_says_which_atom_of_a_rule_failed_or_is_missing() {
    let data = original().join("data");
    // 100 + 2 × 7919 = 15938 minor units: below the first ceiling.
    let missed = explain(&data, &["tx-2", "--rule", "small/ceiling"]);
    let expected = "because amount.minor > 22000 is false: amount.minor = 15938 (159.38 EUR)";
    assert!(
        missed.contains("Nothing above the ceiling (rule small/ceiling): miss") && missed.contains(expected),
        "{missed}"
    );
    assert!(!missed.contains("because amount.currency"), "only what failed is a reason:\n{missed}");
    let undecided = explain(&data, &["tx-2", "--rule", "corridor"]);
    let expected = "because corridor == \"FR-RU\" is undecided: corridor is missing";
    assert!(undecided.contains(expected), "{undecided}");
    let told: Value =
        serde_json::from_str(&explain(&data, &["tx-2", "--rule", "ceiling", "--json"])).unwrap();
    assert_eq!(told["rule"]["result"], "miss");
    assert_eq!(told["rule"]["parts"][0]["truth"], "false");
    assert_eq!(told["id"], "tx-2");
    assert!(told["text"].as_str().unwrap().contains("159.38 EUR"));
}

#[test]
fn what_is_not_there_is_said() {
    let data = original().join("data");
    let folder = data.to_str().unwrap();
    for (args, expected) in [
        (vec!["explain", "nobody", "--data", folder], "no payment \"nobody\""),
        (vec!["explain", "@99999", "--data", folder], "no payment \"@99999\""),
        (vec!["explain", "@1", "--data", folder], "sequence 1 is a publication, not a payment"),
        (vec!["explain", "tx-2", "--tenant", "other", "--data", folder], "of tenant \"other\""),
        (
            vec!["explain", "tx-2", "--rule", "small/celing", "--data", folder],
            "did you mean \"small/ceiling\"",
        ),
        (vec!["verify", "--data", "/nonexistent"], "no such folder"),
    ] {
        let (code, _, err) = interdict(&args);
        assert!(code == 3 && err.contains(expected), "{args:?}: {code}: {err}");
    }
}

#[test]
fn the_verdict_s_bytes_are_those_of_its_format() {
    let verdict = Verdict {
        sequence: 7,
        outcome: Outcome::Approve,
        score: 0,
        reasons: Vec::new(),
        skipped: Vec::new(),
        default_applied: false,
        lever: Lever::None,
        generation: GenerationId { hash: [0xab; 32], overlay: 1 },
    };
    // The example of docs/formats/verdict.md.
    let expected = [&[1, 7, 1, 0, 0, 0, 0, 0][..], &[0xab; 32], &[1]].concat();
    assert_eq!(verdict.encode(), expected);
    assert_eq!(Verdict::decode(&expected).unwrap(), verdict);
}
