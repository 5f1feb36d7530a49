//! `interdict backup` beside a node under load and `interdict restore` of it: what was acknowledged before is there, each
//! wrong file is named, and whatever is cut off half-way does no harm.

use super::load::Load;
use super::{BINARY, checks};
use interdict_tests::blackbox::{Done, payment, probe, run_with, text};
use interdict_tests::node::{Start, default_config};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest that anything here may take before the test gives up.
const GIVE_UP: Duration = Duration::from_secs(60);

fn backup(data: &Path, out: &Path, more: &[&str], fail_point: &str) -> Done {
    let args = [&["backup", "--json", "--data", text(data), "--out", text(out)], more].concat();
    interdict(&args, fail_point)
}

fn restore(from: &Path, data: &Path, more: &[&str], fail_point: &str) -> Done {
    let args = [&["restore", "--json", "--from", text(from), "--data", text(data)], more].concat();
    interdict(&args, fail_point)
}

fn interdict(args: &[&str], fail_point: &str) -> Done {
    let env = [("INTERDICT_FAILPOINT", fail_point)];
    run_with(BINARY, args, if fail_point.is_empty() { &[] } else { &env })
}

fn told(done: Done) -> Value {
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    done.summary()
}

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("backup.json")).unwrap()).unwrap()
}

/// Where a backup has the bytes of a file.
fn stored(out: &Path, path: &str) -> PathBuf {
    let manifest = manifest(out);
    let item = manifest["files"].as_array().unwrap().iter().find(|item| item["path"] == path);
    out.join("files").join(item.unwrap_or_else(|| panic!("{path} in {manifest}"))["sha256"].as_str().unwrap())
}

/// A folder with some payments, its configuration beside it.
fn small() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (probe(dir.path(), ""), dir.path().join("data"));
    let mut node = Start::new(BINARY, &config, &data).start().unwrap();
    pay(&node.client(), 0..30);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    (dir, config, data)
}

