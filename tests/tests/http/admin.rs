//! Packs and generations: an archive is checked before it is kept, and published whole or not at all.

use super::{BINARY, Probe, problem};
use interdict_tests::blackbox::{payment, run, text, write};
use interdict_tests::node::Reply;
use serde_json::{Value, json};
use std::path::Path;

const ARCHIVE: (&str, &str) = ("content-type", "application/octet-stream");

/// A copy of the pack `probe` with one text replaced.
fn changed(probe: &Probe, name: &str, from: &str, to: &str) -> std::path::PathBuf {
    let dir = probe.dir.path().join(name);
    for file in ["pack.yaml", "rules/rules.yaml", "features.yaml"] {
        let content = std::fs::read_to_string(probe.dir.path().join("probe").join(file)).unwrap();
        write(&dir.join(file), content.replace(from, to));
    }
    dir
}

fn build(dir: &Path) -> Vec<u8> {
    let out = dir.with_extension("pack");
    let built = run(BINARY, &["packs", "build", text(dir), "--out", text(&out)]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    std::fs::read(out).unwrap()
}

impl Probe {
    fn upload(&self, archive: Vec<u8>) -> Reply {
        self.client.send("POST", "/v1/packs", &[ARCHIVE], archive).unwrap()
    }
    fn publish(&self) -> Value {
        let reply = self.client.send("POST", "/v1/generations", &[], "").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
    fn in_force(&self) -> Value {
        self.client.get("/v1/packs").unwrap().json()
    }
}

#[test]
fn an_uploaded_pack_counts_from_its_publication_on_and_over_a_restart() {
    let mut probe = Probe::start();
    let before = probe.in_force();
    let at_600 = payment(json!({"amount": {"minor": 60_000, "currency": "EUR"}}));
    let old = probe.verdict(&at_600);
    assert_eq!(old["outcome"], "review");
    let second = changed(&probe, "second", "50000", "60001");
    let text = std::fs::read_to_string(second.join("pack.yaml")).unwrap().replace("1.0.0", "1.1.0");
    write(&second.join("pack.yaml"), text);
    let rules = std::fs::read_to_string(second.join("rules/rules.yaml")).unwrap().replace("49999", "60000");
    write(&second.join("rules/rules.yaml"), rules);
    let reply = probe.upload(build(&second));
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json(), json!({"name": "probe", "version": "1.1.0"}));
    assert_eq!(probe.in_force(), before, "an upload alone changes nothing");
    assert_eq!(probe.verdict(&at_600)["outcome"], "review");
    let published = probe.publish();
    assert_ne!(published["generation"], before["generation"]);
    let new = probe.verdict(&at_600);
    assert_eq!((&new["outcome"], &new["generation"]), (&json!("approve"), &published["generation"]));
    assert_eq!(probe.in_force()["packs"][0]["version"], "1.1.0");
    probe.restart();
    assert_eq!(probe.in_force()["packs"][0]["version"], "1.1.0", "what was published stays in force");
    assert_eq!(probe.verdict(&at_600)["outcome"], "approve");
    let read = probe.client.get(&format!("/v1/decisions/@{}", old["sequence"])).unwrap().json();
    assert_eq!(read["reasons"], old["reasons"], "an old verdict is told by its own generation");
}

#[test]
fn publishing_what_is_in_force_changes_no_content() {
    let probe = Probe::start();
    let before = probe.in_force()["generation"].as_str().unwrap().to_owned();
    let after = probe.publish()["generation"].as_str().unwrap().to_owned();
    assert_eq!(before.split('@').next(), after.split('@').next(), "the same content has the same hash");
}

#[test]
fn a_pack_may_be_larger_than_a_request() {
    let probe = Probe::start();
    let large = changed(&probe, "large", "# nothing", "");
    let comment = format!("# {}\n", "x".repeat(126)).repeat(3 << 13);
    let rules = std::fs::read_to_string(large.join("rules/rules.yaml")).unwrap();
    write(&large.join("rules/rules.yaml"), rules + &comment);
    let archive = build(&large);
    assert!(archive.len() > 3 << 20);
    let reply = probe.upload(archive);
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[test]
fn a_broken_pack_is_422_with_its_place_and_nothing_changes() {
    let probe = Probe::start();
    let before = probe.in_force();
    let good = changed(&probe, "good", "", "");
    let archive = build(&good);
    let wrong = changed(&probe, "wrong", "49999", "50001");
    let refused = run(BINARY, &["packs", "build", text(&wrong), "--out", text(&probe.dir.path().join("w"))]);
    assert_eq!(refused.code, 3, "an example that does not hold: {}", refused.stdout);
    assert!(!probe.dir.path().join("w").exists());
    // The same lengths, so that the archive is whole and only its pack is wrong.
    let swap = |from: &[u8], to: &[u8]| {
        let at = archive.windows(from.len()).position(|window| window == from).unwrap();
        let mut broken = archive.clone();
        broken[at..at + from.len()].copy_from_slice(to);
        broken
    };
    for (archive, told) in [
        (swap(b"amount.minor", b"amount.minro"), "rules/rules.yaml:"),
        (swap(b"49999", b"50001"), "rules/rules.yaml"),
        (archive[..archive.len() - 7].to_vec(), ""),
        (b"no archive".to_vec(), ""),
        (Vec::new(), ""),
    ] {
        let detail = problem(&probe.upload(archive), 422)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(told), "{detail}");
    }
    assert_eq!(probe.in_force(), before);
    let published = probe.publish();
    let hash =
        |generation: &Value| generation["generation"].as_str().unwrap().split('@').next().unwrap().to_owned();
    assert_eq!(hash(&published), hash(&before), "nothing broken was kept for later");
}

#[test]
fn a_publication_that_does_not_build_is_422_and_the_old_one_stays() {
    let probe = Probe::start();
    let before = probe.in_force();
    let rules = probe.dir.path().join("probe/rules/rules.yaml");
    let good = std::fs::read_to_string(&rules).unwrap();
    write(&rules, good.replace("amount.minor >= 50000", "amount.minor >="));
    let refused = problem(&probe.client.send("POST", "/v1/generations", &[], "").unwrap(), 422);
    assert!(refused["detail"].as_str().unwrap().contains("rules.yaml:4"), "{refused}");
    assert_eq!(probe.in_force(), before);
    assert_eq!(probe.verdict(&payment(json!({})))["generation"], before["generation"]);
}

#[test]
fn deltas_stay_said_over_a_publication() {
    let probe = Probe::start();
    let entries = json!([{"merchant": {"id": "M-1"}}]);
    assert_eq!(probe.client.put("/v1/lists/found/entries", &entries).unwrap().status, 200);
    probe.publish();
    assert_eq!(probe.verdict(&payment(json!({})))["outcome"], "decline");
}
