//! `interdict screen` and watchlists from outside: every row its line, values unchanged, pairs written back, a built bank
//! like the files it was made of, broken lists told by line; and feeds that are followed.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    let done = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

fn json_lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const OWN: &str =
    "id,name,kind\r\n7,\"SCHOLZ, Olaf \"\"O.\"\"\",person\r\n8,Stella Maris Shipping GmbH,company\r\n";

#[test]
fn every_row_gives_one_line_in_order() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.csv"), OWN).unwrap();
    fs::write(dir.path().join("names.txt"), "Olaf Scholz O.\n\nNobody Atall\nStela Maris Shipping GmbH\n")
        .unwrap();
    let ran = run(dir.path(), &["screen", "--list", "own.csv", "--names", "names.txt", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines = json_lines(&ran.out);
    let entries: Vec<_> = lines.iter().map(|line| line["matches"][0]["entry"].as_str()).collect();
    assert_eq!(entries, [Some("7"), None, None, Some("8")]);
    assert_eq!(lines[0]["matches"][0]["name"], "SCHOLZ, Olaf \"O.\"");
    assert_eq!((lines[1]["query"].as_str(), lines[1]["matches"].as_array().unwrap().len()), (Some(""), 0));
    let csv = run(dir.path(), &["screen", "--list", "own.csv", "--names", "names.txt"]).out;
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 5);
    assert!(rows[1].starts_with("Olaf Scholz O.,own,7,\"SCHOLZ, Olaf \"\"O.\"\"\","), "{}", rows[1]);
    assert_eq!(rows[2], ",,,,,0");
    // Many rows over all cores, each numbered, in their order; in a CSV with a column name, an empty row too.
    let names: Vec<String> =
        (0..2000).map(|n| if n % 3 == 0 { String::new() } else { format!("Person {n}, \"x\"") }).collect();
    let quoted = names.iter().map(|name| format!("\"{}\",1\r\n", name.replace('"', "\"\"")));
    fs::write(dir.path().join("many.csv"), format!("name,n\r\n{}", quoted.collect::<String>())).unwrap();
    let many = run(dir.path(), &["screen", "--list", "own.csv", "--names", "many.csv", "--json"]).out;
    let queries: Vec<String> =
        json_lines(&many).iter().map(|line| line["query"].as_str().unwrap().to_owned()).collect();
    assert_eq!(queries, names);
}

#[test]
fn a_built_bank_screens_like_its_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.csv"), OWN).unwrap();
    let built = run(
        dir.path(),
        &["lists", "build", "--watchlist", "own", "own.csv", "--out", "own.inames", "--json"],
    );
    assert_eq!(built.code, 0, "{}", built.err);
    assert_eq!(json_lines(&built.out)[0]["counts"]["entries"], 2);
    let inspected = run(dir.path(), &["lists", "inspect", "own.inames", "--json"]);
    assert_eq!(json_lines(&inspected.out)[0]["sha256"], json_lines(&built.out)[0]["sha256"]);
    let of =
        |list: &str| run(dir.path(), &["screen", "--list", list, "--name", "Olaf Scholz O", "--json"]).out;
    assert_eq!(of("own.inames"), of("own.csv"));
    let mut bytes = fs::read(dir.path().join("own.inames")).unwrap();
    bytes[20] ^= 1;
    fs::write(dir.path().join("own.inames"), bytes).unwrap();
    let damaged = run(dir.path(), &["screen", "--list", "own.inames", "--name", "x"]);
    assert_eq!(damaged.code, 3);
    assert!(damaged.err.contains("own.inames"), "{}", damaged.err);
}

