//! The command line from outside: every verb on the repository's own packs and lists, and on broken ones, by exit code,
//! message and JSON.
#![allow(clippy::unwrap_used, missing_docs)]

use interdict_ledger::{MasterKey, dead_letter::DeadLetters};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one line: {}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap()
    }
    #[track_caller]
    fn code(self, expected: i32) -> Ran {
        assert_eq!(self.code, expected, "{}{}", self.out, self.err);
        self
    }
}

/// Runs the binary; arguments are split at spaces (no path here has any).
fn run(dir: &Path, line: &str) -> Ran {
    let done = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .args(line.split_whitespace())
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
fn packs() -> String {
    repository().join("packs").display().to_string()
}
fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A pack with one right rule; `edit` breaks a copy of its rule.
fn pack(dir: &Path, edit: impl Fn(String) -> String) {
    let rule = "rules:\n  - id: large\n    title: A large payment\n    when: amount.minor > 100\n    outcome: review\n    score: 10\n    code: LARGE\n    examples:\n      hit: [{amount.minor: 101}]\n      miss: [{amount.minor: 100}]\n";
    fs::create_dir_all(dir.join("p/rules")).unwrap();
    fs::write(dir.join("p/pack.yaml"), "name: p\nversion: \"1\"\nowner: me\n").unwrap();
    fs::write(dir.join("p/rules/a.yaml"), edit(rule.into())).unwrap();
}

#[test]
fn the_repositorys_packs_pass() {
    for (name, rules) in [("cards", 13), ("world", 18), ("screening", 2), ("scams", 2)] {
        let dir = format!("{}/{name}", packs());
        let report = run(Path::new("."), &format!("packs check {dir} --json")).code(0).json();
        assert_eq!(
            (&report["pack"], &report["rules"], &report["ok"]),
            (&name.into(), &rules.into(), &true.into())
        );
        assert_eq!(report["errors"], serde_json::json!([]));
        let tested = run(Path::new("."), &format!("packs test {dir} --json")).code(0).json();
        assert_eq!(tested["failures"], serde_json::json!([]));
        assert_eq!(tested["rules"].as_array().unwrap().len(), rules);
        let silent = tested["rules"].as_array().unwrap().iter().find(|rule| rule["hits"] == 0);
        assert!(silent.is_none(), "a rule that no example hits: {silent:?}");
        assert!(run(Path::new("."), &format!("packs test {dir}")).code(0).out.contains(" 0 failed"));
    }
}

/// Budgets are held against the built-in table, a profile's, or what this machine measures now.
#[test]
fn what_budgets_are_held_against_can_be_said() {
    let dir = folder();
    pack(dir.path(), |rule| rule);
    let yaml = dir.path().join("p/pack.yaml");
    let manifest = fs::read_to_string(&yaml).unwrap();
    fs::write(&yaml, format!("{manifest}budgets: {{rules_us: 1}}\n")).unwrap();
    run(dir.path(), "packs check p").code(0);
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../hw-profiles/server.toml");
    let profile = fs::read_to_string(profile).unwrap();
    fs::write(dir.path().join("slow.toml"), format!("{profile}\n[costs]\nslot_ps = 2000000\n")).unwrap();
    let refused = run(dir.path(), "packs check p --profile slow.toml").code(1);
    let wanted = "static cost of rules is 2.0 us, budget rules_us is 1; dearest: rule";
    assert!(refused.out.contains(wanted), "{}", refused.out);
    // A node under that profile refuses it too: its costs are what a publication is held against.
    fs::write(dir.path().join("c.toml"), "profile = \"slow.toml\"\n[rules]\npacks = [\"p\"]\n").unwrap();
    let served = run(dir.path(), "serve --config c.toml --data served").code(3);
    assert!(served.err.contains(wanted), "{}", served.err);
    let report = run(dir.path(), "packs check p --calibrate --json").out;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let table = report["calibration"].as_object().unwrap();
    assert_eq!(table.len(), 24);
    assert!(table.values().all(|ps| ps.as_u64().is_some_and(|ps| ps > 0)), "{table:?}");
    let told = run(dir.path(), "packs check p --calibrate").out;
    let costs = told.split_once("[costs]").unwrap().1;
    let costs: Vec<&str> = costs.lines().filter(|line| line.contains(" = ")).collect();
    assert_eq!(costs.len(), 24, "{told}");
    fs::write(dir.path().join("here.toml"), format!("{profile}\n[costs]\n{}\n", costs.join("\n"))).unwrap();
    // What it prints is what a profile reads; whether the budget holds here is this machine's to say.
    assert!(!run(dir.path(), "packs check p --profile here.toml").err.contains("here.toml"));
    run(dir.path(), "packs check p --profile here.toml --calibrate").code(2);
}

#[test]
fn a_wrong_slot_is_a_finding_with_its_place_and_the_nearest_name() {
    let dir = folder();
    pack(dir.path(), |rule| rule.replace("when: amount.minor", "when: amount.minro"));
    let ran = run(dir.path(), "packs check p").code(1);
    assert!(
        ran.out.contains("p/rules/a.yaml:4:11: error: ") && ran.out.contains("amount.minor"),
        "{}",
        ran.out
    );
    let report = run(dir.path(), "packs check p --json").code(1).json();
    let error = &report["errors"][0];
    assert_eq!(
        (&error["line"], &error["column"], &report["ok"]),
        (&4.into(), &11.into(), &false.into()),
        "{error}"
    );
    run(dir.path(), "packs test p").code(1);
    let refused = run(dir.path(), "packs build p --out p.pack").code(3);
    assert!(refused.err.contains("p/rules/a.yaml:4:11"), "{}", refused.err);
    assert!(!dir.path().join("p.pack").exists());
}

#[test]
fn a_pack_that_does_not_load_tells_every_error() {
    let dir = folder();
    pack(dir.path(), |rule| {
        rule.replace("outcome: review", "outcome: reveiw").replace("score: 10", "score: 1001")
    });
    let ran = run(dir.path(), "packs check p").code(1);
    assert!(ran.out.contains("p/rules/a.yaml:5:") && ran.out.contains("p/rules/a.yaml:6:"), "{}", ran.out);
    assert!(ran.out.contains("review") && ran.out.contains("2 errors"), "{}", ran.out);
}

#[test]
fn an_example_that_does_not_hold_tells_expected_and_got() {
    let dir = folder();
    pack(dir.path(), |rule| {
        rule.replace("hit: [{amount.minor: 101}]", "hit: [{amount.minor: 99}, {channel: atm}]")
    });
    run(dir.path(), "packs check p").code(0);
    let ran = run(dir.path(), "packs test p").code(1);
    assert!(
        ran.out.contains("p/rules/a.yaml:9:13: ") && ran.out.contains("expected a hit, got a miss"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("expected a hit, got undecided"), "{}", ran.out);
    let report = run(dir.path(), "packs test p --json").code(1).json();
    assert_eq!(report["failures"].as_array().unwrap().len(), 2);
    run(dir.path(), "packs build p --out p.pack").code(3);
}

#[test]
fn only_a_rule_that_always_holds_needs_no_miss() {
    let dir = folder();
    let bare = |rule: String| rule.replace("      miss: [{amount.minor: 100}]\n", "");
    pack(dir.path(), bare);
    assert!(run(dir.path(), "packs check p").code(1).out.contains("examples.miss is missing"));
    pack(dir.path(), |rule| bare(rule).replace("amount.minor > 100", "\"true\""));
    assert!(
        run(dir.path(), "packs check p")
            .code(0)
            .out
            .contains("warning: rule \"large\": the condition is always true")
    );
    run(dir.path(), "packs test p").code(0);
}

#[test]
fn a_built_pack_is_the_same_wherever_it_is_built() {
    let dir = folder();
    let line = format!("packs build {}/cards --out a.pack --json", packs());
    let built = run(dir.path(), &line).code(0).json();
    let bytes = fs::read(dir.path().join("a.pack")).unwrap();
    assert_eq!(built["sha256"].as_str().unwrap(), hex(&Sha256::digest(&bytes)));
    let files = interdict_engine::packs::unarchive(&bytes).unwrap();
    assert!(files.contains_key("pack.yaml") && interdict_engine::packs::load(files).is_ok());
    let other =
        run(dir.path(), &format!("packs build {}/cards --out {}/b.pack", packs(), dir.path().display()))
            .code(0);
    assert_eq!(fs::read(dir.path().join("b.pack")).unwrap(), bytes);
    assert!(other.out.starts_with("cards 1.0.0 sha256:"), "{}", other.out);
}

fn hex(bytes: &[u8]) -> String {
    interdict_engine::generation::hex(bytes)
}

#[test]
fn a_list_is_imported_built_and_inspected() {
    let dir = folder();
    let list = format!("{}/cards/lists/stolen_cards.csv", packs());
    let imported = run(dir.path(), &format!("lists import {list} --name stolen_cards --json")).code(0).json();
    assert_eq!(imported["counts"], serde_json::json!([{"type": "card", "effect": "block", "entries": 1}]));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "import leaves nothing behind");

    let line = format!(
        "lists build {list} --name stolen_cards --out a.ilist --data d --outcome hold --code HOT --audience processor --json"
    );
    let built = run(dir.path(), &line).code(0).json();
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("d/keys"), mode("d/keys/master.key")), (0o700, 0o600));
    let seen = run(dir.path(), "lists inspect a.ilist --json").code(0).json();
    assert_eq!(
        (&seen["sha256"], &seen["list"], &seen["entries"]),
        (&built["sha256"], &built["list"], &1.into())
    );
    assert_eq!((&seen["list"]["outcome"], &seen["list"]["code"]), (&"hold".into(), &"HOT".into()));
    assert_eq!((&seen["checksum"], &seen["validity"]["now"]), (&"ok".into(), &1.into()));
    let again = run(dir.path(), &line.replace("a.ilist", "b.ilist")).code(0).json();
    assert_eq!(again["sha256"], built["sha256"], "the same keys give the same bytes");
    let told = run(dir.path(), "lists inspect a.ilist").code(0).out;
    assert!(
        told.contains("stolen_cards (shared)") && told.contains("hold, code HOT, for processor"),
        "{told}"
    );
    assert!(!told.contains("4000000000000002"));
}

