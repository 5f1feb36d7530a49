//! The log against what others have written: the vectors of transparency-dev/merkle, pymerkle (Python), x/mod's note and
//! tlog (Go), and the verifier that we ship to auditors. Each also has to refuse what is not right.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interdict_consortium::keys::{KeyType, SignerKey, VerifierKey};
use interdict_consortium::kind::MemberId;
use interdict_consortium::log::prove::read;
use interdict_consortium::log::tree::{self, Frontier, Hash};
use interdict_consortium::log::{Folder, Memory, Policy, Tile, Writer};
use interdict_consortium::note::Note;
use interdict_consortium::query::{Opening, Query, Request, Service, receipt};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LOG: &str = "alliance.example/queries";
/// The leaf that is a query of ours; the others are leaves of other lengths.
const OURS: u64 = 300;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// `shared/data`, or what `INTERDICT_DATA` names. Without it (and outside CI) the test says so and ends.
fn data(file: &str) -> Option<PathBuf> {
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let above = root().ancestors().map(|folder| folder.join("shared/data"));
    let found = named.into_iter().chain(above).map(|data| data.join(file)).find(|path| path.exists());
    there(found, file)
}

/// A tool, or under CI=true a failure, elsewhere a word that it is missing.
fn there<T>(found: Option<T>, what: &str) -> Option<T> {
    assert!(
        found.is_some() || !std::env::var("CI").is_ok_and(|ci| ci == "true"),
        "{what} must be there under CI=true: tools/deps.sh test installs it, INTERDICT_DATA names data"
    );
    if found.is_none() {
        eprintln!("skipped: no {what}");
    }
    found
}

/// Python with pymerkle and cryptography, which lies beside what cargo builds: target/PROFILE/deps/log_conformance-….
fn python() -> Option<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    let python = exe.ancestors().nth(3).unwrap().join("test-venv/bin/python");
    there(Some(python).filter(|python| python.is_file()), "test-venv")
}

/// Runs a command with lines on its standard input; its standard output.
fn run(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn hashes(value: &Value) -> Option<Vec<Hash>> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter().map(hash).collect()
}
/// A hash of the vectors; some are words that stand for one, and are filled up. What is empty is none.
fn hash(value: &Value) -> Option<Hash> {
    let mut bytes = STANDARD.decode(value.as_str()?).unwrap();
    bytes.resize(if bytes.is_empty() { 0 } else { bytes.len().max(32) }, 0);
    bytes.try_into().ok()
}

/// All cases below a folder, with their paths.
fn cases(folder: &Path, into: &mut Vec<(PathBuf, Value)>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => cases(&entry, into),
            false => into.push((entry.clone(), serde_json::from_slice(&fs::read(&entry).unwrap()).unwrap())),
        }
    }
}

#[test]
fn the_published_vectors_are_accepted_and_refused_as_they_say() {
    let Some(folder) = data("vectors/merkle") else { return };
    let (mut all, mut seen) = (Vec::new(), [[0; 2]; 2]);
    ["inclusion", "consistency"].iter().for_each(|kind| cases(&folder.join(kind), &mut all));
    for (path, case) in all {
        let number = |key: &str| case[key].as_u64().unwrap();
        let is_inclusion = case.get("leafIdx").is_some();
        // A hash of another length is none, and refused where it is read.
        let is_proved = match is_inclusion {
            true => (|| {
                let (leaf, root, proof) =
                    (hash(&case["leafHash"])?, hash(&case["root"])?, hashes(&case["proof"])?);
                tree::verify_inclusion(&leaf, number("leafIdx"), number("treeSize"), &proof, &root).ok()
            })(),
            false => (|| {
                let (one, two, proof) =
                    (hash(&case["root1"])?, hash(&case["root2"])?, hashes(&case["proof"])?);
                tree::verify_consistency((number("size1"), &one), (number("size2"), &two), &proof).ok()
            })(),
        };
        // They refuse to compare with no leaves at all; a witness that has cosigned nothing starts from there (C2SP).
        let is_from_nothing = path.ends_with("size1-is-zero-and-size2-is-not-zero.json");
        let is_wrong = case["wantErr"].as_bool().unwrap() && !is_from_nothing;
        assert_eq!(is_proved.is_none(), is_wrong, "{}: {}", path.display(), case["desc"]);
        seen[usize::from(is_inclusion)][usize::from(is_wrong)] += 1;
    }
    println!("consistency {:?}, inclusion {:?}: accepted, refused", seen[0], seen[1]);
    assert!(seen.iter().all(|[good, bad]| *good >= 6 && *bad >= 90), "{seen:?}");
}

