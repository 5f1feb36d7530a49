//! Signed packs from outside: `minisign` signs, and a node that names its key takes signed packs only, in folders and
//! uploads, and no older version. Without minisign the test fails under `CI=true` and says elsewhere that it is left out.

use super::{BINARY, Probe, problem};
use interdict_tests::blackbox::{Done, probe, run, text, write};
use interdict_tests::node::Start;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const ARCHIVE: (&str, &str) = ("content-type", "application/octet-stream");

fn minisign(dir: &Path, arguments: &[&str]) -> bool {
    let ran = Command::new("minisign").args(arguments).current_dir(dir).stdout(Stdio::null()).status();
    let Ok(status) = ran else {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "minisign must be there");
        eprintln!("left out: no minisign");
        return false;
    };
    assert!(status.success(), "minisign {arguments:?}");
    true
}

/// A key pair without a password; the public key as the configuration has it.
fn key(dir: &Path, name: &str) -> Option<String> {
    let (public, secret) = (format!("{name}.pub"), format!("{name}.key"));
    minisign(dir, &["-G", "-W", "-p", &public, "-s", &secret])
        .then(|| std::fs::read_to_string(dir.join(public)).unwrap().lines().nth(1).unwrap().to_owned())
}

/// Signs a pack's folder as PACKS.md says.
fn sign(dir: &Path, pack: &Path, key: &str, expires: &[&str]) {
    let printed = run(BINARY, &[&["packs", "manifest", text(pack)], expires].concat());
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    write(&pack.join("pack.manifest"), printed.stdout);
    let (secret, manifest) = (format!("{key}.key"), pack.join("pack.manifest"));
    minisign(dir, &["-S", "-s", &secret, "-m", text(&manifest)]);
}

/// A copy of a pack under another version.
fn version(pack: &Path, name: &str, version: &str) -> PathBuf {
    let copy = pack.with_file_name(name);
    for file in ["pack.yaml", "rules/rules.yaml", "features.yaml"] {
        let content = std::fs::read_to_string(pack.join(file)).unwrap();
        write(&copy.join(file), content.replace("1.0.0", version));
    }
    copy
}