#[test]
fn what_a_list_is_comes_from_the_config_and_its_packs() {
    let dir = folder();
    let (list, config) =
        (format!("{}/cards/lists/stolen_cards.csv", packs()), repository().join("deploy/default.toml"));
    let line = format!(
        "lists build {list} --name stolen_cards --out a.ilist --data d --json --config {}",
        config.display()
    );
    assert_eq!(run(dir.path(), &line).code(0).json()["list"]["code"], "LIST_STOLEN_CARDS");
}

#[test]
fn every_wrong_line_of_a_list_is_told_and_no_value_is() {
    let dir = folder();
    fs::write(
        dir.path().join("l.csv"),
        "type,value,effect\ncard,4000000000000002,block\ncrad,secret-1,block\nip,10.0.0.1/99,block\n",
    )
    .unwrap();
    for line in ["lists import l.csv --name l", "lists build l.csv --name l --out l.ilist --data d"] {
        let ran = run(dir.path(), line).code(3);
        assert!(ran.err.contains("line 3") && ran.err.contains("line 4"), "{}", ran.err);
        assert!(!ran.err.contains("secret-1") && !ran.err.contains("4000000000000002"), "{}", ran.err);
    }
    assert!(!dir.path().join("l.ilist").exists());
    fs::write(
        dir.path().join("l.csv"),
        "type,value,effect\ncard,4000000000000002,block\ncard,4000000000000002,flag\n",
    )
    .unwrap();
    let ran = run(dir.path(), "lists import l.csv --name l").code(3);
    assert!(ran.err.contains("entries 1 and 2 are the same card"), "{}", ran.err);
}

