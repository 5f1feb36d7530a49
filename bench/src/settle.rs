//! What the second clock costs: a changed pack over the whole window beside a replay of the same payments, a list delta
//! of ten thousand cards, the settlement gate beside looking the same ids up in a map in memory, and what a hunt costs the
//! payments beside it (`settle/inline.rs`). A real node on a real folder; but for that last one, one thread hunts, with a
//! whole core.

mod inline;

pub use inline::Shift;

use crate::payments::Payments;
use crate::results::machine::Stamp;
use crate::results::{Better, Results, Runs};
use anyhow::{Context, Result, bail, ensure};
use interdict::config;
use interdict::http::decisions::from_decoded;
use interdict::node::{Answered, Node, Options, now_ms};
use interdict_engine::domain::{
    Body, Clear, ClearState, Cleared, Effect, Entry, Event, KeyId, ListDelta, Subject, SubjectKind,
};
use interdict_engine::sequencer::Submission;
use interdict_ingest::{Decoder, RequestContext};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Cards of the list delta, and how many of them are any payment's.
const CARDS: u64 = 10_000;
const KNOWN_CARDS: u64 = 50;
/// Payments at the gate.
const AT_THE_GATE: usize = 10_000;
/// Times the gate is asked.
const ASKED: usize = 5;
/// The file with what was measured, in the work folder.
const FILE: &str = "settle.json";
/// A pack that with the publication stops one payment in a thousand.
const RULE: &str = "rules:
  - id: late
    title: What comes after a publication
    when: amount.minor % 1000 == 7
    outcome: hold
    score: 77
    code: LATER
    examples:
      hit: [{amount.minor: 1007}]
      miss: [{amount.minor: 8999}]
";

