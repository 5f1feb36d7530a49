//! The process: what it says of itself, how it ends, what it refuses to start on.

use super::{BINARY, Probe};
use interdict_tests::blackbox::{self, payment, run, run_with, text, write};
use interdict_tests::node::{Start, default_config};
use serde_json::json;
use std::time::Duration;

#[test]
fn it_says_that_it_lives_is_ready_and_what_it_does() {
    let probe = Probe::start();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(probe.client.get(path).unwrap().status, 200, "{path}");
    }
    let verdict = probe.verdict(&payment(json!({})));
    let status = probe.client.get("/v1/status").unwrap().json();
    assert_eq!((&status["sequence"], &status["generation"]), (&verdict["sequence"], &verdict["generation"]));
    assert_eq!(status["outcomes"]["approve"], 1);
    let document = probe.client.get("/openapi.json").unwrap().json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{document}");
    for (path, methods) in [
        ("/v1/decisions", &["post"][..]),
        ("/v1/decisions/{id}", &["get"]),
        ("/v1/labels", &["post"]),
        ("/v1/lists/{name}/entries", &["put", "delete"]),
        ("/v1/packs", &["get", "post"]),
        ("/v1/generations", &["post"]),
        ("/v1/status", &["get"]),
        ("/healthz", &["get"]),
        ("/readyz", &["get"]),
        ("/metrics", &["get"]),
    ] {
        for method in methods {
            let call = &document["paths"][path][method];
            assert!(call["responses"].is_object(), "{method} {path}: {call}");
        }
    }
    // Every reference leads somewhere.
    let schemas = &document["components"]["schemas"];
    let whole = document.to_string();
    for reference in whole.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas[name].is_object(), "schema {name:?} is referred to and not there");
    }
}

#[test]
fn on_sigterm_it_answers_what_it_has_and_ends_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let config = blackbox::probe(dir.path(), "");
    let data = dir.path().join("data");
    for lanes in ["0", "2"] {
        let mut node = Start::new(BINARY, &config, &data).args(&["--lanes", lanes]).start().unwrap();
        let client = node.client();
        let id = |n: usize| format!("{lanes}-{n}");
        let body: Vec<_> = (0..500).map(|n| payment(json!({"id": id(n)}))).collect();
        // An idle connection must not hold the end open.
        let idle = std::net::TcpStream::connect(node.address()).unwrap();
        let asking = std::thread::spawn(move || client.post("/v1/decisions", &json!(body)));
        std::thread::sleep(Duration::from_millis(5));
        node.ask_to_end();
        let status = node.wait(Duration::from_secs(20)).unwrap();
        assert_eq!(status.code(), Some(0), "{}", node.log());
        drop(idle);
        // A request that was taken is answered whole; one that came too late gets no verdict at all.
        if let Ok(reply) = asking.join().unwrap() {
            assert!(matches!(reply.status, 200 | 503), "{}", reply.text);
            if reply.status == 200 {
                let node = Start::new(BINARY, &config, &data).start().unwrap();
                for answer in reply.json().as_array().unwrap() {
                    let path = format!("/v1/decisions/{}", answer["id"].as_str().unwrap());
                    assert_eq!(node.client().get(&path).unwrap().json()["sequence"], answer["sequence"]);
                }
            }
        }
    }
}

#[test]
fn a_second_serve_on_the_same_folder_is_refused_and_told_who_holds_it() {
    let probe = Probe::start();
    let data = probe.data();
    let holder = std::fs::read_to_string(data.join("journal/lock")).unwrap();
    let args = ["serve", "--config", text(&probe.config), "--data", text(&data), "--http", "127.0.0.1:0"];
    let second = run(BINARY, &args);
    assert_eq!(second.code, 3, "{}", second.stderr);
    let pid = holder.split(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty()).unwrap();
    assert!(second.stderr.contains(pid) && second.stderr.contains("journal"), "{}", second.stderr);
    assert_eq!(probe.client.get("/readyz").unwrap().status, 200, "the first goes on");
    let replay = ["replay", "/dev/null", "--config", text(&probe.config), "--out", text(&data)];
    assert_eq!(run(BINARY, &replay).code, 3);
    let mut probe = probe;
    probe.node.kill();
    probe.node = Start::new(BINARY, &probe.config, &data).start().unwrap();
}

#[test]
fn a_port_in_use_and_a_bind_beyond_loopback_without_tls_and_keys_are_refused() {
    let probe = Probe::start();
    let data = probe.dir.path().join("other");
    let start = |address: &str| {
        run(BINARY, &["serve", "--config", text(&probe.config), "--data", text(&data), "--http", address])
    };
    let taken = start(probe.node.address());
    assert_eq!(taken.code, 3);
    assert!(taken.stderr.contains(probe.node.address()), "{}", taken.stderr);
    for address in ["0.0.0.0:0", "[::]:0"] {
        let open = start(address);
        assert_eq!(open.code, 3, "{}", open.stderr);
        assert!(
            open.stderr.contains("tls_certificate") && open.stderr.contains("API keys"),
            "{}",
            open.stderr
        );
    }
    let misspelt = start("localhost");
    assert_eq!(misspelt.code, 3);
    assert!(misspelt.stderr.contains("IP:PORT"), "{}", misspelt.stderr);
}