#[test]
fn a_damaged_snapshot_fails_and_names_the_byte() {
    let dir = folder();
    let list = format!("{}/cards/lists/compromised_terminals.csv", packs());
    run(dir.path(), &format!("lists build {list} --name t --out t.ilist --data d")).code(0);
    let path = dir.path().join("t.ilist");
    let whole = fs::read(&path).unwrap();
    let inspected = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        run(dir.path(), "lists inspect t.ilist").code(3).err
    };
    assert!(inspected(&whole[..200]).contains("t.ilist: list snapshot: truncated at byte 200"));
    assert!(inspected(&[]).contains("truncated at byte 0"));
    let mut flipped = whole.clone();
    flipped[300] ^= 1;
    assert!(inspected(&flipped).contains("checksum"));
    assert!(inspected(b"not a snapshot").contains("byte 0: magic"));
}

#[test]
fn a_key_is_shown_once_and_kept_as_its_hash() {
    let dir = folder();
    let added =
        run(dir.path(), "keys add --name switch --role submit --tenant acme --data d --json").code(0).json();
    let key = added["key"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 64);
    let path = dir.path().join("d/keys/api-keys.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&hex(&Sha256::digest(&key))) && !text.contains(&key), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let taken = run(dir.path(), "keys add --name switch --role admin --data d").code(3);
    assert!(taken.err.contains("\"switch\" already"), "{}", taken.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    let plain = run(dir.path(), "keys add --name desk --role risk --data d").code(0);
    assert_eq!(plain.out.trim().len(), 64, "the key alone is on stdout: {}", plain.out);
    let listed = run(dir.path(), "keys list --data d --json").code(0).out;
    let rows: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0], serde_json::json!({"name": "switch", "role": "submit", "tenant": "acme"}));
    assert_eq!(rows[1]["role"], "risk");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(run(dir.path(), "keys list --data d").code(3).err.contains("0644"));
}

