//! Sealing keys rotate, and what passed its retention is gone: no key opens it, all of the ring's together neither, and
//! its bytes are nowhere else. What is younger, the open parts, the chain, restarts and the tools go on as before.

use super::{DAY_MS, Place, pay, rotate};
use interdict::answer::time;
use interdict::node::ring::{Purpose, Ring};
use interdict::node::{Answered, Node, now_ms};
use interdict_ledger::journal::{KeyState, Reader, RecordKind};
use interdict_ledger::storage::FileStorage;
use interdict_ledger::{ErrorKind, Sealing};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;

const RETENTION: &str = "[journal]\nretain_text_days = 30\nsegment_max_h = 12\n";

/// A payment whose payee's name says when it was made.
fn payment(day: i64, now_ms: i64) -> Value {
    json!({
        "id": format!("tx-{day}"), "time": time(now_ms), "channel": "transfer",
        "amount": {"minor": 100 + day, "currency": "EUR"},
        "card": {"token": format!("c-{}", day % 3)}, "merchant": {"id": "M-1"},
        "payee": {"name": format!("Olaf Number {day}")}, "text": format!("invoice of day {day}"),
    })
}

/// The sealed parts of all payments: `None` where the key was destroyed.
fn sealed(place: &Place, keys: &Sealing) -> Vec<(u64, Option<Vec<u8>>)> {
    let storage = Arc::new(FileStorage::open(place.data().join("journal")).unwrap());
    let reader = Reader::open(storage, keys).unwrap();
    let mut all = Vec::new();
    let read = reader.for_each(1, &mut |stored| {
        if stored.kind == RecordKind::Accepted {
            all.push((stored.sequence, stored.sealed()?));
        }
        Ok(())
    });
    read.unwrap();
    all
}
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}
fn segments(node: &Node) -> Vec<KeyState> {
    node.keeping.segments().iter().map(|info| info.key).collect()
}

#[test]
fn what_passed_its_retention_no_key_opens_and_everything_else_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), RETENTION);
    let start_ms = now_ms();
    let node = place.open(start_ms);
    let day_ms = |day: i64| start_ms + day * DAY_MS;
    for day in 0..6 {
        // The second and the third key seal from the third and the fifth day on.
        if day == 2 || day == 4 {
            rotate(&node, Purpose::Sealing, day_ms(day));
        }
        let answered = pay(&node, "acme", &payment(day, day_ms(day)), day_ms(day));
        assert!(matches!(answered, Answered::Decided(_)), "{answered:?}");
        node.retain(day_ms(day));
        // By the journal's own clock a segment is never half a day old here.
        node.with_core(|_| ());
        node.retain(now_ms() + DAY_MS / 2);
    }
    let ring = Ring::open(&place.keys()).unwrap();
    assert_eq!((ring.rows().len(), ring.newest(Purpose::Sealing).row.number), (3, 3));
    let before: Vec<KeyState> = segments(&node);
    assert!(before.iter().all(|key| *key == KeyState::Present) && before.len() >= 7, "{before:?}");
    let all_keys = ring.sealing();
    let kept = sealed(&place, &all_keys);
    assert_eq!(kept.iter().filter(|(_, text)| text.as_ref().is_some_and(|t| !t.is_empty())).count(), 6);
    // A key alone opens what was sealed under it, and names the one that it lacks.
    let storage = Arc::new(FileStorage::open(place.data().join("journal")).unwrap());
    let error = Reader::open(storage, &ring.key(2).unwrap().master).err().unwrap();
    assert_eq!(error.kind, ErrorKind::WrongKey);

    // On the 33rd day the first three have passed: their segments' newest records are 33, 32 and 31 days old.
    let readable = |node: &Node| segments(node).iter().filter(|key| **key == KeyState::Present).count();
    let was = readable(&node);
    node.retain(day_ms(32) + 1);
    let done = &node.keeping.done;
    let count = |counted: &std::sync::atomic::AtomicU64| counted.load(std::sync::atomic::Ordering::Relaxed);
    assert!(count(&done.destroyed) >= 3 && count(&done.overdue) == 0 && count(&done.failures) == 0);
    assert_eq!(was - readable(&node), count(&done.destroyed) as usize);
    let left = sealed(&place, &all_keys);
    let texts = |all: &[(u64, Option<Vec<u8>>)]| -> Vec<Option<bool>> {
        let payments =
            all.iter().zip(&kept).filter(|(_, (_, was))| was.as_ref().is_some_and(|t| !t.is_empty()));
        payments.map(|((_, text), _)| text.as_ref().map(|text| holds(text, "Olaf Number"))).collect()
    };
    assert_eq!(texts(&left), [None, None, None, Some(true), Some(true), Some(true)]);
    for (path, bytes) in place.files() {
        assert!(!holds(&bytes, "Olaf Number"), "a name in {}", path.display());
    }
    // Whatever 60 bytes are put in the slot's place: the wrapping is gone, and with it the key.
    let first = place.data().join("journal/00000000000000000001.seg");
    let bytes = fs::read(&first).unwrap();
    assert_eq!(bytes[180..240], [0; 60]);

    // The running node, and one that is started again: retries, features, verdicts.
    let retry = |node: &Node, day| {
        let answered = pay(node, "acme", &payment(day, day_ms(day)), day_ms(6));
        assert!(matches!(answered, Answered::Same(_)), "{answered:?}");
    };
    (0..6).for_each(|day| retry(&node, day));
    node.close().unwrap();
    let node = place.open(day_ms(33));
    assert_eq!(node.recovered.restored_differently, 0);
    (0..6).for_each(|day| retry(&node, day));
    node.close().unwrap();

    let found = place.verify();
    assert_eq!((found["different"].as_u64(), found["damaged"].as_u64()), (Some(0), Some(0)), "{found}");
    assert!(found["journal"]["damage"].is_null(), "{found}");
    let (code, told, _) = place.run(&["explain", "tx-0", "--tenant", "acme"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("no longer readable: its key was destroyed") && !told.contains("Olaf"), "{told}");
    let (_, told, _) = place.run(&["explain", "tx-5", "--tenant", "acme"]);
    assert!(told.contains("Olaf Number 5"), "{told}");
    place.holds_no_key();
}

