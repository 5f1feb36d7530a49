//! Epochs of a consortium through a whole node: what differs from the one before is hunted, and comes to what judging
//! every payment again comes to, over restarts, lanes, versions of the key and changed list files; and a key exchanged
//! while payments come loses no match.

use super::*;
use interdict::node::consortium::{Class, ConsortiumKey, ConsortiumRow, ConsortiumTerms};
use interdict_engine::ErrorKind;
use interdict_engine::domain::ReasonSource;
use interdict_engine::generation::PartKind;
use interdict_ingest::RequestContext;
use rand::prelude::IndexedRandom;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

fn key(version: u32) -> ConsortiumKey {
    ConsortiumKey::new(version, &[version as u8; 32])
}

/// Signals about what some payments have: cards and names as first bits, the rest as whole tags.
fn signals(node: &Node, version: u32, share: f64, dice: &mut ChaCha8Rng) -> Vec<ConsortiumRow> {
    let mut rows = BTreeMap::new();
    for (accepted, _) in payments(node) {
        let Body::Payment(tx) = &accepted.event.body else { continue };
        for (field, _, tag) in tx.tags().iter().filter(|(_, key, _)| *key == KeyId::consortium(version)) {
            let Some(kind) = SubjectKind::of_field(*field).filter(|_| dice.random_bool(share)) else {
                continue;
            };
            let bits = if matches!(kind, SubjectKind::Card | SubjectKind::Name) { 30 } else { 128 };
            let row = ConsortiumRow {
                kind,
                version,
                tag: tag.cut(bits),
                bits,
                reason: "mule".into(),
                severity: 80,
                class: Class::Independent(2),
                first_seen_ms: Some(tx.time_ms - 5_000),
                expires_ms: None,
                member: Some("bank-a.example".into()),
                text: None,
            };
            rows.insert((kind, tag.0), row);
        }
    }
    rows.into_values().collect()
}

/// Hunts, and compares with judging everything; how many payments were judged for it.
fn hunted(node: &Arc<Node>, round: &str) -> u64 {
    let figures = &node.window.as_ref().unwrap().figures;
    let learned_last = node.with_core(|core| core.sequencer.book().unhunted().last().unwrap().sequence);
    let before = stands(node);
    let expected = brute_force(node, &before, learned_last);
    let judged = figures.judged.load(Ordering::Relaxed);
    hunt(node);
    assert_eq!(stands(node), expected, "{round}");
    figures.judged.load(Ordering::Relaxed) - judged
}

fn rows(node: &Node) -> u64 {
    node.window.as_ref().unwrap().window.read().len() as u64
}