/// Leaves of all kinds of lengths; one of them opens.
fn leaf(n: u64) -> Vec<u8> {
    match n {
        OURS => opening().leaf().to_vec(),
        n => n.to_be_bytes().repeat((n % 5) as usize),
    }
}
fn log_key() -> SignerKey {
    SignerKey::from_seed(LOG, KeyType::Ed25519, &[1; 32]).unwrap()
}
fn witness(n: u8) -> SignerKey {
    SignerKey::from_seed(&format!("bank-{n}.example"), KeyType::Cosignature, &[10 + n; 32]).unwrap()
}
fn request() -> Note {
    let member = SignerKey::from_seed("bank-0.example", KeyType::Ed25519, &[5; 32]).unwrap();
    let request = Request {
        log: LOG.into(),
        member: MemberId(0),
        epoch: 7,
        service: Service::Confirm,
        items: 3,
        body: [7; 32],
        time_ms: 1_790_000_000_000,
    };
    let mut note = Note::new(request.encode().unwrap()).unwrap();
    note.sign(&member);
    note
}
fn opening() -> Opening {
    let note = request();
    let request = Request::decode(note.text()).unwrap();
    Opening { salt: [9; 16], query: Query::new(&request, &note, b"the response", 1_790_000_000_010) }
}

/// A log of some size in a folder on disk, cosigned by two of three witnesses, its receipt and its policy.
fn written(dir: &Path, size: u64) -> String {
    let folder = Memory::default();
    let mut writer = Writer::open(&folder, log_key()).unwrap();
    // Cut into checkpoints, so that partial tiles come and go.
    for from in (0..size).step_by(97) {
        writer.append(&(from..size.min(from + 97)).map(leaf).collect::<Vec<_>>()).unwrap();
        writer.checkpoint().unwrap();
    }
    let mut cosigned = Note::new(writer.published().unwrap().1.text().to_owned()).unwrap();
    (0..2).for_each(|n| cosigned.cosign(&witness(n), 1_790_000_001));
    let lines: String = cosigned.signatures().iter().map(|line| format!("{line}\n")).collect();
    let witnesses: Vec<VerifierKey> = (0..3).map(|n| witness(n).verifier().clone()).collect();
    assert_eq!(writer.add_cosignatures(&lines, &witnesses).unwrap(), 2);
    for tile in Tile::all_new(0, size) {
        let path = dir.join(tile.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, read(&folder, &tile).unwrap()).unwrap();
    }
    fs::write(dir.join("checkpoint"), folder.read("checkpoint").unwrap().unwrap()).unwrap();
    let note = writer.published().unwrap().1;
    let receipt = receipt::build(&folder, note, OURS, &opening()).unwrap().encode();
    let text = Policy::text_of(&[log_key().verifier().clone()], &witnesses, 2).unwrap();
    receipt::verify(receipt.as_bytes(), &Policy::parse(text.as_bytes()).unwrap()).unwrap();
    fs::write(dir.join("policy"), text).unwrap();
    fs::write(dir.join("receipt"), &receipt).unwrap();
    receipt
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn pymerkle_has_the_same_roots() {
    let Some(python) = python() else { return };
    let lines: String = (0..600).map(|n| hex(&leaf(n)) + "\n").collect();
    let script = root().join("tests/conformance/roots.py");
    let roots = run(Command::new(python).arg(script), &lines);
    let (mut frontier, mut count) = (Frontier::default(), 0);
    for (n, theirs) in (0..).zip(roots.lines()) {
        assert_eq!(hex(&frontier.root()), theirs, "{n} leaves");
        frontier.push(tree::leaf_hash(&leaf(n)));
        count += 1;
    }
    assert_eq!(count, 601);
    // It would see a leaf that is not ours.
    let other =
        run(Command::new(self::python().unwrap()).arg(root().join("tests/conformance/roots.py")), "00\n");
    assert_ne!(other.lines().last().unwrap(), roots.lines().nth(1).unwrap());
}

/// The Go program, built; its packages are Debian's (golang-golang-x-mod-dev).
fn go() -> Option<PathBuf> {
    let (temporary, source) =
        (Path::new(env!("CARGO_TARGET_TMPDIR")), root().join("tests/conformance/log.go"));
    let program = temporary.join("conformance-log");
    let is_there = Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog").is_dir();
    let built = is_there.then(|| {
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(&source);
        go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", temporary.join("go"));
        go.env("GOFLAGS", "").status().ok()
    });
    let status = there(built.flatten(), "go and golang.org/x/mod")?;
    assert!(status.success(), "{} does not build", source.display());
    Some(program)
}

#[test]
fn go_accepts_checkpoints_tiles_proofs_and_receipts_and_refuses_changed_ones() {
    let Some(program) = go() else { return };
    let mut keys = vec![log_key().verifier().to_string()];
    keys.extend((0..2).map(|n| witness(n).verifier().to_string()));
    let (keys, stranger) = (keys.join(" "), witness(2).verifier().to_string());
    let (mut jobs, mut expected, dir) = (String::new(), Vec::new(), tempfile::tempdir().unwrap());
    let mut job = |line: String, answer: Result<String, &'static str>| {
        jobs += &line;
        jobs += "\n";
        expected.push((line, answer));
    };
    for (size, old) in [(301, 256), (512, 1), (700, 333)] {
        let dir = dir.path().join(size.to_string());
        written(&dir, size);
        let (mut frontier, mut before) = (Frontier::default(), String::new());
        for n in 0..size {
            frontier.push(tree::leaf_hash(&leaf(n)));
            if n + 1 == old {
                before = tree::text_of(&frontier.root());
            }
        }
        let (at, now) = (dir.display().to_string(), tree::text_of(&frontier.root()));
        job(format!("log {at} {old} {keys}"), Ok(format!("ok {size} {now} {before}")));
        job(format!("receipt {at}/receipt {keys}"), Ok(format!("ok {OURS}")));
        job(format!("log {at} {old} {stranger}"), Err("verifiable signatures"));
        job(format!("receipt {at}/receipt {keys} {stranger}"), Err("keys have signed"));
    }
    // One bit of a tile, a bundle, a checkpoint, a receipt's leaf, index and hash.
    let flip = |file: &Path, at: usize| {
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    for (n, (path, at)) in [
        ("tile/0/000", 40),
        ("tile/1/000.p/1", 0),
        ("tile/entries/001.p/45", 9),
        ("checkpoint", 30),
        ("checkpoint", 26),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = dir.path().join(format!("changed-{n}"));
        written(&dir, 301);
        flip(&dir.join(path), at);
        job(format!("log {} 256 {keys}", dir.display()), Err(""));
    }
    let dir = dir.path().join("receipts");
    let text = written(&dir, 301);
    let (index, note) = (text.find("\nindex ").unwrap(), text.find("\n\n").unwrap());
    for (n, at) in [40, index + 8, index + 14, note - 8, note + 4, note + 30].into_iter().enumerate() {
        let file = dir.join(format!("receipt-{n}"));
        fs::write(&file, &text).unwrap();
        flip(&file, at);
        job(format!("receipt {} {keys}", file.display()), Err(""));
    }
    let answers = run(&mut Command::new(program), &jobs);
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), expected.len());
    for ((job, expected), answer) in expected.iter().zip(answers) {
        match expected {
            Ok(expected) => assert_eq!(answer, expected, "{job}"),
            Err(why) => assert!(answer.starts_with("refused: ") && answer.contains(why), "{job}: {answer}"),
        }
    }
}

