//! A node with a device: the same verdicts as without, on any number of lanes, while the device is lost under what is
//! in flight too. On lavapipe, which serves only where a test says so; no adapter is a failure under `CI=true` and a
//! printed skip elsewhere.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Other tests use the rest, here and below.
#[path = "world/deployment.rs"]
mod deployment;
#[allow(dead_code)]
#[path = "world/submissions.rs"]
mod submissions;

use deployment::Deployment;
use interdict::cli::verify::verify;
use interdict::history::Folder;
use interdict::node::gpu::{Settings, TEST_VARIABLE, Totals};
use interdict::node::{Answered, Job, Node, Options};
use interdict_bench::world::{World, WorldConfig};
use interdict_engine::domain::{Body, Event, Label};
use interdict_engine::sequencer::Submission;
use interdict_ingest::Decoder;
use interdict_shaders::{Dispatcher, FaultKind};
use interdict_tests::blackbox::{payment, probe, write};
use interdict_tests::node::{Client, Start};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
const NOWHERE: [(&str, &str); 2] =
    [("VK_ICD_FILENAMES", "/nonexistent/icd.json"), ("VK_DRIVER_FILES", "/nonexistent/icd.json")];

/// Whether there is an adapter; whether it is software.
fn adapter() -> Option<bool> {
    match Dispatcher::start(Settings::of_tests().device) {
        Ok(dispatcher) => Some(dispatcher.adapter().is_software),
        Err(no_gpu) if no_gpu.fault.is_some() => panic!("{no_gpu}"),
        Err(no_gpu) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("{no_gpu}; install mesa-vulkan-drivers and libvulkan1 for lavapipe")
        }
        Err(no_gpu) => {
            eprintln!("skipped: {no_gpu}");
            None
        }
    }
}

/// Looks until something holds; gives up only when it will never.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(300), "{what} never came");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The world, and a label of nearly every payment soon after it; of some a second one that says otherwise.
fn world_with_labels(decoder: &Decoder, messages: usize) -> Vec<Submission> {
    let world = World::new(&WorldConfig { transactions: messages, ..WorldConfig::default() }).unwrap();
    let (mut order, mut keys) = (Vec::new(), Vec::new());
    for step in submissions::submissions(decoder, &world) {
        let key = step.submission.alias.or(step.submission.identity);
        let is_payment = matches!(step.submission.event.body, Body::Payment(_));
        order.push(step.submission);
        if !is_payment {
            continue;
        }
        keys.push(key.unwrap());
        let labels = [Label::Fraud, Label::Good, Label::Good];
        for (back, turn) in [(20, 0), (60, 1)] {
            let Some(at) = keys.len().checked_sub(back) else { continue };
            if turn == 0 || at % 9 == 0 {
                order.push(label(keys[at], labels[(at + turn) % 3]));
            }
        }
    }
    order
}

fn label(key: u128, label: Label) -> Submission {
    // Weeks after everything: when it was known is no matter here.
    let time_ms = 1_777_593_600_000;
    let body = Body::Label { target: 0, label, time_ms };
    let event = Event { tenant: "default".into(), arrival_ms: time_ms, body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: Some(key.into()) }
}

