//! The listener over TLS: decisions are read in front of hyper there too, and what only this machine may do is refused
//! beyond it. `openssl` makes the certificate and is the client.

use super::BINARY;
use super::keys::key;
use interdict_tests::blackbox::{self, payment, run_with, text};
use interdict_tests::node::Start;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A certificate for 127.0.0.1 that signs itself, and its key. Without `openssl` (and outside CI) the test says so and ends.
fn certificate(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let (key, certificate) = (dir.join("server.key"), dir.join("server.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    let is_made = made.as_ref().is_ok_and(|made| made.status.success());
    assert!(is_made || std::env::var_os("CI").is_none(), "openssl makes no certificate: {made:?}");
    if !is_made {
        eprintln!("skipped: openssl makes no certificate: {made:?}");
        return None;
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    Some((certificate, key))
}

fn configured(dir: &Path, (certificate, key): &(PathBuf, PathBuf)) -> PathBuf {
    let tls = format!("\n[http]\ntls_certificate = {:?}\ntls_key = {:?}\n", text(certificate), text(key));
    blackbox::probe(dir, &tls)
}

/// A request that keeps the connection, but for the last one.
fn request(method: &str, path: &str, key: &str, body: &str, is_last: bool) -> String {
    let connection = if is_last { "close" } else { "keep-alive" };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: {connection}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn decisions_are_read_in_front_of_hyper_over_tls_and_the_rest_by_it_on_the_same_connection() {
    let dir = tempfile::tempdir().unwrap();
    let Some(made) = certificate(dir.path()) else { return };
    let (config, data) = (configured(dir.path(), &made), dir.path().join("data"));
    let admin = key(&data, "admin", "admin", None);
    let node = Start::new(BINARY, &config, &data).start_listening().unwrap();
    let body = |id: &str| payment(json!({"id": id})).to_string();
    let sent = [
        request("POST", "/v1/decisions", &admin, &body("one"), false),
        request("POST", "/v1/decisions", &admin, &body("two"), false),
        request("POST", "/v1/decisions", &admin, &body("one"), false),
        request("GET", "/v1/decisions/two", &admin, "", false),
        request("POST", "/v1/decisions", "nobody", &body("three"), true),
    ];
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-connect", node.address(), "-CAfile"])
        .arg(&made.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(sent.concat().as_bytes()).unwrap();
    input.flush().unwrap();
    // It is closed by the server, after the last answer.
    let told = client.wait_with_output().unwrap();
    drop(input);
    let told = String::from_utf8(told.stdout).unwrap();
    let statuses: Vec<&str> = told.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "401"], "{told}");
    let bodies = told.split("HTTP/1.1 ").skip(1).map(|answer| answer.split_once("\r\n\r\n").unwrap().1);
    let bodies: Vec<Value> = bodies.map(|body| serde_json::from_str(body).unwrap_or_default()).collect();
    assert_eq!((&bodies[0]["sequence"], &bodies[0]["id"]), (&bodies[2]["sequence"], &json!("one")));
    assert_eq!((&bodies[1]["id"], &bodies[3]["id"]), (&json!("two"), &json!("two")));
    // Whoever speaks plainly to it gets no answer.
    let plain = node.client().get("/healthz");
    assert!(plain.is_err(), "{plain:?}");
}

#[test]
fn a_virtual_clock_is_refused_where_others_can_ask() {
    let dir = tempfile::tempdir().unwrap();
    let Some(made) = certificate(dir.path()) else { return };
    let (config, data) = (configured(dir.path(), &made), dir.path().join("data"));
    key(&data, "admin", "admin", None);
    let clock = dir.path().join("now");
    blackbox::write(&clock, "2026-03-02T09:00:00Z");
    let serve = |address: &str| {
        let args = ["serve", "--config", text(&config), "--data", text(&data), "--http", address];
        run_with(BINARY, &args, &[("INTERDICT_VIRTUAL_CLOCK", text(&clock))])
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = serve(address);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        let told = &refused.stderr;
        assert!(told.contains("INTERDICT_VIRTUAL_CLOCK") && told.contains("not loopback"), "{told}");
    }
}
