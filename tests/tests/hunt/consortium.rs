//! Epochs of a consortium through a whole node: what differs from the one before is hunted, and comes to what judging
//! every payment again comes to, over restarts, lanes, versions of the key and changed list files; and a key exchanged
//! while payments come loses no match.

use super::*;
use interdict::answer::Source;
use interdict::node::consortium::{Class, ConsortiumKey, ConsortiumRow, ConsortiumTerms};
use interdict::node::finish::confirm::Answer;
use interdict_engine::ErrorKind;
use interdict_engine::domain::{Audience, Confirmation, ReasonSource};
use interdict_engine::generation::PartKind;
use interdict_engine::stage::SkipReason;
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
    until_timers_are_done(node);
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
    verified(&deployment, folder.path());
}

/// Every verdict of a folder is made again, and comes out as recorded.
fn verified(deployment: &Deployment, folder: &Path) {
    let out = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .args(["verify", "--data", folder.to_str().unwrap(), "--config", deployment.config.to_str().unwrap()])
        .output()
        .unwrap();
    let told = [&out.stdout[..], &out.stderr[..]].concat();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&told));
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

/// Waits for something that another thread does.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(2 * MS);
    }
}

#[test]
fn candidates_are_finished_once_by_what_is_said_of_them() {
    const PANS: [&str; 4] = ["4111111111111111", "5555555555554444", "4012888888881881", "378282246310005"];
    let (deployment, folder, clock) = (deployment(), tempfile::tempdir().unwrap(), clock());
    let node = open(&deployment, folder.path(), 0, &clock);
    node.exchange_consortium_keys(&[key(5)]).unwrap();
    let keys = node.keys.tags.clone();
    // The first bits of three cards are listed; of which the rest is, only the tag service knows.
    let row = |pan: &&str| ConsortiumRow {
        kind: SubjectKind::Card,
        version: 5,
        tag: keys.consortium(5).unwrap().tag(SubjectKind::Card, pan).cut(30),
        bits: 30,
        reason: "skimmed".into(),
        severity: 90,
        class: Class::Trusted,
        first_seen_ms: Some(ARRIVAL_MS - 61_000),
        expires_ms: None,
        member: Some("bank-a.example".into()),
        text: None,
    };
    let terms = ConsortiumTerms { unconfirmed: Outcome::Hold, ..ConsortiumTerms::default() };
    node.publish_consortium(PANS[..3].iter().map(row), &terms, clock.wall_ms()).unwrap();
    let decoder = Decoder::new(node.keys.tags.clone());
    let mut sequences = Vec::new();
    for (at, pan) in PANS.iter().enumerate() {
        let Answered::Decided(settled) = node.call(payment_of(&decoder, &format!("c-{at}"), pan)) else {
            panic!()
        };
        let verdict = &settled.verdict;
        let late = vec![(interdict_engine::Stage::Lists, SkipReason::ConfirmLate)];
        let expected = if at < 3 { (Outcome::Hold, late) } else { (Outcome::Approve, vec![]) };
        assert_eq!((verdict.outcome, verdict.skipped.clone()), expected, "{pan}");
        sequences.push(verdict.sequence);
        if at == 0 {
            let (reasons, _) = Source::from(&*settled).reasons(Audience::Internal);
            let told = serde_json::to_value(&reasons).unwrap();
            let detail =
                told.as_array().unwrap().iter().find(|r| r["rule"] == "lists/consortium_card").unwrap();
            let detail = &detail["detail"];
            assert_eq!((&detail["class"], &detail["member"]), (&json!("trusted"), &json!("bank-a.example")));
            assert_eq!((&detail["age_s"], &detail["candidate"]), (&json!(60), &json!(true)));
            assert_eq!((&detail["reason"], &detail["severity"]), (&json!("skimmed"), &json!(90)));
        }
    }
    let candidates = node.candidates(0, 10);
    let told: Vec<_> =
        candidates.iter().map(|c| (c.sequence, c.identifier.as_ref().unwrap().canonical())).collect();
    assert_eq!(told, sequences[..3].iter().copied().zip(PANS).collect::<Vec<_>>());
    assert!(!format!("{candidates:?}").contains(PANS[0]), "it shows no identifier");
    assert_eq!(node.candidates(sequences[0], 1)[0].sequence, sequences[1]);
    drop((candidates, decoder));
    node.close().unwrap();

    // After a restart they wait again, without the identifiers.
    let node = open(&deployment, folder.path(), 2, &clock);
    wait_for("they wait again", || node.confirming() == 3);
    assert!(node.candidates(0, 10).iter().all(|one| one.identifier.is_none()));
    let card = Field::Card as u8;
    let said = |listed| Answer::Said(vec![Confirmation { field: card, listed }]);
    let answers = [said(true), said(false), Answer::Late];
    assert!(!node.confirm(sequences[3], said(true)));
    for (sequence, answer) in sequences.iter().zip(&answers) {
        assert!(node.confirm(*sequence, answer.clone()));
        assert!(!node.confirm(*sequence, said(true)), "what was said is said");
    }
    let finished =
        |at: usize| node.given(sequences[at]).unwrap().unwrap().finished.map(|(finished, _)| finished);
    wait_for("all are finished", || (0..3).all(|at| finished(at).is_some()));
    let outcomes = [0, 1, 2].map(|at| finished(at).unwrap().verdict.outcome);
    assert_eq!(outcomes, [Outcome::Decline, Outcome::Approve, Outcome::Hold]);
    let late = [0, 1, 2].map(|at| !finished(at).unwrap().verdict.skipped.is_empty());
    assert_eq!((late, node.confirming(), finished(3)), ([false, false, true], 0, None));
    let frees = |at: usize| {
        node.with_core(|core| core.sequencer.book().latest(sequences[at]).unwrap().1.frees.is_some())
    };
    wait_for("its release is proposed", || frees(1));
    assert!(!frees(0) && !frees(2));
    let counts: Vec<_> = node.finish.confirmed.all().collect();
    assert_eq!(counts, [("listed", 1), ("not_listed", 1), ("late", 1)]);

    // What becomes known of the payments is known of the signals that meant them: the second was another card's.
    for (at, label) in [(0, Label::Fraud), (1, Label::Good), (3, Label::Fraud), (0, Label::Good)] {
        let body = Body::Label { target: sequences[at], label, time_ms: ARRIVAL_MS + at as i64 };
        let event = Event { tenant: "default".into(), arrival_ms: ARRIVAL_MS, body };
        submit(
            &node,
            &[Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }],
        );
    }
    let all = node.consortium_outcomes(0, 100).unwrap();
    let tag = row(&PANS[0]).tag;
    let told: Vec<_> =
        all.rows.iter().map(|row| (row.payment, row.tag, row.confirmed, row.time_ms)).collect();
    assert_eq!(told, [(sequences[0], tag, true, ARRIVAL_MS), (sequences[0], tag, false, ARRIVAL_MS)]);
    assert!(all.rows.iter().all(|row| (row.version, row.bits, row.kind) == (5, 30, SubjectKind::Card)));
    // Page by page they are the same, and behind the last there is nothing.
    let first = node.consortium_outcomes(0, 1).unwrap();
    let rest = node.consortium_outcomes(first.through, 100).unwrap();
    assert_eq!([first.rows, rest.rows].concat(), all.rows);
    assert!(node.consortium_outcomes(all.through, 100).unwrap().rows.is_empty());
    node.close().unwrap();
    verified(&deployment, folder.path());
}