#[test]
fn epochs_and_changed_files_are_hunted_by_what_differs() {
    let (deployment, folder, clock) = (deployment(), tempfile::tempdir().unwrap(), clock());
    let key_dir = deployment.config.parent().unwrap().join("../keys");
    let terms = ConsortiumTerms { unconfirmed: Outcome::Hold, ..ConsortiumTerms::default() };
    let mut dice = ChaCha8Rng::seed_from_u64(11);
    let mut epoch: Vec<ConsortiumRow> = Vec::new();
    let mut order: Option<Vec<Submission>> = None;
    for round in 0..5 {
        let node = open(&deployment, folder.path(), round % 3, &clock);
        match round {
            0 => node.exchange_consortium_keys(&[key(1)]).unwrap(),
            1 => node.exchange_consortium_keys(&[key(1), key(2)]).unwrap(),
            // A start has the keys.
            _ => assert_eq!(node.consortium_versions(), [1, 2]),
        }
        let decoder = Decoder::new(node.keys.tags.clone());
        // Read anew where keys have changed; labels teach banks, for which all payments are judged again.
        if round < 3 || order.is_none() {
            let mut all = world(&decoder);
            all.retain(|submission| matches!(submission.event.body, Body::Payment(_)));
            order = Some(all);
        }
        let all = order.as_ref().unwrap();
        let part = all.chunks(all.len().div_ceil(5)).nth(round).unwrap();
        submit(&node, part);
        hunt_if_due(&node);
        let judged = match round {
            // The first epoch; one that takes away, adds, and says the same under the next key.
            0 | 1 | 3 => {
                epoch.retain(|_| dice.random_bool(0.7));
                let version = if round == 0 { 1 } else { 2 };
                let known: Vec<(SubjectKind, u128)> = epoch
                    .iter()
                    .filter(|row| row.version == version)
                    .map(|row| (row.kind, row.tag.0))
                    .collect();
                let more = signals(&node, version, 0.01, &mut dice);
                epoch.extend(more.into_iter().filter(|row| !known.contains(&(row.kind, row.tag.0))));
                let published = node.publish_consortium(epoch.clone(), &terms, clock.wall_ms()).unwrap();
                assert_eq!(published.unusable, 0);
                assert_eq!(node.view().id(), published.generation);
                let again = node.publish_consortium(epoch.clone(), &terms, clock.wall_ms()).unwrap();
                assert_eq!(again.generation, published.generation, "nothing differs");
                hunted(&node, &format!("epoch of round {round}"))
            }
            // A list file, whose publication leaves the epoch in force.
            2 => {
                let all = payments(&node);
                let mut file = "type,value\n".to_owned();
                for (accepted, _) in all.iter().filter(|_| dice.random_bool(0.02)) {
                    let Body::Payment(tx) = &accepted.event.body else { continue };
                    let terminal = tx.text(Field::TerminalId);
                    terminal.into_iter().for_each(|id| file += &format!("terminal,{id}\n"));
                }
                std::fs::write(
                    deployment.config.parent().unwrap().join("lists/compromised_terminals.csv"),
                    file,
                )
                .unwrap();
                node.publish_current(clock.wall_ms()).unwrap();
                hunted(&node, "a changed file")
            }
            // The earlier key goes, with all that was said under it; a delta, and a pack for which all are judged.
            _ => {
                epoch.retain(|row| row.version == 2);
                let refused = node.exchange_consortium_keys(&[key(2)]).unwrap_err();
                assert!(refused.to_string().contains("version 1"), "{refused}");
                node.publish_consortium(epoch.clone(), &terms, clock.wall_ms()).unwrap();
                node.exchange_consortium_keys(&[key(2)]).unwrap();
                assert!(!key_dir.join("consortium-1.key").exists());
                submit(&node, &blocks(&node, &mut dice));
                hunted(&node, "an epoch without the earlier key, and deltas")
            }
        };
        assert!(judged > 0 && judged < rows(&node) / 2, "round {round}: {judged} judged of {}", rows(&node));
        if round == 4 {
            set_pack(&deployment, "hold");
            node.publish_current(clock.wall_ms()).unwrap();
            assert!(hunted(&node, "a pack") >= rows(&node) - 1);
        }
        let parts = node.view().generation().manifest().parts().to_vec();
        let lists =
            parts.iter().filter(|(kind, name, _)| *kind == PartKind::List && name.starts_with("consortium_"));
        assert!(lists.count() >= 4, "the epoch's lists are there after each publication");
        node.close().unwrap();
    }
    let data = folder.path().to_str().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .args(["verify", "--data", data, "--config", deployment.config.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// What was learned by payments themselves, so that a round's figures are those of its publication.
fn hunt_if_due(node: &Arc<Node>) {
    if node.with_core(|core| !core.sequencer.book().unhunted().is_empty()) {
        hunt(node);
    }
}

fn payment_of(decoder: &Decoder, id: &str, pan: &str) -> Submission {
    let json: Value = json!({
        "id": id, "time": rfc3339(ARRIVAL_MS - 1000), "amount": {"minor": 100, "currency": "EUR"},
        "channel": "ecommerce", "card": {"pan": pan},
    });
    let decoded = decoder.decode(json.to_string().as_bytes(), &RequestContext::default()).unwrap();
    interdict::http::decisions::from_decoded(decoded, ARRIVAL_MS)
}

#[test]
fn a_key_exchanged_while_payments_come_loses_no_match() {
    const PANS: [&str; 4] = ["4111111111111111", "5555555555554444", "4012888888881881", "378282246310005"];
    for lanes in [0, 2] {
        let (deployment, folder, clock) = (deployment(), tempfile::tempdir().unwrap(), clock());
        let node = open(&deployment, folder.path(), lanes, &clock);
        // PANS[0] is listed all the time, first under version 3, then under 4.
        let epoch = |versions: &[u32]| -> Vec<ConsortiumRow> {
            let row = |version: &u32| {
                let tag = node.keys.tags.consortium(*version).unwrap().tag(SubjectKind::Card, PANS[0]);
                ConsortiumRow {
                    kind: SubjectKind::Card,
                    version: *version,
                    tag,
                    bits: 128,
                    reason: "stolen".into(),
                    severity: 0,
                    class: Class::Trusted,
                    first_seen_ms: None,
                    expires_ms: None,
                    member: None,
                    text: None,
                }
            };
            versions.iter().map(row).collect()
        };
        let publish = |versions: &[u32]| {
            node.publish_consortium(epoch(versions), &ConsortiumTerms::default(), clock.wall_ms()).unwrap();
        };
        node.exchange_consortium_keys(&[key(3)]).unwrap();
        publish(&[3]);
        let stop = AtomicBool::new(false);
        let settled = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let (node, stop) = (&node, &stop);
                    scope.spawn(move || {
                        let decoder = Decoder::new(node.keys.tags.clone());
                        let mut dice = ChaCha8Rng::seed_from_u64(thread);
                        let mut settled = Vec::new();
                        while !stop.load(Ordering::Acquire) {
                            let pan = *PANS.choose(&mut dice).unwrap();
                            let id = format!("p-{thread}-{}", settled.len());
                            loop {
                                match node.call(payment_of(&decoder, &id, pan)) {
                                    Answered::Decided(one) => settled.push((pan, one)),
                                    Answered::Refused(e) if e.kind == ErrorKind::OtherKeys => continue,
                                    other => panic!("{other:?}"),
                                }
                                break;
                            }
                        }
                        settled
                    })
                })
                .collect();
            let wait = || std::thread::sleep(20 * MS);
            wait();
            for round in 0..3 {
                let (old, new) = (3 + round, 4 + round);
                node.exchange_consortium_keys(&[key(old), key(new)]).unwrap();
                publish(&[old, new]);
                wait();
                publish(&[new]);
                node.exchange_consortium_keys(&[key(new)]).unwrap();
                wait();
            }
            stop.store(true, Ordering::Release);
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let is_hit = |settled: &interdict::node::Settled| {
            let of = |reason: &interdict_engine::domain::Reason| {
                matches!(reason.source, ReasonSource::Entry { .. })
            };
            settled.verdict.reasons.iter().any(of)
        };
        let (listed, others): (Vec<_>, Vec<_>) = settled.iter().partition(|(pan, _)| *pan == PANS[0]);
        assert!(listed.len() > 10 && others.len() > 10, "{} and {}", listed.len(), others.len());
        let lost: Vec<u64> =
            listed.iter().filter(|(_, one)| !is_hit(one)).map(|(_, one)| one.verdict.sequence).collect();
        assert!(lost.is_empty(), "lanes {lanes}: {lost:?} lost of {}", listed.len());
        assert!(listed.iter().all(|(_, one)| one.verdict.outcome == Outcome::Decline));
        assert!(!others.iter().any(|(_, one)| is_hit(one)));
        drop(settled);
        node.close().unwrap();
    }
}