#[test]
fn check_prints_every_value_with_where_it_came_from() {
    let default = default_config();
    let env = [("INTERDICT_HTTP__DRAIN_MS", "1234")];
    let checked = run_with(BINARY, &["serve", "--config", text(&default), "--check"], &env);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let line = |key: &str| {
        let found = checked.stdout.lines().find(|line| line.starts_with(&format!("{key} = ")));
        found.unwrap_or_else(|| panic!("no {key} in\n{}", checked.stdout)).to_owned()
    };
    assert!(line("http.listen").contains("127.0.0.1:8470") && line("http.listen").ends_with("default.toml"));
    assert!(line("decision.levers.transfer").contains("stop_before_cutoff"));
    assert!(line("settlement.calendars.target.file").contains("calendars/target.toml"));
    assert!(
        line("settlement.networks").contains("t2") && line("settlement.networks").ends_with("default.toml")
    );
    let compiled = "# calendar target: version 2026-1, from 2025-12-31T23:00:00Z until 2028-12-31T23:00:00Z, 769 cut-offs";
    assert!(checked.stdout.lines().any(|line| line == compiled), "{}", checked.stdout);
    assert!(line("http.requests_max").ends_with("# default"));
    assert_eq!(line("http.drain_ms"), "http.drain_ms = 1234  # environment");
    assert!(line("hardware.durability").contains("profile embedded-2core"));
}

#[test]
fn a_wrong_configuration_is_told_with_its_line_and_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let start = |toml: &str| {
        write(&config, toml);
        let data = dir.path().join("data");
        let done = run(
            BINARY,
            &["serve", "--config", text(&config), "--data", text(&data), "--http", "127.0.0.1:0"],
        );
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(!data.join("journal").exists(), "nothing is made before the configuration is right");
        done.stderr
    };
    let error = start("profile = \"embedded-2core\"\n\n[http]\nlitsen = \"127.0.0.1:0\"\n");
    assert!(error.contains("c.toml:4") && error.contains("\"listen\""), "{error}");
    let error = start("[htpt]\n");
    assert!(error.contains("c.toml:1") && error.contains("\"http\""), "{error}");
    let error = start("[decision]\ndeadline_ms = \"soon\"\n");
    assert!(error.contains("c.toml:2"), "{error}");
    let error = start("[rules]\npacks = [\"nowhere\"]\n");
    assert!(error.contains("nowhere"), "{error}");
    let missing = run(BINARY, &["serve", "--config", "/nonexistent.toml", "--data", text(dir.path())]);
    assert_eq!(missing.code, 3);
    assert!(missing.stderr.contains("/nonexistent.toml"), "{}", missing.stderr);
    assert_eq!(run(BINARY, &["serve", "--data", text(dir.path())]).code, 2, "no --config is misuse");
    assert_eq!(run(BINARY, &["serv"]).code, 2);
}

#[test]
fn a_truncated_list_and_a_broken_pack_are_told_by_file_and_line_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let config = blackbox::probe(dir.path(), "\n[lists.watched]\nfile = \"watched.csv\"\n");
    let data = dir.path().join("data");
    let start = || {
        let done = run(
            BINARY,
            &["serve", "--config", text(&config), "--data", text(&data), "--http", "127.0.0.1:0"],
        );
        assert_eq!(done.code, 3, "{}", done.stderr);
        done.stderr
    };
    write(&dir.path().join("watched.csv"), "type,value,effect\nmerchant,M-1,block\nmerchant,\"M-2");
    let error = start();
    assert!(error.contains("watched.csv") && error.contains('3'), "{error}");
    write(&dir.path().join("watched.csv"), "type,value\nmerchant,M-1\nip,10.0.0.0/99\n");
    let error = start();
    assert!(error.contains("watched.csv") && error.contains("line 3"), "{error}");
    write(&dir.path().join("watched.csv"), "type,value\nmerchant,M-1\n");
    let rules = dir.path().join("probe/rules/rules.yaml");
    let good = std::fs::read_to_string(&rules).unwrap();
    write(&rules, good.replace("amount.minor >= 50000", "amount.minro >= 50000"));
    let error = start();
    assert!(error.contains("probe/rules/rules.yaml:4") && error.contains("amount.minor"), "{error}");
    write(&rules, &good[..good.len() / 2]);
    let error = start();
    assert!(error.contains("probe/rules/rules.yaml:"), "{error}");
    assert!(!data.join("journal").join("00000000000000000001.seg").exists(), "nothing was begun");
    write(&rules, &good);
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let listed = node.client().post("/v1/decisions", &payment(json!({}))).unwrap();
    assert_eq!(listed.json()["outcome"], "decline", "{}", listed.text);
}