/// Submits in order and waits for the answers; the verdicts' bytes go to `verdicts` by sequence.
fn submit(node: &Arc<Node>, order: &[Submission], verdicts: &mut BTreeMap<u64, Vec<u8>>) {
    let (send, receive) = channel();
    for batch in order.chunks(16) {
        let job = |submission: &Submission| {
            let (submission, send) = (submission.clone(), send.clone());
            Job { submission, deadline: None, reply: Box::new(move |answered| drop(send.send(answered))) }
        };
        node.submit(batch.iter().map(job));
    }
    drop(send);
    for answered in receive {
        match answered {
            Answered::Decided(settled) => {
                verdicts.insert(settled.verdict.sequence, settled.verdict.encode());
            }
            Answered::Noted(_) | Answered::Same(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What a run came to.
struct Run {
    verdicts: BTreeMap<u64, Vec<u8>>,
    totals: Totals,
}

impl Run {
    /// As `replay` makes its `verdict_digest`.
    fn digest(&self) -> String {
        let all = self.verdicts.values().fold(Sha256::new(), |hash, verdict| hash.chain_update(verdict));
        all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn queries(totals: &Totals) -> u64 {
    totals.gpu.iter().sum()
}

/// The world through a node in three parts; with a device, it has copies from the first pause on. `lose` loses it
/// within the second part and has it back before the third.
fn run(deployment: &Deployment, messages: usize, lanes: usize, gpu: Option<Settings>, lose: bool) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let loaded = interdict::config::load(&deployment.config).unwrap();
    let options = Options { lanes: Some(lanes), gpu, ..Options::default() };
    let node = Node::open(folder.path(), loaded, &options, 0).unwrap();
    let order = world_with_labels(&Decoder::new(node.keys.tags.clone()), messages);
    let totals = || node.gpu.as_ref().map(|gpu| gpu.totals()).unwrap_or_default();
    let serves = || totals().up && totals().bank_bytes > 0;
    let mut verdicts = BTreeMap::new();
    let mut seen = 0;
    for (part, order) in order.chunks(order.len().div_ceil(3)).enumerate() {
        std::thread::scope(|scope| {
            if lose && part == 1 {
                scope.spawn(|| {
                    until("a query", || queries(&totals()) > seen + 50);
                    node.gpu.as_ref().unwrap().lose_device();
                });
            }
            submit(&node, order, &mut verdicts);
        });
        if let Some(gpu) = &node.gpu {
            if lose && part == 1 {
                until("the fault", || totals().faults[FaultKind::Lost as usize] == 1);
            }
            until("a copy on the device", serves);
            println!("after part {part}: {:?} {gpu:?}", totals());
            assert!(part == 0 || queries(&totals()) > seen, "part {part}: {:?}", totals());
            seen = queries(&totals());
        }
    }
    let totals = totals();
    node.close().unwrap();
    let folder = Folder::open(folder.path(), Some(&deployment.config)).unwrap();
    let verified = verify(&folder, 1, u64::MAX, &mut |_, _| {}).unwrap();
    assert_eq!((verified.equal, verified.findings), (verdicts.len() as u64, Vec::new()));
    Run { verdicts, totals }
}

fn same(one: &Run, other: &Run, what: &str) {
    assert_eq!(one.verdicts.len(), other.verdicts.len(), "{what}");
    for ((sequence, one), other) in one.verdicts.iter().zip(other.verdicts.values()) {
        assert_eq!(one, other, "{what}: sequence {sequence}");
    }
    assert_eq!(one.digest(), other.digest(), "{what}");
}

#[test]
fn verdicts_are_the_same_with_a_device_and_without_on_any_number_of_lanes() {
    if adapter().is_none() {
        return;
    }
    const MESSAGES: usize = 9_000;
    let deployment = Deployment::whole();
    let alone = run(&deployment, MESSAGES, 0, None, false);
    assert_eq!(alone.totals, Totals::default());
    for lanes in [0, 2] {
        let with = run(&deployment, MESSAGES, lanes, Some(Settings::of_tests()), false);
        same(&alone, &with, &format!("{lanes} lanes"));
        assert!(with.totals.batches > 0 && with.totals.faults == [0; 6], "{:?}", with.totals);
    }
    let lost = run(&deployment, MESSAGES, 2, Some(Settings::of_tests()), true);
    same(&alone, &lost, "a device lost in flight");
    let fault = interdict_shaders::Why::Fault as usize;
    assert_eq!(lost.totals.faults.iter().sum::<u64>(), 1, "{:?}", lost.totals);
    println!("{} searches fell back to the CPU when the device was lost", lost.totals.simd[fault]);
}

const BANKS: &str = "banks:
  - id: known
    kind: fingerprint
    doc: payments that share merchant code and country with labelled ones
    attributes: [merchant.mcc, merchant.country]
    range: 40
    k: 4
";
const RULES: &str = "rules:
  - id: near_fraud
    title: Among known frauds
    when: similar.known.fraud_share >= 500
    outcome: hold
    score: similar.known.fraud_share
    code: NEAR_FRAUD
    examples:
      hit: [{similar.known.fraud_share: 1000}]
      miss: [{similar.known.fraud_share: 0}]
";

/// The value of a series.
fn metric(client: &Client, series: &str) -> u64 {
    let text = client.get("/metrics").unwrap().text;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
}

fn numbered(n: usize) -> Value {
    let merchant = json!({"id": "M-1", "mcc": format!("{}", 5000 + n % 50), "country": "FR"});
    let amount = json!({"minor": 1 + n % 9000, "currency": "EUR"});
    payment(json!({"id": format!("p{n}"), "amount": amount, "merchant": merchant}))
}

#[test]
fn over_http_a_device_answers_and_the_metrics_say_so() {
    if adapter().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "");
    write(&dir.path().join("probe/banks.yaml"), BANKS);
    write(&dir.path().join("probe/rules/near.yaml"), RULES);
    let start = Start::new(BINARY, &config, dir.path().join("data")).env(TEST_VARIABLE, "software");
    let node = start.start().unwrap();
    let client = node.client();
    assert!(node.log().contains("INTERDICT_TEST_GPU is set") && node.log().contains("a gpu serves banks"));
    assert_eq!(metric(&client, "interdict_gpu_up"), 1);
    const TAUGHT: usize = 1_100;
    for n in 0..TAUGHT {
        assert_eq!(client.post("/v1/decisions", &numbered(n)).unwrap().status, 200);
    }
    let said = |n: usize| if n % 50 < 10 { "fraud" } else { "good" };
    let label = |n| json!({"id": format!("p{n}"), "label": said(n), "time": "2026-03-15T00:00:00Z"});
    for from in (0..TAUGHT).step_by(100) {
        let labels: Vec<Value> = (from..from + 100).map(label).collect();
        assert_eq!(client.post("/v1/labels", &json!(labels)).unwrap().status, 200);
    }
    until("a copy on the device", || metric(&client, "interdict_gpu_bank_bytes") > 0);
    let held = |n: usize| {
        let answer = client.post("/v1/decisions", &numbered(n)).unwrap().json();
        answer["outcome"] == json!("hold")
    };
    for n in TAUGHT..TAUGHT + 100 {
        assert_eq!(held(n), n % 50 < 10, "payment {n}");
    }
    assert!(metric(&client, r#"interdict_gpu_queries_total{search="hamming_topk"}"#) > 0);
    assert!(metric(&client, "interdict_gpu_batches_total") > 0);
    // kill -9: what the journal taught is on the device before the first payment.
    drop(node);
    let node = start.start().unwrap();
    let client = node.client();
    assert!(metric(&client, "interdict_gpu_bank_bytes") > 0);
    let answer = client.post("/v1/decisions", &numbered(TAUGHT + 100)).unwrap().json();
    assert_eq!(answer["outcome"], "hold", "{answer}");
}

#[test]
fn without_a_device_auto_serves_and_require_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let start = |gpu: &str, env: &[(&str, &str)]| {
        let config = probe(&dir.path().join(gpu), &format!("[similarity]\ngpu = \"{gpu}\"\n"));
        let start = Start::new(BINARY, config, dir.path().join(gpu).join("data"));
        env.iter().fold(start, |start, (name, value)| start.env(name, value)).start()
    };
    let node = start("auto", &NOWHERE).unwrap();
    assert!(node.log().contains("no gpu: no Vulkan"), "{}", node.log());
    assert_eq!(metric(&node.client(), "interdict_gpu_up"), 0);
    assert_eq!(node.client().post("/v1/decisions", &payment(json!({"id": "a"}))).unwrap().status, 200);
    let refused = start("require", &NOWHERE).unwrap_err();
    assert!(refused.contains("a gpu is required: no gpu: no Vulkan"), "{refused}");
    let refused = start("require", &[(TEST_VARIABLE, "softwar")]).unwrap_err();
    assert!(refused.contains("expected \"software\""), "{refused}");
    // A software adapter does not serve, whatever the configuration says.
    if adapter() == Some(true) {
        let refused = start("require", &[]).unwrap_err();
        assert!(refused.contains("is software"), "{refused}");
        let node = start("off", &[]).unwrap();
        assert!(!node.log().contains("gpu"), "{}", node.log());
    }
}