/// What to measure.
#[derive(Debug, Clone)]
pub struct SettleConfig {
    /// The folder with `deploy` and `packs`.
    pub repository: PathBuf,
    /// The binary that replays.
    pub binary: PathBuf,
    /// Where data folder and result go.
    pub work: PathBuf,
    /// Payments.
    pub events: u64,
    /// Rounds of payments without a hunt beside them, and as many with; 0: this is left out.
    pub rounds: usize,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SettleReport {
    /// Payments in the window.
    pub events: u64,
    /// Payments a second of `interdict replay` over the same payments.
    pub replay_tps: f64,
    /// Payments a second of the hunt for a changed pack.
    pub hunt_tps: f64,
    /// What it held.
    pub hunt_found: u64,
    /// From the delta to the end of its hunt, in ms.
    pub delta_ms: f64,
    /// What it held.
    pub delta_found: u64,
    /// The gate for 10,000 payments, in µs: identities, facts, events, journal; each time other payments.
    pub gate_us: Vec<f64>,
    /// Looking the ids up in a map in memory, in µs.
    pub map_us: Vec<f64>,
    /// Bytes of the window's files.
    pub window_bytes: u64,
    /// What a hunt costs the payments beside it.
    #[serde(default)]
    pub shift: Option<Shift>,
}

/// Measures, and writes the figures into the work folder.
///
/// # Errors
/// When the node or the replay cannot be started, or does not find what it is to find.
pub fn run(config: &SettleConfig) -> Result<SettleReport> {
    let home = config.work.join("settle-data");
    if home.exists() {
        std::fs::remove_dir_all(&home).with_context(|| home.display().to_string())?;
    }
    for folder in ["deploy", "packs"] {
        copy(&config.repository.join(folder), &home.join(folder))?;
    }
    let deployed = home.join("deploy/default.toml");
    let text = std::fs::read_to_string(&deployed)?;
    let with_pack = text.replacen("packs = [", "packs = [\"../packs/later\", ", 1);
    std::fs::write(&deployed, with_pack.clone() + "\n[window]\npercent = 100\n")?;
    set_pack(&home, "approve")?;
    let start_ms = now_ms() - 3_600_000;
    // All settle tomorrow.
    let settles_ms = Some(start_ms + 86_400_000);
    let payments = Payments { prefix: "s", start_ms, step_ms: 1, settles_ms };
    let feed = home.join("feed.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&feed)?);
    for number in 0..config.events {
        writeln!(file, "{}", payments.json(number))?;
    }
    file.into_inner()?.sync_all()?;
    let replay_tps = replay(config, &deployed, &feed, &home)?;

    let options = Options { lanes: Some(0), hunts: true, ..Options::default() };
    let node = Node::open(&home.join("node"), config::load(&deployed)?, &options, now_ms())?;
    let hunt = node.window.as_ref().context("the node has no window")?;
    hunted(&node)?;
    payments.fill(&node, config.events)?;
    filled(&node, config.events)?;

    // A changed pack: everything is judged again.
    hunt.hold_back(true);
    set_pack(&home, "hold")?;
    node.publish_current(now_ms())?;
    let (before, began) = (held(&node), Instant::now());
    hunt.hold_back(false);
    hunted(&node)?;
    let hunt_tps = config.events as f64 / began.elapsed().as_secs_f64();
    let hunt_found = held(&node) - before;
    ensure!(hunt_found > 0, "the changed pack stopped nothing");

    // Ten thousand cards, some of which have paid.
    let (before, delta) = (held(&node), delta(&node)?);
    let began = Instant::now();
    let answered = node.call(delta);
    ensure!(matches!(answered, Answered::Noted(_)), "the list delta was not taken: {answered:?}");
    hunted(&node)?;
    let delta_ms = began.elapsed().as_secs_f64() * 1e3;
    let delta_found = held(&node) - before;
    ensure!(delta_found > 0, "the listed cards stopped nothing");

    let (gate_us, map_us) = gate(&node, config.events)?;
    let window_bytes = hunt.window.read().file_bytes();
    node.close()?;
    let shift = match config.rounds {
        0 => None,
        _ => {
            // As a server has it: the profile's share.
            let shared = deployed.with_file_name("shared.toml");
            std::fs::write(&shared, with_pack)?;
            Some(inline::measure(config, &home, &shared, &payments, config.events)?)
        }
    };
    let report = SettleReport {
        events: config.events,
        replay_tps,
        hunt_tps,
        hunt_found,
        delta_ms,
        delta_found,
        gate_us,
        map_us,
        window_bytes,
        shift,
    };
    std::fs::write(config.work.join(FILE), serde_json::to_string_pretty(&report)? + "\n")?;
    std::fs::remove_dir_all(&home)?;
    Ok(report)
}

/// The pack that changes.
fn set_pack(home: &Path, outcome: &str) -> Result<()> {
    let later = home.join("packs/later");
    std::fs::create_dir_all(later.join("rules"))?;
    let manifest = "name: later\nversion: 1.0.0\nowner: bench@example.org\ndescription: For the bench.\n";
    std::fs::write(later.join("pack.yaml"), manifest)?;
    let rules = RULE.replace("outcome: hold", &format!("outcome: {outcome}"));
    Ok(std::fs::write(later.join("rules/later.yaml"), rules)?)
}

fn replay(config: &SettleConfig, deployed: &Path, feed: &Path, home: &Path) -> Result<f64> {
    let out = Command::new(&config.binary)
        .arg("replay")
        .arg(feed)
        .args(["--lanes", "0", "--json", "--config"])
        .arg(deployed)
        .arg("--out")
        .arg(home.join("replayed"))
        .output()
        .with_context(|| config.binary.display().to_string())?;
    let text = String::from_utf8_lossy(&out.stdout);
    let last = text.lines().last().unwrap_or_default();
    if !out.status.success() {
        bail!("the replay failed: {}", String::from_utf8_lossy(&out.stderr));
    }
    let told: serde_json::Value = serde_json::from_str(last).context("what the replay says at its end")?;
    told["timing"]["throughput_tps"].as_f64().context("the replay does not say how fast it was")
}

/// Waits until all payments are rows.
fn filled(node: &Node, events: u64) -> Result<()> {
    let hunt = node.window.as_ref().context("the node has no window")?;
    let last = node.written_sequence();
    wait(|| hunt.window.read().last_sequence() >= last)?;
    let rows = hunt.window.read().len() as u64;
    ensure!(rows > events / 2 && rows <= events, "{rows} rows of {events} payments");
    Ok(())
}
/// Waits until everything learned is hunted through.
fn hunted(node: &Node) -> Result<()> {
    wait(|| node.with_core(|core| core.sequencer.book().unhunted().is_empty()))
}
fn wait(mut done: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !done() {
        ensure!(began.elapsed() < Duration::from_secs(900), "it never came to its end");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
fn held(node: &Node) -> u64 {
    node.with_core(|core| core.sequencer.book().open_len() as u64)
}

/// Ten thousand cards that payments before may have been made with, or not.
fn delta(node: &Node) -> Result<Submission> {
    let decoder = Decoder::new(node.keys.tags.clone());
    let mut add = Vec::new();
    for number in 0..CARDS {
        let card = if number < KNOWN_CARDS { format!("c-{number}") } else { format!("never-{number}") };
        let body = format!(
            r#"{{"time":"2026-01-01T00:00:00Z","amount":{{"minor":1,"currency":"EUR"}},"card":{{"token":"{card}"}}}}"#
        );
        let decoded = decoder.decode(body.as_bytes(), &RequestContext::default());
        let submission = from_decoded(decoded.map_err(|e| anyhow::anyhow!("{e:?}"))?, 0);
        let Body::Payment(tx) = &submission.event.body else { bail!("a payment is one") };
        let shared = tx.tags().iter().find(|(_, key, _)| *key == KeyId::SHARED);
        let (_, _, tag) = shared.context("a card has a tag under the shared key")?;
        add.push(Entry {
            id: 0,
            subject: Subject::Tag { kind: SubjectKind::Card, tag: *tag },
            effect: Effect::Block,
            overridable: true,
            overrides: None,
            reason: "STOLEN".into(),
            severity: 0,
            contributor: "bench".into(),
            valid_from_ms: None,
            valid_to_ms: None,
        });
    }
    let delta = ListDelta { list: "stolen_cards".into(), shared: true, add, remove: Vec::new() };
    let body = Body::ListDelta(Box::new(delta));
    Ok(submission("default", body))
}

fn submission(tenant: &str, body: Body) -> Submission {
    let event = Event { tenant: tenant.into(), arrival_ms: now_ms(), body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

/// What the gate does with ids, without HTTP and JSON, beside a map from id to sequence.
fn gate(node: &Node, events: u64) -> Result<(Vec<f64>, Vec<f64>)> {
    let decoder = Decoder::new(node.keys.tags.clone());
    let map: HashMap<String, u64> = (0..events).map(|number| (format!("s-{number}"), number + 1)).collect();
    let (mut gate_us, mut map_us) = (Vec::new(), Vec::new());
    for round in 0..ASKED {
        let draw = |at: usize| (at as u64 * 7919 + round as u64 * 104_729) % events;
        let ids: Vec<String> = (0..AT_THE_GATE).map(|at| format!("s-{}", draw(at))).collect();
        let began = Instant::now();
        let found: u64 = ids.iter().filter_map(|id| map.get(id)).sum();
        map_us.push(began.elapsed().as_secs_f64() * 1e6);
        ensure!(std::hint::black_box(found) > 0, "the map has none of them");

        let began = Instant::now();
        let keys: Vec<Vec<u128>> = ids.iter().map(|id| vec![decoder.identity_of("default", id).0]).collect();
        let mut wanted: Vec<u64> = node.known_together("default", &keys).into_iter().flatten().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let facts = node.clearing.facts(&wanted)?;
        let payments: Vec<Cleared> = wanted
            .iter()
            .zip(facts)
            .filter_map(|(sequence, fact)| {
                let (sequence, cut_off_ms) = (*sequence, fact?.cut_off_ms);
                Some(Cleared { sequence, cut_off_ms, lacks: false, state: ClearState::Go, flagged: false })
            })
            .collect();
        for payments in payments.chunks(interdict_engine::limits::CLEAR_EVENT_MAX) {
            let payments = payments.to_vec();
            let clear = Clear { horizon_ms: 0, unhunted_goes: false, hunted_through: 0, payments };
            let answered = node.call(submission("default", Body::Clear(Box::new(clear))));
            ensure!(matches!(answered, Answered::Noted(_)), "the gate: {answered:?}");
        }
        gate_us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok((gate_us, map_us))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The figures of the last run; none where there was none.
///
/// # Errors
/// When the file is not of this form.
pub fn results(work: &Path, stamp: &Stamp) -> Result<Results> {
    let path = work.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Results::new()),
        other => other.with_context(|| path.display().to_string())?,
    };
    let report: SettleReport = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let many = |value: f64| vec![value];
    let hunt = Runs {
        values: many(report.hunt_tps),
        alternative: Some(("interdict replay of the same payments".into(), many(report.replay_tps))),
    };
    let delta = Runs { values: many(report.delta_ms), alternative: None };
    let gate = Runs {
        values: report.gate_us.clone(),
        alternative: Some(("looking the ids up in a HashMap".into(), report.map_us.clone())),
    };
    let window = format!(
        "{} payments through the real journal, window of {} MiB",
        report.events,
        report.window_bytes >> 20
    );
    let found = format!("{window}; {} held", report.hunt_found);
    let listed =
        format!("{CARDS} cards against {window}, from the delta to the end; {} held", report.delta_found);
    let at_the_gate = format!("{AT_THE_GATE} ids: identity, facts, event, journal; no HTTP");
    let mut results = Results::from([
        ("settle/hunt-pack".to_owned(), hunt.entry("payments/s", Better::Higher, stamp, &found)),
        ("settle/hunt-delta".to_owned(), delta.entry("ms", Better::Lower, stamp, &listed)),
        ("settle/gate".to_owned(), gate.entry("us", Better::Lower, stamp, &at_the_gate)),
    ]);
    results.extend(report.shift.iter().flat_map(|shift| shift.entries(stamp)));
    Ok(results)
}