#[test]
fn dead_letters_are_read_with_the_folders_key_only() {
    let dir = folder();
    assert!(run(dir.path(), "dead-letters --data d").code(3).err.contains("master.key"));
    fs::create_dir_all(dir.path().join("d/keys")).unwrap();
    let key = MasterKey::load_or_create(&dir.path().join("d/keys/master.key")).unwrap();
    assert_eq!(run(dir.path(), "dead-letters --data d").code(0).out, "");
    let mut letters = DeadLetters::open(&dir.path().join("d/dead-letters"), &key, 1 << 20).unwrap();
    assert!(letters.keep("amount.minor: expected an integer", b"{\"amount\":\"***\"}\x1b[2J").unwrap());
    let told = run(dir.path(), "dead-letters --data d --json").code(0).json();
    assert_eq!(told["about"], "amount.minor: expected an integer");
    let plain = run(dir.path(), "dead-letters --data d").code(0).out;
    assert!(plain.contains("{\"amount\":\"***\"}") && !plain.contains('\x1b'), "{plain}");
    fs::write(dir.path().join("d/keys/master.key"), [7; 32]).unwrap();
    assert!(run(dir.path(), "dead-letters --data d").code(3).err.contains("written under master key"));
}

/// What it writes is a profile that a node reads, with what was measured; a file that is there stays.
#[test]
fn a_tuned_profile_loads_and_holds_what_was_measured() {
    let dir = folder();
    let told = run(dir.path(), "tune --seconds 1 --data . --out here.toml").out;
    assert!(told.starts_with("here.toml: lanes "), "{told}");
    let text = fs::read_to_string(dir.path().join("here.toml")).unwrap();
    let refused = run(dir.path(), "tune --seconds 1 --out here.toml").code(3).err;
    assert!(refused.contains("here.toml: is there; --force"), "{refused}");
    fs::write(dir.path().join("c.toml"), "profile = \"here.toml\"\n").unwrap();
    let shown = run(dir.path(), "serve --check --config c.toml").out;
    for key in ["hardware.lanes", "hardware.spins", "hardware.measured.wake_up.p99_us"] {
        let line = shown.lines().find(|line| line.starts_with(&format!("{key} = ")));
        assert!(line.is_some_and(|line| line.ends_with("# profile here.toml")), "{key}: {shown}");
    }
    assert!(text.contains("[costs]\n") && text.contains("[measured]\n"), "{text}");
    let json = run(dir.path(), "tune --seconds 1 --data . --out here.toml --force --json").json();
    let lanes = json["measured"]["lanes"].as_array().unwrap();
    assert!(lanes.len() >= 3 && lanes.iter().all(|one| one["per_s"].as_f64() > Some(0.0)), "{json}");
    // Its own folders are gone.
    let left =
        fs::read_dir(dir.path()).unwrap().filter_map(|one| one.unwrap().file_name().into_string().ok());
    assert!(!left.into_iter().any(|name| name.starts_with("interdict-tune-")));
}