fn archive(pack: &Path) -> Vec<u8> {
    let out = pack.with_extension("pack");
    let built = run(BINARY, &["packs", "build", text(pack), "--out", text(&out)]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    std::fs::read(out).unwrap()
}

#[test]
fn a_node_that_names_a_key_takes_signed_packs_only_and_no_older_one() {
    let dir = TempDir::new().unwrap();
    let Some(ours) = key(dir.path(), "ours") else { return };
    let theirs = key(dir.path(), "theirs").unwrap();
    let config = probe(dir.path(), &format!("\n[packs]\nminisign_keys = [\"{ours}\"]\n"));
    let (pack, data) = (dir.path().join("probe"), dir.path().join("data"));
    let start = || Start::new(BINARY, &config, &data).start();
    let refused = |says: &str| {
        let log = start().unwrap_err();
        assert!(log.contains(says), "{says}: {log}");
    };
    refused("probe/pack.manifest.minisig: is missing");
    sign(dir.path(), &pack, "theirs", &[]);
    refused("probe/pack.manifest.minisig: is by a key that is not trusted here");
    sign(dir.path(), &pack, "ours", &[]);
    let rules = std::fs::read_to_string(pack.join("rules/rules.yaml")).unwrap();
    write(&pack.join("rules/rules.yaml"), format!("{rules}# one comment more\n"));
    refused("probe/rules/rules.yaml: is not the file that was signed");
    let doctor = run(BINARY, &["doctor", "--config", text(&config)]);
    assert!(doctor.stdout.contains("rules.yaml: is not the file that was signed"), "{}", doctor.stdout);
    write(&pack.join("rules/rules.yaml"), rules);

    let node = start().unwrap();
    let mut probe = Probe { client: node.client(), node, dir, config: config.clone() };
    let upload = |probe: &Probe, archive: Vec<u8>| {
        probe.client.send("POST", "/v1/packs", &[ARCHIVE], archive).unwrap()
    };
    let unsigned = version(&pack, "unsigned", "1.1.0");
    let told = problem(&upload(&probe, archive(&unsigned)), 422);
    assert!(told["detail"].as_str().unwrap().contains("pack/pack.manifest.minisig: is missing"), "{told}");

    let next = version(&pack, "next", "1.10.0");
    sign(probe.dir.path(), &next, "ours", &[]);
    let signed = archive(&next);
    let mut changed = signed.clone();
    let at = changed.windows(4).position(|four| four == b"EARL" || four == b"OFTE").unwrap();
    changed[at] ^= 1;
    let told = problem(&upload(&probe, changed), 422);
    assert!(told["detail"].as_str().unwrap().contains("rules/rules.yaml: is not the file"), "{told}");
    let reply = upload(&probe, signed);
    assert_eq!((reply.status, reply.json()["version"].clone()), (200, json!("1.10.0")), "{}", reply.text);
    let publish = |probe: &Probe| probe.client.send("POST", "/v1/generations", &[], "").unwrap();
    assert_eq!(publish(&probe).status, 200);
    let in_force = |probe: &Probe| probe.client.get("/v1/packs").unwrap().json()["packs"][0].clone();
    let now = in_force(&probe);
    assert_eq!(now["version"], "1.10.0");

    // An older version with a good signature, other files under the same one, and an expired newer one.
    let older = version(&pack, "older", "1.9.0");
    sign(probe.dir.path(), &older, "ours", &[]);
    let same = version(&pack, "same", "1.10.0.0");
    sign(probe.dir.path(), &same, "ours", &[]);
    let expired = version(&pack, "expired", "1.11.0");
    sign(probe.dir.path(), &expired, "ours", &["--expires", "2020-01-01"]);
    let all = [(older, "1.9.0 is older than 1.10.0"), (same, "with other files"), (expired, "has expired")];
    for (pack, says) in &all {
        let told = problem(&upload(&probe, archive(pack)), 422);
        assert!(told["detail"].as_str().unwrap().contains(says), "{says}: {told}");
    }

    // Over a restart the upload stays, and so does what is noted; the folder may be as it was, but not go back further.
    probe.restart();
    assert_eq!(in_force(&probe), now);
    assert_eq!(publish(&probe).status, 200);
    assert_eq!(in_force(&probe), now);
    let text_of = std::fs::read_to_string(pack.join("pack.yaml")).unwrap().replace("1.0.0", "0.9.0");
    write(&pack.join("pack.yaml"), text_of);
    sign(probe.dir.path(), &pack, "ours", &[]);
    let told = problem(&publish(&probe), 422);
    assert!(told["detail"].as_str().unwrap().contains("0.9.0 is older than 1.10.0"), "{told}");
    verified_by_the_command_line(&next, &ours, &theirs);
}

fn verified_by_the_command_line(pack: &Path, ours: &str, theirs: &str) {
    let verify = |key: &str, path: &Path| {
        run(BINARY, &["packs", "verify", text(path), "--minisign-key", key, "--json"])
    };
    let told = |done: Done, code: i32| {
        assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
        done.summary()
    };
    for path in [pack.to_owned(), pack.with_extension("pack")] {
        let good = told(verify(ours, &path), 0);
        assert_eq!(
            (&good["ok"], &good["version"], &good["files"]),
            (&json!(true), &json!("1.10.0"), &json!(3))
        );
        assert!(
            good["signed_by"].as_str().unwrap().starts_with(&format!("minisign {ours} (timestamp:")),
            "{good}"
        );
        let bad = told(verify(theirs, &path), 1);
        assert!(bad["error"].as_str().unwrap().contains("pack.manifest.minisig: is by a key"), "{bad}");
    }
    let no_key = run(BINARY, &["packs", "verify", text(pack)]);
    assert!(no_key.code == 3 && no_key.stderr.contains("no key is named"), "{}", no_key.stderr);
}

#[test]
fn a_signed_note_over_a_pack_is_as_good() {
    use interdict_consortium::keys::{KeyType, SignerKey};
    let dir = TempDir::new().unwrap();
    let key = |name: &str, byte: u8| {
        let key = SignerKey::from_seed(name, KeyType::Ed25519, &[byte; 32]).unwrap();
        write(&dir.path().join(format!("{name}.key")), &*key.to_text());
        key.verifier().to_string()
    };
    let (first, second) = (key("risk.bank-a.example", 1), key("audit.bank-a.example", 2));
    probe(dir.path(), "");
    let pack = dir.path().join("probe");
    let sign = |name: &str| {
        let key = dir.path().join(format!("{name}.key"));
        let done =
            run(BINARY, &["packs", "sign", text(&pack), "--key", text(&key), "--expires", "2999-01-01"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    let verify = |keys: &[&str]| {
        let keys = keys.iter().flat_map(|key| ["--note-key", key]);
        run(BINARY, &["packs", "verify", text(&pack)].into_iter().chain(keys).collect::<Vec<_>>())
    };
    sign("risk.bank-a.example");
    let done = verify(&[&first]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    let expected =
        "probe 1.0.0: 3 files, signed by risk.bank-a.example, to be taken into use before 2999-01-01";
    assert!(done.stdout.starts_with(expected), "{}", done.stdout);
    sign("audit.bank-a.example");
    assert!(verify(&[&first, &second]).stdout.contains("risk.bank-a.example, audit.bank-a.example"));
    assert_eq!(verify(&[&first]).code, 1, "a signature by a key that is not trusted");
    write(&pack.join("features.yaml"), "features: []\n");
    let done = verify(&[&first, &second]);
    assert!(
        done.code == 1 && done.stdout.contains("probe/features.yaml: is not the file"),
        "{}",
        done.stdout
    );
}
