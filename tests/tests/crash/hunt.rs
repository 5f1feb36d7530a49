//! `kill -9` while the window is being hunted: after each restart it goes on, and in the end just those payments are held
//! that were let through before their card was listed, each once.

use super::BINARY;
use interdict_tests::blackbox::{after_ms, payment, probe};
use interdict_tests::node::{Client, Running, Start};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Payments of each round.
const PAYMENTS: usize = 80;
/// Cards that they are made with.
const CARDS: usize = 20;

/// How the rounds end: at the how-manieth time that a point is reached, or from outside after so many ms.
const ROUNDS: [(&str, u64); 6] = [
    ("hunt.before_found", 1),
    ("hunt.before_end", 1),
    ("", 3),
    ("journal.after_append", 90),
    ("", 30),
    ("hunt.before_found", 2),
];

#[test]
fn what_was_let_through_is_held_once_whatever_kills_the_hunt() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (probe(folder.path(), "[window]\npercent = 100\n"), folder.path().join("data"));
    let mut let_through = BTreeSet::new();
    for (round, (point, count)) in ROUNDS.into_iter().enumerate() {
        let start = Start::new(BINARY, &config, &data).args(&["--lanes", ["0", "1"][round % 2]]);
        let start = match point {
            "" => start,
            point => start.env("INTERDICT_FAILPOINT", &format!("{point}:{count}")),
        };
        // It may reach the point before it is ready, by what the round before has left.
        let Ok(mut node) = start.start() else { continue };
        let_through.extend(pay(&node, round));
        list(&node.client(), round);
        if point.is_empty() {
            std::thread::sleep(Duration::from_millis(count));
        } else {
            let _ = node.wait(Duration::from_secs(5));
        }
        node.kill();
    }
    let mut node = Start::new(BINARY, &config, &data).start().unwrap();
    // Whatever of it was never acknowledged is said now.
    (0..ROUNDS.len()).for_each(|round| assert!(list(&node.client(), round), "round {round}"));
    let began = Instant::now();
    loop {
        let status = node.client().get("/v1/status").unwrap().json();
        if status["window"]["unhunted"] == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "never hunted: {status}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let held = held(&node.client());
    let distinct: BTreeSet<String> = held.iter().cloned().collect();
    assert_eq!(held.len(), distinct.len(), "one hold a payment");
    let expected: BTreeSet<String> =
        let_through.into_iter().filter(|(_, card)| *card < ROUNDS.len()).map(|(id, _)| id).collect();
    assert!(expected.len() > 10, "{}", expected.len());
    // A payment that was never answered may have been let through as well.
    let missing: Vec<_> = expected.difference(&distinct).collect();
    assert!(missing.is_empty(), "let through and not held: {missing:?}");
    // The gate knows them.
    let ids: Vec<&String> = distinct.iter().collect();
    let answer = node.client().post("/v1/settlement/clear", &json!({"ids": ids})).unwrap().json();
    let states: BTreeSet<&str> =
        answer["results"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, BTreeSet::from(["held"]), "{answer}");
    assert!(node.terminate().unwrap().success());
    super::checks::verified(&data);
}

/// Sends until it dies; the payments that were let through, with their card.
fn pay(node: &Running, round: usize) -> Vec<(String, usize)> {
    let (client, mut let_through) = (node.client(), Vec::new());
    for number in 0..PAYMENTS {
        let (id, card) = (format!("{round}-{number}"), number % CARDS);
        let body = payment(json!({
            "id": id,
            "card": {"token": format!("card-{card}")},
            "settles_at": after_ms(3_600_000),
        }));
        match client.post("/v1/decisions", &body) {
            Ok(reply) if reply.status == 200 => {
                if reply.json()["outcome"] == "approve" {
                    let_through.push((id, card));
                }
            }
            _ => break,
        }
    }
    let_through
}

/// Lists the round's card; whether that was acknowledged.
fn list(client: &Client, round: usize) -> bool {
    let entry = json!([{"card": {"token": format!("card-{round}")}, "reason": "STOLEN"}]).to_string();
    client.send("PUT", "/v1/lists/stolen/entries", &[], entry).is_ok_and(|reply| reply.status == 200)
}

/// The ids of the payments that are held.
fn held(client: &Client) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/holds?state=held&limit=100{cursor}")).unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        let holds = page["holds"].as_array().unwrap();
        all.extend(holds.iter().map(|hold| hold["payment"]["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}