#[test]
fn the_verifier_for_auditors_accepts_a_receipt_and_refuses_any_other() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let text = written(dir.path(), 700);
    let at = |file: &str| dir.path().join(file);
    fs::write(at("request"), request().encode()).unwrap();
    fs::write(at("response"), b"the response").unwrap();
    fs::write(at("other"), b"another response").unwrap();
    let verify = |args: &[&str]| {
        let script = root().join("deploy/verify_receipt.py");
        let output =
            Command::new(&python).arg("-B").arg(script).args(args).current_dir(dir.path()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).unwrap(),
        )
    };
    let (code, said) = verify(&["receipt", "policy", "--request", "request", "--response", "response"]);
    assert_eq!(code, Some(0), "{said}");
    for part in ["700 leaves", "2 of 3 witnesses", "leaf 300", "member 0, epoch 7, service confirm, 3 items"]
    {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let lines: Vec<&str> = text.lines().collect();
    let without = |name: &str| {
        let kept = lines.iter().filter(|line| !line.starts_with(&format!("\u{2014} {name}")));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    fs::write(at("one-witness"), without("bank-1.example")).unwrap();
    fs::write(at("no-log"), without(LOG)).unwrap();
    fs::write(at("no-extra"), text.replacen(&format!("{}\n", lines[1]), "", 1)).unwrap();
    let policy = fs::read_to_string(at("policy")).unwrap();
    fs::write(at("strict"), policy.replace("witnesses 2", "witnesses all")).unwrap();
    fs::write(at("no-quorum"), policy.replace("quorum witnesses\n", "")).unwrap();
    for (args, why) in [
        (&["receipt", "policy", "--response", "other"][..], "another response"),
        (&["receipt", "policy", "--request", "other"], "another request"),
        (&["receipt", "policy", "--leaf", "other"], "does not lead"),
        (&["receipt", "strict"], "2 of 3 witnesses"),
        (&["receipt", "no-quorum"], "no quorum line"),
        (&["one-witness", "policy"], "1 of 3 witnesses"),
        (&["no-log", "policy"], "no log of the policy"),
        (&["no-extra", "policy"], "no opening"),
        (&["policy", "policy"], "line 1"),
        (&["nothing", "policy"], "nothing"),
    ] {
        let (code, said) = verify(args);
        assert!(code == Some(1) && said.starts_with("refused: ") && said.contains(why), "{args:?}: {said}");
    }
    let script = root().join("tests/conformance/receipts.py");
    let mut flips = Command::new(&python);
    flips.arg("-B").arg(script).arg(root().join("deploy")).arg(at("receipt")).arg(at("policy")).arg("3");
    assert_eq!(run(&mut flips, "").trim(), (text.len().div_ceil(3) * 8).to_string());
}