#[test]
fn pairs_are_written_back_with_score_and_prediction() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = "x,schema,name1,name2\n1,Person,\"Ana, \"\"A\"\" Silva\",Ana A Silva\n\n2,Company,  Acme Ltd ,Other Corp\n";
    fs::write(dir.path().join("pairs.csv"), pairs).unwrap();
    let ran = run(dir.path(), &["screen", "--pairs", "pairs.csv"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows: Vec<&str> = ran.out.split_terminator("\r\n").collect();
    assert_eq!(rows[0], "name1,name2,schema,score,predicted");
    assert_eq!(rows[1], "\"Ana, \"\"A\"\" Silva\",Ana A Silva,Person,1.000,true");
    assert_eq!(rows[2], ",,,0.000,false");
    assert!(rows[3].starts_with("  Acme Ltd ,Other Corp,Company,0.") && rows[3].ends_with(",false"));
    let strict = run(dir.path(), &["screen", "--pairs", "pairs.csv", "--cutoff", "0", "--json"]);
    assert_eq!(json_lines(&strict.out)[2]["predicted"], true);
}

#[test]
fn misuse_and_broken_input_are_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.csv"), OWN).unwrap();
    fs::write(dir.path().join("bad.csv"), "name,kind\nGood Name,person\n,person\nOther Name,wrong\n")
        .unwrap();
    fs::write(
        dir.path().join("bomb.xml"),
        "<!DOCTYPE a [<!ENTITY b \"c\">]><CONSOLIDATED_LIST>&b;</CONSOLIDATED_LIST>",
    )
    .unwrap();
    fs::write(dir.path().join("long.txt"), format!("{}\nOlaf Scholz O\n", "n".repeat(10_000))).unwrap();
    for args in [
        &["screen", "--name", "x"][..],
        &["screen", "--list", "own.csv"],
        &["screen", "--list", "own.csv", "--name", "x", "--names", "y"],
        &["screen", "--list", "own.csv", "--name", "x", "--cutoff", "1.1"],
        &["lists", "build", "own.csv", "--out", "x.ilist", "--data", "d"],
        &["lists", "build", "own.csv", "--name", "x", "--out", "x.ilist"],
    ] {
        assert_eq!(run(dir.path(), args).code, 2, "{args:?}");
    }
    let bad = run(dir.path(), &["screen", "--list", "bad.csv", "--name", "x"]);
    assert_eq!(bad.code, 3);
    assert!(bad.err.contains("bad.csv, line 3") && bad.err.contains("bad.csv, line 4"), "{}", bad.err);
    assert!(!bad.err.contains("Good Name") && !bad.err.contains("Other Name"));
    let bomb = run(dir.path(), &["screen", "--list", "bomb.xml", "--name", "x"]);
    assert!(bomb.code == 3 && bomb.err.contains("document type declaration"), "{}", bomb.err);
    let long = run(dir.path(), &["screen", "--list", "own.csv", "--names", "long.txt", "--json"]);
    let lines = json_lines(&long.out);
    assert_eq!((long.code, lines.len()), (0, 2));
    assert!(lines[0]["error"].as_str().unwrap().contains("limit 4096") && long.err.contains("row 1: "));
    assert_eq!(lines[1]["matches"][0]["entry"], "7");
}

/// A configuration without packs beside the folders.
fn config(dir: &Path) {
    fs::write(dir.join("c.toml"), "[http]\nlisten = \"127.0.0.1:0\"\n").unwrap();
}

#[test]
fn a_replay_follows_a_file_until_it_is_told_to_end() {
    let dir = tempfile::tempdir().unwrap();
    config(dir.path());
    let line = |n: u32| {
        format!(
            "{{\"id\": \"line-number-{n}\", \"time\": \"2018-04-01T00:00:{n:02}Z\", \"amount\": {{\"minor\": 1, \"currency\": \"EUR\"}}, \"merchant\": {{\"id\": \"m\"}}}}\n"
        )
    };
    let path = dir.path().join("grows.jsonl");
    fs::write(&path, line(1) + "{}\n" + &line(2)[..20]).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .args(["replay", "--follow", "grows.jsonl", "--config", "c.toml", "--out", "out", "--json"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    file.write_all(&line(2).as_bytes()[20..]).unwrap();
    file.write_all(line(3).as_bytes()).unwrap();
    // The journal has the last one before the end is asked for.
    let journal = dir.path().join("out/journal");
    let began = Instant::now();
    let holds = || {
        let files = fs::read_dir(&journal).into_iter().flatten().flatten();
        files
            .filter_map(|entry| fs::read(entry.path()).ok())
            .any(|bytes| bytes.windows(13).any(|some| some == b"line-number-3"))
    };
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "the third line was not taken");
        assert!(child.try_wait().unwrap().is_none(), "the replay ended by itself");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let done = child.wait_with_output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{out}{}", String::from_utf8_lossy(&done.stderr));
    let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["transactions"], &summary["rejected"]), (&Value::from(3), &Value::from(1)));
}
