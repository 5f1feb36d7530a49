//! Exact tags against an implementation by others, `@noble/curves` (npm, run by node), in both directions: its service
//! and our member, our service and its member, proofs verified across. Without node or the package (`tools/deps.sh
//! test` installs it) the test fails under `CI=true` and says elsewhere that it is left out.
#![allow(clippy::unwrap_used, missing_docs)]

use interdict_consortium::kind::Kind;
use interdict_consortium::tag::oblivious::{Blinded, Service, ServiceKey};
use interdict_consortium::tag::random::Random;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `tools/deps.sh` installs `tests/conformance/package-lock.json` here, beside what cargo builds.
fn packages() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    // target/PROFILE/deps/oprf_noble-…
    exe.ancestors().nth(3).unwrap().join("test-npm")
}

struct Noble {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Noble {
    fn start() -> Option<Noble> {
        let packages = packages();
        let started = packages.join("node_modules/@noble/curves/ed25519.js").exists().then(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/oprf.mjs");
            let mut node = Command::new("node");
            node.arg(script).arg(&packages).stdin(Stdio::piped()).stdout(Stdio::piped());
            node.spawn().ok()
        });
        let Some(mut child) = started.flatten() else {
            let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!in_ci, "node and {} must be there", packages.display());
            eprintln!("left out: no node, or no @noble/curves in {}", packages.display());
            return None;
        };
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Noble { child, stdin, stdout: BufReader::new(stdout) })
    }
    fn ask(&mut self, asked: &Value) -> Value {
        writeln!(self.stdin, "{asked}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Noble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn elements(bytes: &[u8]) -> Vec<String> {
    bytes.chunks(32).map(hex).collect()
}

const SEED: [u8; 32] = [0x5e; 32];
const IDENTIFIERS: [(Kind, &str); 4] = [
    (Kind::Card, "4111111111111111"),
    (Kind::Card, "5555555555554444"),
    (Kind::Account, "DE89370400440532013000"),
    (Kind::Email, "mallory@example.com"),
];

#[test]
fn our_tags_are_those_of_noble_curves() {
    let Some(mut noble) = Noble::start() else { return };
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
    let mut random = Random::new(&mut fill);
    let ours = Service::from_seed(&SEED).unwrap();
    let blinded = Blinded::new(IDENTIFIERS, &mut random).unwrap();
    let tags =
        blinded.finish(&ours.evaluate(blinded.elements(), &mut random).unwrap(), ours.public()).unwrap();

    // Their service, of the same seed, with our member: the same key, a proof that we accept, the same tags.
    let blinded = Blinded::new(IDENTIFIERS, &mut random).unwrap();
    let info = hex(b"interdict/tag-service/v1");
    let asked =
        json!({"act": "evaluate", "seed": hex(&SEED), "info": info, "blinded": elements(blinded.elements())});
    let theirs = noble.ask(&asked);
    let key = ServiceKey::from_bytes(&unhex(&theirs["public"]).try_into().unwrap()).unwrap();
    assert_eq!(key, *ours.public());
    let evaluated = theirs["evaluated"].as_array().unwrap().iter().flat_map(unhex);
    let answer: Vec<u8> = evaluated.chain(unhex(&theirs["proof"])).collect();
    assert_eq!(blinded.finish(&answer, &key).unwrap(), tags);

    // Their member with our service: a proof that they accept, the same tags; and under another key they refuse it.
    let input = |(kind, text): &(Kind, &str)| hex(&[&[*kind as u8], text.as_bytes()].concat());
    let items =
        noble.ask(&json!({"act": "blind", "inputs": IDENTIFIERS.iter().map(input).collect::<Vec<_>>()}));
    let mut items = items["items"].as_array().unwrap().clone();
    let sent: Vec<u8> = items.iter().flat_map(|item| unhex(&item["blinded"])).collect();
    let answer = ours.evaluate(&sent, &mut random).unwrap();
    let (evaluated, proof) = answer.split_at(sent.len());
    for (item, evaluated) in items.iter_mut().zip(elements(evaluated)) {
        item["evaluated"] = json!(evaluated);
    }
    let finalize = |key: &ServiceKey| json!({"act": "finalize", "items": items, "public": hex(key.bytes()), "proof": hex(proof)});
    let finalized = noble.ask(&finalize(ours.public()));
    let outputs = finalized["outputs"].as_array().unwrap().iter().map(unhex);
    let firsts: Vec<u128> = outputs.map(|o| u128::from_be_bytes(o[..16].try_into().unwrap())).collect();
    assert_eq!(firsts, tags);
    let refused = noble.ask(&finalize(Service::from_seed(&[1; 32]).unwrap().public()));
    assert!(refused["error"].is_string(), "{refused}");
}
