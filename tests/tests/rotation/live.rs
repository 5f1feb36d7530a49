//! A rotation under load over HTTP, and a process that is killed around one: no answer is lost, no retry is decided
//! anew, and `verify` finds nothing.

use super::{BINARY, Place};
use interdict_tests::node::{Client, Start};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn payment(thread: usize, number: u64) -> Value {
    json!({
        "id": format!("tx-{thread}-{number}"), "tenant": if number.is_multiple_of(3) { "other" } else { "acme" },
        "time": "2026-03-01T12:00:00Z", "channel": "ecommerce", "amount": {"minor": 100 + number, "currency": "EUR"},
        "card": {"token": format!("c-{}", number % 5)}, "merchant": {"id": format!("M-{}", number % 3)},
        "payee": {"name": "Olaf Scholze"},
    })
}

/// The sequence of an answer, which must be one.
fn sent(client: &Client, body: &Value) -> u64 {
    let reply = client.post("/v1/decisions", body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["sequence"].as_u64().unwrap()
}

fn rotate(place: &Place, client: &Client, purposes: &[&str]) -> Value {
    let (code, _, err) = place.run(&[&["keys", "rotate"], purposes].concat());
    assert_eq!(code, 0, "{err}");
    let reply = client.post("/v1/keys/rotate", &json!({})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

#[test]
fn keys_rotate_under_load_and_every_retry_gets_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), "");
    let mut node = Start::new(BINARY, place.config(), place.data()).start().unwrap();
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let wait_for = |count: u64| {
        while done.load(Ordering::Relaxed) < count {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    let client = node.client();
    let given: Vec<BTreeMap<u64, u64>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (client, stop, done) = (node.client(), &stop, &done);
                scope.spawn(move || {
                    let mut given = BTreeMap::new();
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        // One in four as a batch of one: the other way in.
                        let body = payment(thread, number);
                        let sequence = match number % 4 {
                            0 => {
                                let reply = client.post("/v1/decisions", &json!([body])).unwrap();
                                reply.json()[0]["sequence"]
                                    .as_u64()
                                    .unwrap_or_else(|| panic!("{}", reply.text))
                            }
                            _ => sent(&client, &body),
                        };
                        given.insert(number, sequence);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    given
                })
            })
            .collect();
        wait_for(150);
        let in_force = rotate(&place, &client, &["--tags", "--sealing"]);
        assert_eq!((&in_force["sealing"], &in_force["tags"]), (&json!(2), &json!(2)), "{in_force}");
        assert_eq!(in_force["earlier"][0]["number"], 1);
        wait_for(done.load(Ordering::Relaxed) + 150);
        let in_force = rotate(&place, &client, &["--tags"]);
        assert_eq!((&in_force["sealing"], &in_force["tags"]), (&json!(2), &json!(3)), "{in_force}");
        wait_for(done.load(Ordering::Relaxed) + 150);
        let (code, _, _) = place.run(&["keys", "rotate", "--tags"]);
        let refused = client.post("/v1/keys/rotate", &json!({})).unwrap();
        assert!(code == 0 && refused.status == 409 && refused.text.contains("limit 2"), "{}", refused.text);
        wait_for(done.load(Ordering::Relaxed) + 20);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let again = |client: &Client| {
        for (thread, given) in given.iter().enumerate() {
            for (number, sequence) in given.iter().step_by(7) {
                assert_eq!(sent(client, &payment(thread, *number)), *sequence, "tx-{thread}-{number}");
            }
        }
    };
    again(&client);
    // By id too, whichever key it came under; and another payment under a known id is still one.
    let told = client.send("GET", "/v1/decisions/tx-0-1", &[("interdict-tenant", "acme")], "").unwrap();
    assert_eq!((told.status, &told.json()["sequence"]), (200, &json!(given[0][&1])), "{}", told.text);
    let mut other = payment(0, 1);
    other["amount"]["minor"] = json!(9);
    assert_eq!(client.post("/v1/decisions", &other).unwrap().status, 409);
    let label = json!([{"id": "tx-0-1", "label": "fraud", "time": "2026-03-02T00:00:00Z"}]);
    let labelled =
        client.send("POST", "/v1/labels", &[("interdict-tenant", "acme")], label.to_string()).unwrap();
    assert_eq!(labelled.json()[0]["sequence"], json!(given[0][&1]), "{}", labelled.text);
    node.kill();
    place.holds_no_key();
    // The fourth key is not taken up at a start either, which says so and goes on.
    let node = Start::new(BINARY, place.config(), place.data()).start().unwrap();
    assert!(node.log().contains("is not taken up") && node.log().contains("limit 2"), "{}", node.log());
    assert_eq!(node.logged("restored_differently=").as_deref(), Some("0"), "{}", node.log());
    again(&node.client());
    drop(node);
    let found = place.verify();
    assert_eq!(
        (found["different"].as_u64(), found["equal"].as_u64()),
        (Some(0), found["checked"].as_u64()),
        "{found}"
    );
}

#[test]
fn killed_around_a_rotation_the_one_key_is_in_force_or_the_other_and_nothing_is_lost() {
    for place_of_death in ["keys.before_append", "keys.after_append", "journal.after_append"] {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path(), "");
        let start = Start::new(BINARY, place.config(), place.data());
        let count = if place_of_death == "journal.after_append" { 60 } else { 1 };
        let dies = start.clone().env("INTERDICT_FAILPOINT", &format!("{place_of_death}:{count}"));
        let mut node = dies.start().unwrap();
        let client = node.client();
        let first: Vec<u64> = (0..20).map(|number| sent(&client, &payment(0, number))).collect();
        let (code, _, err) = place.run(&["keys", "rotate", "--tags"]);
        assert_eq!(code, 0, "{err}");
        // The process ends itself on the way, but for the third, which is killed under the payments after it.
        let _ = client.post("/v1/keys/rotate", &json!({}));
        for number in 20..80 {
            if client.post("/v1/decisions", &payment(0, number)).is_err() {
                break;
            }
        }
        node.kill();
        let node = start.start().unwrap();
        assert_eq!(node.logged("restored_differently=").as_deref(), Some("0"), "{}", node.log());
        let client = node.client();
        for (number, sequence) in (0..).zip(&first) {
            assert_eq!(sent(&client, &payment(0, number)), *sequence, "{place_of_death}: {number}");
        }
        sent(&client, &payment(1, 0));
        let in_force = client.post("/v1/keys/rotate", &json!({})).unwrap().json();
        assert_eq!(in_force["tags"], 2, "a start takes up what the ring has: {in_force}");
        drop(node);
        let found = place.verify();
        assert_eq!(found["different"].as_u64(), Some(0), "{place_of_death}: {found}");
        place.holds_no_key();
    }
}
