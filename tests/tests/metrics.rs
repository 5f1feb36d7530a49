//! `/metrics` against its table in docs/OPERATIONS.md and against promtool: a metric that nobody documents, or that is
//! documented and not there, is a lie to whoever is on call.
#![allow(clippy::unwrap_used)]

use interdict_tests::blackbox::{payment, probe, write};
use interdict_tests::node::{Client, Start};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

/// What the hub's metrics begin with: it is another process, with a port of its own.
const HUB: &str = "interdict_hub_";

/// Name and type of each row of the node's table, with the names of its labels.
fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    all_documented().into_iter().filter(|(name, _)| !name.starts_with(HUB)).collect()
}

fn all_documented() -> BTreeMap<String, (String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATIONS.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let rows = text.lines().filter(|line| line.starts_with("| `interdict_"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let table: BTreeMap<_, _> = rows
        .iter()
        .map(|row| {
            let name = quoted(row[1]);
            (name[0].clone(), (row[2].to_owned(), quoted(row[4])))
        })
        .collect();
    assert_eq!(table.len(), rows.len(), "a name stands in the table twice");
    assert!(!table.is_empty(), "{} has no table of metrics", path.display());
    table
}

/// Name and type of each family of an exposition, with the names of its labels.
fn exposed(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            current = name.to_owned();
            families.insert(current.clone(), (kind.to_owned(), Vec::new()));
        } else if !line.starts_with('#') {
            let (_, labels): &mut (String, Vec<String>) = families.get_mut(&current).unwrap();
            let inside = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            for label in inside.split("\",").filter_map(|pair| pair.split_once('=')) {
                if label.0 != "le" && !labels.iter().any(|known| known == label.0) {
                    labels.push(label.0.to_owned());
                }
            }
        }
    }
    families
}

/// A model that comes to no number where an amount is above 1000: the square root of less than nothing.
fn with_failing_model(dir: &Path) {
    let onnx = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/src/models/fixtures/root.onnx");
    write(&dir.join("probe/models/root.onnx"), std::fs::read(onnx).unwrap());
    let declared = "id: root\nfile: root.onnx\ndoc: fails\nclass: 0\ninputs:\n  - {slot: amount.minor}\n";
    write(&dir.join("probe/models/root.yaml"), declared);
}

/// Makes everything happen that is counted.
fn exercise(client: &Client, data: &Path) {
    let send = |body: serde_json::Value| client.post("/v1/decisions", &body).unwrap().status;
    assert_eq!(send(payment(json!({"id": "a", "amount": {"minor": 95_000, "currency": "EUR"}}))), 200);
    assert_eq!(send(payment(json!({"id": "a", "amount": {"minor": 95_000, "currency": "EUR"}}))), 200);
    assert_eq!(send(payment(json!({"id": "a"}))), 409);
    assert_eq!(send(payment(json!({"id": "late", "deadline_ms": 0}))), 200);
    assert_eq!(send(payment(json!({"amount": 5}))), 422);
    assert_eq!(client.send("POST", "/v1/decisions", &[], "{").unwrap().status, 400);
    assert_eq!(client.send("POST", "/v1/decisions", &[], vec![b' '; (1 << 20) + 1]).unwrap().status, 413);
    assert_eq!(client.put("/v1/lists/found/entries", &json!([{"colour": "red"}])).unwrap().status, 422);
    assert_eq!(client.put("/v1/lists/found/entries", &json!([{"bin": "400000"}])).unwrap().status, 200);
    assert_eq!(client.send("POST", "/v1/generations", &[], "").unwrap().status, 200);
    let rules = data.parent().unwrap().join("probe/rules/rules.yaml");
    let good = std::fs::read_to_string(&rules).unwrap();
    write(&rules, "rules: 1");
    assert_eq!(client.send("POST", "/v1/generations", &[], "").unwrap().status, 422);
    write(&rules, good);
}