#[test]
fn a_key_is_retired_when_nothing_needs_it_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), RETENTION);
    let start_ms = now_ms();
    let node = place.open(start_ms);
    rotate(&node, Purpose::Sealing, start_ms);
    pay(&node, "acme", &payment(1, start_ms), start_ms);
    rotate(&node, Purpose::Sealing, start_ms + 1);
    pay(&node, "acme", &payment(2, start_ms), start_ms);
    let refused = |number: &str, why: &str| {
        let (code, _, err) = place.run(&["keys", "retire", number]);
        assert!(code == 3 && err.contains(why), "{code}: {err}");
    };
    refused("2", "segments whose text can be read");
    refused("3", "as the newest key");
    refused("1", "lists, which are tagged under it");
    refused("9", "there is no key 9");
    // A month later the second key's text has passed; the third's is younger by a segment that is open still.
    node.retain(start_ms + 31 * DAY_MS);
    node.close().unwrap();
    let (_, shown, _) = place.run(&["keys", "ring"]);
    assert!(shown.contains("needed by nothing"), "{shown}");
    let (code, told, err) = place.run(&["keys", "retire", "2"]);
    assert!(code == 0 && told.contains("key 2 is destroyed"), "{told}{err}");
    assert!(!place.keys().join("master-2.key").exists());
    let (_, shown, _) = place.run(&["keys", "ring", "--json"]);
    let rows: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() == 3 && rows[1]["retired_ms"].is_i64() && rows[2]["retired_ms"].is_null(), "{shown}");

    // Without it the folder opens, verifies, and is backed up and restored with the ring.
    let found = place.verify();
    assert_eq!(found["different"].as_u64(), Some(0), "{found}");
    let (out, back) = (dir.path().join("backup"), dir.path().join("back"));
    let (code, _, err) = place.run(&["backup", "--with-keys", "--out", out.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let args = ["restore", "--from", out.to_str().unwrap(), "--data", back.to_str().unwrap()];
    let restored = std::process::Command::new(super::BINARY).args(args).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    for name in ["master.key", "master-3.key", "ring.toml"] {
        assert_eq!(
            fs::read(back.join("keys").join(name)).unwrap(),
            fs::read(place.keys().join(name)).unwrap()
        );
    }
    let node = place.open(start_ms + 32 * DAY_MS);
    assert_eq!(node.recovered.restored_differently, 0);
    node.close().unwrap();

    // A key that is lost or damaged is named at start.
    let third = place.keys().join("master-3.key");
    let bytes = fs::read(&third).unwrap();
    fs::remove_file(&third).unwrap();
    let (code, _, err) = place.run(&["serve", "--config", place.config().to_str().unwrap()]);
    assert!(code == 3 && err.contains("key 3 is lost") && err.contains("master-3.key"), "{err}");
    fs::write(&third, &bytes[1..]).unwrap();
    super::mode(&third, 0o600);
    let (code, _, err) = place.run(&["serve", "--config", place.config().to_str().unwrap()]);
    assert!(code == 3 && err.contains("key 3") && err.contains("31 bytes"), "{err}");
}