#[test]
fn the_doctor_looks_at_machine_config_and_keys() {
    let dir = folder();
    fs::create_dir_all(dir.path().join("d/keys")).unwrap();
    fs::set_permissions(dir.path().join("d/keys"), fs::Permissions::from_mode(0o700)).unwrap();
    let key = dir.path().join("d/keys/master.key");
    drop(MasterKey::load_or_create(&key).unwrap());
    let config = repository().join("deploy/default.toml");
    let line = format!("doctor --data d --json --config {}", config.display());
    let ran = run(dir.path(), &line);
    let report = ran.json();
    let state = |report: &Value, what: &str| {
        let row = report["rows"].as_array().unwrap().iter().find(|row| row["what"] == what);
        row.unwrap_or_else(|| panic!("no row {what}"))["state"].as_str().unwrap().to_owned()
    };
    for what in
        ["cores", "profile", "wake-up", "disk", "cpu", "memory", "clock", "open files", "disk space", "p99"]
    {
        assert!(["ok", "warn", "fail"].contains(&state(&report, what).as_str()));
    }
    assert_eq!((state(&report, "keys"), state(&report, "config")), ("ok".into(), "ok".into()), "{report}");
    // What the machine is like is not this test's business, only that the exit code says it.
    let any_fail = report["rows"].as_array().unwrap().iter().any(|row| row["state"] == "fail");
    assert_eq!((ran.code == 1, report["ok"] == false), (any_fail, any_fail));
    assert!(report["p99_us"].as_u64().unwrap() >= 100);

    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(dir.path().join("bad.toml"), "[http]\nlitsen = 1\n").unwrap();
    let report = run(dir.path(), "doctor --data d --json --config bad.toml").code(1).json();
    assert_eq!((state(&report, "keys"), state(&report, "config")), ("fail".into(), "fail".into()));
    fs::write(dir.path().join("l.csv"), "type,value\ncard,x y\ncrad,1\n").unwrap();
    fs::write(dir.path().join("lists.toml"), "[rules]\npacks = [\"p\"]\n[lists.l]\nfile = \"l.csv\"\n")
        .unwrap();
    pack(dir.path(), |rule| rule.replace("amount.minor > 100", "amount.minro > 100"));
    let told = run(dir.path(), "doctor --config lists.toml").code(1).out;
    assert!(told.contains("a.yaml:4:11") && told.contains("l.csv, line 3"), "{told}");
    let told = run(dir.path(), "doctor --config bad.toml").code(1).out;
    assert!(told.contains("bad.toml:2") && told.contains("\"listen\""), "{told}");
    assert!(
        fs::read_dir(dir.path().join("d")).unwrap().count() == 1,
        "the measurement leaves nothing behind"
    );
}