fn pay(client: &interdict_tests::node::Client, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let body =
            payment(json!({"id": format!("p-{number}"), "card": {"token": format!("c-{}", number % 5)}}));
        let reply = client.post("/v1/decisions", &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

#[test]
fn a_backup_under_load_holds_every_verdict_acknowledged_before_it() {
    for (seed, lanes, durability) in [(21, "0", "os"), (22, "2", "disk")] {
        under_load(seed, lanes, durability);
    }
}

fn under_load(seed: u64, lanes: &str, durability: &str) {
    let dir = tempfile::tempdir().unwrap();
    let [data, out, again] = ["data", "backup", "again"].map(|name| dir.path().join(name));
    let load = Load::new(seed, 20_000);
    let start = |data: &Path| {
        Start::new(BINARY, default_config(), data)
            .args(&["--lanes", lanes])
            .env("INTERDICT_JOURNAL__DURABILITY", durability)
            .env("INTERDICT_JOURNAL__SEGMENT_MIB", "1")
            .env("INTERDICT_DECISION__DEADLINE_MS", "60000")
    };
    let mut node = start(&data).start().unwrap();
    let stop = AtomicBool::new(false);
    let (first, second) = std::thread::scope(|scope| {
        let streaming = scope.spawn(|| load.run(&node, 1, true, &stop));
        let traffic = |more: usize| {
            let (before, began) = (load.known().acknowledged.len(), Instant::now());
            while load.known().acknowledged.len() < before + more && !streaming.is_finished() {
                assert!(began.elapsed() < GIVE_UP, "no traffic");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let one = |more: &[&str]| {
            let greatest = load.known().acknowledged.values().map(|one| one.sequence()).max().unwrap();
            let told = told(backup(&data, &out, more, ""));
            assert!(
                told["last_sequence"].as_u64().unwrap() >= greatest,
                "{greatest} was acknowledged: {told}"
            );
            told
        };
        traffic(300);
        let first = one(&[]);
        traffic(300);
        let second = one(&["--with-keys"]);
        stop.store(true, Ordering::Release);
        (first, second)
    });
    assert_eq!(first["copied"], first["files"], "{first}");
    assert!(second["copied"].as_u64() < second["files"].as_u64(), "only what is new: {second}");
    assert!(node.terminate().unwrap().success(), "{}", node.log());

    let restored = told(restore(&out, &again, &["--verify", "all"], ""));
    assert_eq!(restored["head"], second["head"]);
    assert_eq!(restored["verified"]["checked"], restored["verified"]["equal"], "{restored}");
    assert_eq!(restored["verified"]["not_kept"], 0, "{restored}");
    assert!(restored["verified"]["checked"].as_u64().unwrap() >= 600, "{restored}");
    load.known().forget_after(second["last_sequence"].as_u64().unwrap());
    let mut node = start(&again).start().unwrap();
    // The same bytes to whoever asks again, and it goes on.
    checks::all_acknowledged(&node.client(), &load);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    checks::verified(&again);
    checks::equals_a_run_without_crashes(&again, &load);
    // Once more, of the folder that was restored and went on.
    assert!(told(backup(&again, &out, &[], ""))["removed"].as_u64() > Some(0));
}

#[test]
fn what_is_wrong_with_a_backup_is_named_and_the_next_one_mends_it() {
    let (dir, config, data) = small();
    let [out, again] = ["backup", "again"].map(|name| dir.path().join(name));
    told(backup(&data, &out, &["--with-keys"], ""));
    let segment = "journal/00000000000000000001.seg";
    let pack = manifest(&out)["files"].as_array().unwrap().iter().find_map(|item| {
        let path = item["path"].as_str()?;
        path.starts_with("generations/objects/").then(|| path.to_owned())
    });
    let pack = pack.unwrap();
    let harm = |path: &str, how: &dyn Fn(&Path, Vec<u8>)| {
        let stored = stored(&out, path);
        how(&stored, fs::read(&stored).unwrap());
    };
    let fails = |paths: &[&str]| {
        let done = restore(&out, &again, &[], "");
        assert_eq!(done.code, 3, "{done:?}");
        for path in paths {
            assert!(done.stderr.contains(path), "{path} is not named: {}", done.stderr);
        }
    };
    harm(segment, &|path, bytes| fs::write(path, &bytes[..bytes.len() - 1]).unwrap());
    harm(&pack, &|path, _| fs::remove_file(path).unwrap());
    fails(&[segment, &pack]);
    assert!(!again.exists(), "nothing is written for a backup that is not whole");
    told(backup(&data, &out, &["--with-keys"], ""));

    harm(segment, &|path, mut bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    fails(&[segment]);
    // What was copied already is nothing that a node takes.
    let error = Start::new(BINARY, &config, &again).start().expect_err("half restored");
    assert!(error.contains("was not finished"), "{error}");
    assert_eq!(
        told(backup(&data, &out, &["--with-keys"], ""))["copied"],
        1,
        "what was harmed is copied again"
    );
    told(restore(&out, &again, &["--verify", "all"], ""));
    let mut node = Start::new(BINARY, &config, &again).start().unwrap();
    pay(&node.client(), 0..40);
    assert!(node.terminate().unwrap().success());
}

#[test]
fn cut_off_half_way_nothing_is_lost_and_the_next_one_completes_it() {
    let (dir, config, data) = small();
    let [out, again] = ["backup", "again"].map(|name| dir.path().join(name));
    let killed = |done: Done| assert_eq!(done.code, -1, "{done:?}");
    killed(backup(&data, &out, &["--with-keys"], "backup.before_file:4"));
    let done = restore(&out, &again, &[], "");
    assert!(done.code == 3 && done.stderr.contains("none that was finished"), "{done:?}");
    let whole = told(backup(&data, &out, &["--with-keys"], ""));
    assert!(whole["copied"].as_u64() < whole["files"].as_u64(), "three were there already: {whole}");

    // The one before outlives one that is cut off.
    let mut node = Start::new(BINARY, &config, &data).start().unwrap();
    pay(&node.client(), 30..60);
    killed(backup(&data, &out, &["--with-keys"], "backup.before_manifest"));
    assert_eq!(told(restore(&out, &again, &[], ""))["last_sequence"], whole["last_sequence"]);
    fs::remove_dir_all(&again).unwrap();
    let more = told(backup(&data, &out, &["--with-keys"], ""));
    assert!(
        more["last_sequence"].as_u64() >= whole["last_sequence"].as_u64().map(|last| last + 30),
        "{more}"
    );
    assert!(node.terminate().unwrap().success());

    for count in [1, 3, 6] {
        killed(restore(&out, &again, &[], &format!("restore.before_file:{count}")));
        let error = Start::new(BINARY, &config, &again).start().expect_err("half restored");
        assert!(error.contains("was not finished"), "{error}");
    }
    assert_eq!(told(restore(&out, &again, &["--verify", "all"], ""))["head"], more["head"]);
    checks::verified(&again);
}

#[test]
fn what_would_cost_a_folder_or_a_backup_is_refused() {
    let (dir, config, data) = small();
    let [out, again, other] = ["backup", "again", "other"].map(|name| dir.path().join(name));
    let refused = |done: Done, why: &str| {
        assert_eq!(done.code, 3, "{done:?}");
        assert!(done.stderr.contains(why), "{why:?} is not in {}", done.stderr);
    };
    told(backup(&data, &out, &[], ""));
    // Whoever steals it has nothing.
    let key = fs::read(data.join("keys/master.key")).unwrap();
    for entry in fs::read_dir(out.join("files")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|part| part == key), "the master key is in the backup");
    }
    refused(restore(&out, &again, &[], ""), "has no keys");
    assert!(!again.exists());
    refused(restore(&out, &data, &["--keys", text(&data.join("keys"))], ""), "not empty");
    told(restore(&out, &again, &["--keys", text(&data.join("keys"))], ""));
    assert!(Start::new(BINARY, &config, &again).start().is_ok());

    // Another node's folder, and one that was begun again from an older state.
    let mut node = Start::new(BINARY, &config, &other).start().unwrap();
    pay(&node.client(), 0..50);
    assert!(node.terminate().unwrap().success());
    refused(backup(&other, &out, &[], ""), "is not the segment");
    pay(&Start::new(BINARY, &config, &data).start().unwrap().client(), 30..40);
    told(backup(&data, &out, &[], ""));
    refused(backup(&again, &out, &[], ""), "ends at sequence");
    refused(backup(&data, &data, &[], ""), "no backup's folder");
    let files: BTreeSet<String> = manifest(&out)["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].as_str().unwrap().split('/').next().unwrap().to_owned())
        .collect();
    // Nothing was refused, so there are no dead letters; the image is that of the first end.
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["generations", "journal", "snapshots"]);
}