/// A webhook's secret, for its owner alone.
fn secret(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    write(path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_metrics_are_those_of_the_table_with_its_types_and_labels() {
    let dir = tempfile::tempdir().unwrap();
    let watched = "\n[lists.watched]\nfile = \"watched.csv\"\nfresh_for = \"24h\"\n";
    let webhook = "\n[webhooks.endpoints.ops]\nurl = \"http://127.0.0.1:9/\"\nsecret_file = \"secret\"\n";
    let config = probe(dir.path(), &format!("{watched}{webhook}\n[window]\n"));
    secret(&dir.path().join("secret"));
    write(&dir.path().join("watched.csv"), "type,value\nmerchant,M-99\n");
    with_failing_model(dir.path());
    let rules = dir.path().join("probe/rules/rules.yaml");
    let shadow =
        std::fs::read_to_string(&rules).unwrap().replace("code: LARGE\n", "code: LARGE\n    mode: shadow\n");
    write(&rules, shadow);
    let data = dir.path().join("data");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let before = node.client().get("/metrics").unwrap();
    assert_eq!(before.status, 200);
    assert!(before.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    exercise(&node.client(), &data);
    let text = node.client().get("/metrics").unwrap().text;
    let (exposed, documented) = (exposed(&text), documented());
    let names = |families: &BTreeMap<String, _>| families.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&exposed), names(&documented), "left: /metrics, right: docs/OPERATIONS.md");
    for (name, (kind, labels)) in &exposed {
        let (documented_kind, documented_labels) = &documented[name];
        assert_eq!(kind, documented_kind, "type of {name}");
        let sorted = |labels: &[String]| {
            let mut labels = labels.to_vec();
            labels.sort();
            labels
        };
        assert_eq!(sorted(labels), sorted(documented_labels), "labels of {name}");
    }
    promtool(&text);
    promtool(&before.text);
}

#[test]
fn the_hubs_metrics_are_those_documented() {
    let text = interdict::alliance::hub::metrics::Metrics::new().text();
    let documented: BTreeMap<_, _> =
        all_documented().into_iter().filter(|(name, _)| name.starts_with(HUB)).collect();
    let sorted = |families: BTreeMap<String, (String, Vec<String>)>| {
        let sort = |(name, (kind, mut labels)): (String, (String, Vec<String>))| {
            labels.sort();
            (name, (kind, labels))
        };
        families.into_iter().map(sort).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(sorted(exposed(&text)), sorted(documented), "left: the hub, right: docs/OPERATIONS.md");
    promtool(&text);
}

#[test]
fn what_happened_is_what_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "");
    with_failing_model(dir.path());
    let data = dir.path().join("data");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let before = node.client().get("/metrics").unwrap().text;
    assert!(before.contains("\ninterdict_model_failures_total{model=\"root\"} 0\n"), "{before}");
    exercise(&node.client(), &data);
    let text = node.client().get("/metrics").unwrap().text;
    for (series, value) in [
        (r#"interdict_decisions_total{outcome="challenge",pack="probe",reason_class="fraud"}"#, 1),
        (r#"interdict_decisions_total{outcome="hold",pack="default",reason_class="default"}"#, 1),
        (r#"interdict_deadline_exceeded_total{default="hold"}"#, 1),
        (r#"interdict_stage_skipped_total{reason="deadline",stage="lists"}"#, 1),
        (r#"interdict_stage_skipped_total{reason="deadline",stage="rules"}"#, 1),
        (r#"interdict_admission_express_total{at="arrival"}"#, 1),
        (r#"interdict_admission_refused_total{reason="queue"}"#, 0),
        (r#"interdict_queue_depth{queue="fair",tenant="other"}"#, 0),
        ("interdict_idempotent_replays_total", 1),
        (r#"interdict_model_failures_total{model="root"}"#, 1),
        ("interdict_idempotency_conflicts_total", 1),
        (r#"interdict_ingest_messages_total{protocol="http",result="ok"}"#, 2),
        (r#"interdict_ingest_messages_total{protocol="http",result="malformed"}"#, 1),
        (r#"interdict_ingest_messages_total{protocol="http",result="invalid"}"#, 1),
        (r#"interdict_ingest_messages_total{protocol="http",result="too_large"}"#, 1),
        (r#"interdict_ingest_messages_total{protocol="http",result="list_delta"}"#, 1),
        (r#"interdict_reload_total{result="ok"}"#, 1),
        (r#"interdict_reload_total{result="refused"}"#, 1),
        (r#"interdict_rule_hits_total{mode="live",rule="probe/larger"}"#, 1),
        ("interdict_decision_duration_seconds_count", 2),
        ("interdict_list_overlay_entries", 1),
        ("interdict_ready", 1),
    ] {
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        assert_eq!(found, Some(value.to_string().as_str()), "{series} in\n{text}");
    }
}

#[test]
fn one_payment_in_64_is_timed_in_every_stage_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw-profiles/embedded-2core.toml");
    let with_lanes = std::fs::read_to_string(profile).unwrap().replace("lanes = 0 ", "lanes = 2 ");
    write(&dir.path().join("lanes.toml"), with_lanes);
    let config = probe(dir.path(), "");
    let lanes = std::fs::read_to_string(&config).unwrap();
    let lanes = lanes.replace("embedded-2core", dir.path().join("lanes.toml").to_str().unwrap());
    write(&dir.path().join("lanes-config.toml"), lanes);
    // With lanes a payment's two records are in two writes.
    for (config, writes) in [(config, 1), (dir.path().join("lanes-config.toml"), 2)] {
        let node = Start::new(BINARY, &config, config.with_extension("data")).start().unwrap();
        let client = node.client();
        for n in 0..200 {
            let body = payment(json!({"id": format!("p{n}"), "card": {"token": "t"}}));
            assert_eq!(client.post("/v1/decisions", &body).unwrap().status, 200);
        }
        let text = client.get("/metrics").unwrap().text;
        let times = [
            ("decode", 3),
            ("normalise", 3),
            ("features", 3),
            ("lists", 3),
            ("patterns", 0),
            ("similarity", 0),
            ("models", 0),
            ("rules", 3),
            ("decision", 3),
            ("journal", 3 * writes),
            ("answer", 3),
        ];
        for (stage, count) in times {
            let row = format!("interdict_stage_duration_seconds_count{{stage=\"{stage}\"}} {count}");
            assert!(text.lines().any(|line| line == row), "{row} in\n{text}");
        }
    }
}

/// Alerts ask for metrics that exist, stand in the table of OPERATIONS, and have a point there that says what to do.
#[test]
fn every_alert_asks_for_documented_metrics_and_has_its_runbook() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let [alerts, operations] = ["deploy/alerts.yml", "docs/OPERATIONS.md"]
        .map(|file| std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")));
    let documented = documented();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let asked = alerts.split(|c| !word(c)).filter(|name| name.starts_with("interdict_"));
    for name in asked {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        let is_known = documented.contains_key(name) || family.is_some_and(|f| documented.contains_key(f));
        assert!(is_known, "{name} is asked for and not documented");
    }
    let after = |key: &'static str| alerts.lines().filter_map(move |line| line.trim().strip_prefix(key));
    let (names, runbooks): (Vec<&str>, Vec<&str>) =
        (after("- alert: ").collect(), after("runbook: \"docs/OPERATIONS.md: ").collect());
    assert!(names.len() > 15 && names.len() == runbooks.len(), "{} alerts", names.len());
    for (name, runbook) in names.iter().zip(&runbooks) {
        assert!(operations.contains(&format!("| `{name}` |")), "{name} is not in the table");
        let title = runbook.trim_end_matches('"').split(':').next().unwrap();
        let plain = operations.replace('`', "");
        let is_there = [format!("**{title}"), format!("## {title}")].iter().any(|t| plain.contains(t));
        assert!(is_there, "{name}: OPERATIONS has no point {title:?}");
    }
    let rules = root.join("deploy/alerts.yml").canonicalize().unwrap();
    promtool_check(&["check", "rules", rules.to_str().unwrap()], "");
    // What a series comes to, by promtool's own evaluation.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tests.yml");
    std::fs::write(&file, ALERTED.replace("RULES", rules.to_str().unwrap())).unwrap();
    promtool_check(&["test", "rules", file.to_str().unwrap()], "");
}

/// Counters that stand still alarm nobody; one that rises does, and a message that waited once and then went does not.
const ALERTED: &str = "\
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'interdict_rail_messages_total{result=\"written\"}', values: '0+5x60'}
      - {series: 'interdict_rail_messages_total{result=\"waits\"}', values: '0x20 1+1x40'}
      - {series: 'interdict_rail_messages_total{result=\"untold\"}', values: '3x40 4x20'}
      - {series: 'interdict_window_cut_offs_total{from=\"calendar\"}', values: '0+9x60'}
      - {series: 'interdict_window_cut_offs_total{from=\"out_of_calendar\"}', values: '0x30 0+2x30'}
    alert_rule_test:
      - {eval_time: 19m, alertname: InterdictRailBehind, exp_alerts: []}
      - {eval_time: 19m, alertname: InterdictRailUntold, exp_alerts: []}
      - {eval_time: 19m, alertname: InterdictCalendarOut, exp_alerts: []}
      - eval_time: 45m
        alertname: InterdictRailBehind
        exp_alerts:
          - exp_labels: {severity: warning}
            exp_annotations:
              summary: Messages to the rail wait, since nobody takes those that are there
              runbook: 'docs/OPERATIONS.md: The rail is not told'
      - eval_time: 45m
        alertname: InterdictRailUntold
        exp_alerts:
          - exp_labels: {severity: warning}
            exp_annotations:
              summary: 'A message to the rail cannot be written: a person has to tell it'
              runbook: 'docs/OPERATIONS.md: The rail is not told'
      - eval_time: 45m
        alertname: InterdictCalendarOut
        exp_alerts:
          - exp_labels: {severity: warning}
            exp_annotations:
              summary: 'A settlement calendar has run out: cut-offs are the default''s'
              runbook: 'docs/OPERATIONS.md: A calendar has run out'
";

/// Prometheus' own check of an exposition.
fn promtool(text: &str) {
    let said = promtool_check(&["check", "metrics"], text);
    assert!(said.trim().is_empty(), "{said}\n{text}");
}

/// What promtool says. CI has it (tools/deps.sh test); elsewhere it is run where it is installed.
fn promtool_check(args: &[&str], text: &str) -> String {
    let tool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = match tool {
        Ok(tool) => tool,
        Err(e) => {
            let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!in_ci, "promtool (Debian package prometheus) must be there under CI=true: {e}");
            eprintln!("promtool is not installed; it checked nothing");
            return String::new();
        }
    };
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = tool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{text}");
    said
}