#[test]
fn the_doctor_opens_counts_and_dates_each_list_and_watchlist() {
    let dir = folder();
    pack(dir.path(), |rule| rule);
    let screens = "screens:\n  - {id: payee, doc: d, field: payee.name, watchlists: [house, abroad]}\n";
    fs::write(dir.path().join("p/screens.yaml"), screens).unwrap();
    fs::write(dir.path().join("l.csv"), "type,value,effect\nbin,41111111,block\n").unwrap();
    fs::write(dir.path().join("house.csv"), "id,name,kind\n1,Olaf Scholze,person\n2,Ana Silva,person\n")
        .unwrap();
    let doctor = |more: &str, line: &str| {
        let config = format!(
            "[rules]\npacks = [\"p\"]\n[lists.l]\nfile = \"l.csv\"\n[watchlists.house]\nfiles = [\"house.csv\"]\n{more}"
        );
        fs::write(dir.path().join("c.toml"), config).unwrap();
        run(dir.path(), &format!("doctor --config c.toml {line}"))
    };
    // State and what was found, of a list or watchlist.
    let row = |report: &Value, what: &str, name: &str| {
        let rows = report["rows"].as_array().unwrap().iter();
        let is = |row: &&Value| row["what"] == what && row["found"].as_str().unwrap().starts_with(name);
        let mut found = rows.filter(is);
        let row = found.next().unwrap_or_else(|| panic!("no {what} {name} in {report}")).clone();
        assert!(found.next().is_none(), "{name} twice in {report}");
        (row["state"].as_str().unwrap().to_owned(), row["found"].as_str().unwrap().to_owned())
    };
    let report = doctor("", "--json").json();
    let (state, found) = row(&report, "list", "l:");
    assert!(state == "ok" && found.starts_with("l: 1 entries, ") && found.ends_with(" old"), "{found}");
    let (state, found) = row(&report, "watchlist", "house:");
    assert!(state == "ok" && found.starts_with("house: 2 entries with 2 names, "), "{found}");
    let (state, found) = row(&report, "watchlist", "abroad:");
    assert!(state == "warn" && found.ends_with("asked for by screen payee"), "{found}");

    // A file of 2001 against what the configuration allows.
    let old = fs::File::options().write(true).open(dir.path().join("house.csv")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
    for (when, state) in [("warn", "warn"), ("review", "warn"), ("stop", "fail")] {
        let told = doctor(&format!("fresh_for = \"30d\"\nwhen_stale = \"{when}\"\n"), "--json");
        let (found_state, found) = row(&told.json(), "watchlist", "house:");
        assert!(
            found_state == state && found.contains("fresh for 30 days"),
            "{when}: {found_state}: {found}"
        );
        assert!(state != "fail" || told.code == 1);
    }
    let (state, _) = row(&doctor("fresh_for = \"36500d\"\n", "--json").json(), "watchlist", "house:");
    assert_eq!(state, "ok");
    let told = doctor("fresh_for = \"soon\"\n", "").code(1).out;
    assert!(told.contains("watchlists.house.fresh_for"), "{told}");
    fs::write(dir.path().join("house.csv"), "id,name,kind\n1,,person\n").unwrap();
    let told = doctor("", "").code(1).out;
    assert!(told.contains("watchlists.house") && told.contains("house.csv"), "{told}");
}

#[test]
fn misuse_is_2_and_help_is_0() {
    let dir = folder();
    for line in [
        "",
        "packs",
        "packs check",
        "packs build p",
        "lists build l.csv --name l --out o",
        "lists import l.csv --name l --outcome approve",
        "keys add --name a --role god --data d",
        "keys add --name a/b --role read --data d",
        "dead-letters",
        "doctor --nope",
    ] {
        let ran = run(dir.path(), line).code(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{line}");
    }
    for line in ["--help", "packs check --help", "lists import --help", "--version"] {
        assert!(!run(dir.path(), line).code(0).out.is_empty());
    }
    run(dir.path(), "packs check nowhere").code(3);
    run(dir.path(), "lists inspect nowhere.ilist").code(3);
    run(dir.path(), "doctor --data nowhere").code(3);
}

/// Answers each request with the next status; the ids that came.
fn receiver(statuses: &'static [u16]) -> (std::net::SocketAddr, std::thread::JoinHandle<Vec<String>>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let took = move |status: &u16| {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else {
                if line.trim().is_empty() { break } else { continue }
            };
            match name {
                "webhook-id" => id = value.into(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        stream.read_exact(&mut vec![0; length]).unwrap();
        write!(stream.get_mut(), "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        id
    };
    (address, std::thread::spawn(move || statuses.iter().map(took).collect()))
}

#[test]
fn dead_letters_of_webhooks_are_listed_and_sent_again() {
    use interdict::webhooks::dead::{Dead, Letter};
    let dir = tempfile::tempdir().unwrap();
    let (address, ids) = receiver(&[200, 500, 204]);
    fs::write(dir.path().join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let section =
        format!("[webhooks.endpoints.ops]\nurl = \"http://{address}/h\"\nsecret_file = \"secret\"\n");
    fs::write(dir.path().join("c.toml"), section).unwrap();
    let dead = Dead::of(&dir.path().join("d"), "ops", 10);
    for sequence in [12, 7, 9] {
        let letter = Letter {
            id: format!("n-{sequence}"),
            sequence,
            tenant: "t".into(),
            kind: "hold.placed".into(),
            time_ms: 1,
            dead_ms: 2,
            attempts: 3,
            last: "503".into(),
            body: serde_json::json!({"hold": "h-7"}),
        };
        assert!(dead.put(&letter).unwrap());
    }
    let verb = |line: &str| run(dir.path(), &format!("webhooks {line} --config c.toml --data d"));
    let listed = verb("list").code(0);
    assert!(listed.out.starts_with(
        "ops: not begun, 3 dead letters\n  n-7  hold.placed  sequence 7, 3 tries, the last: 503\n"
    ));
    let told = verb("list --json").code(0).json();
    assert_eq!((&told["dead"][2]["id"], &told["disabled"]), (&"n-12".into(), &false.into()));
    assert_eq!(verb("resend ops --id n-9").code(0).out, "n-9  delivered\n");
    // One is taken, one not: that stays.
    assert_eq!(verb("resend ops --all").code(3).out, "n-7  500\nn-12  delivered\n");
    assert_eq!(ids.join().unwrap(), ["n-9", "n-7", "n-12"]);
    assert!(verb("list").code(0).out.starts_with("ops: not begun, 1 dead letters\n  n-7 "));
    assert!(verb("resend ops --id n-9").code(3).err.contains("no dead letter \"n-9\""));
    assert!(verb("resend ops").code(2).err.contains("--all"));
    assert!(verb("resend oops --all").code(3).err.contains("(known: ops)"));
    fs::create_dir_all(dir.path().join("d/webhooks/disabled")).unwrap();
    fs::write(dir.path().join("d/webhooks/disabled/ops"), "410").unwrap();
    assert!(verb("list").code(0).out.contains("disabled"));
    assert_eq!(verb("enable ops").code(0).out, "ops is enabled\n");
    assert_eq!(verb("enable ops").code(0).out, "ops is not disabled\n");
    // A node does not start with a secret that others may read.
    fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = run(dir.path(), "serve --config c.toml --data d --http 127.0.0.1:0").code(3);
    assert!(
        refused.err.contains("webhooks.endpoints.ops") && refused.err.contains("must be 0600"),
        "{}",
        refused.err
    );
}
