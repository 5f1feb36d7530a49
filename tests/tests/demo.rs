//! `make demo-retrohunt` and `make demo-consortium` with the real binary: each of their steps checks what it says, so that it
//! ends well is the test; and that it does not where something else happens than it says.
#![allow(clippy::unwrap_used)]

use interdict_bench::demo::{DemoConfig, run};
use std::path::Path;

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

fn repository() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn a_day_goes_as_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let config = DemoConfig { binary: BINARY.into(), repository: repository(), work, colours: false };
    run(&config).unwrap();
}

#[test]
fn a_day_that_goes_otherwise_fails_by_the_step() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("repository");
    copy_folder(&repository().join("deploy"), &copy.join("deploy"));
    std::os::unix::fs::symlink(repository().join("packs").canonicalize().unwrap(), copy.join("packs"))
        .unwrap();
    // Cards that nothing can stop.
    let path = copy.join("deploy/retrohunt.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let without = text.replace("lever = \"cancel_capture\"", "lever = \"none\"");
    assert_ne!(text, without);
    std::fs::write(&path, without).unwrap();
    let work = dir.path().join("work");
    let config = DemoConfig { binary: BINARY.into(), repository: copy, work, colours: false };
    let error = format!("{:#}", run(&config).unwrap_err());
    assert!(
        error.contains("step \"a card is reported stolen\"") && error.contains("not so: bakery"),
        "{error}"
    );
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let into = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &into);
        } else {
            std::fs::copy(&path, &into).unwrap();
        }
    }
}

/// The auditor's verifier needs Python with `cryptography`: tools/deps.sh puts it there. Without it the demo says so and
/// fails, as this test does under CI.
#[test]
fn five_banks_go_as_it_is_told() {
    use interdict_bench::demo::alliance::{AllianceConfig, run};
    let exe = std::env::current_exe().unwrap();
    let python = exe.ancestors().nth(3).unwrap().join("test-venv/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "no {}: run tools/deps.sh test", python.display());
        eprintln!("left out: no {} (tools/deps.sh test makes it)", python.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let config =
        AllianceConfig { binary: BINARY.into(), repository: repository(), python, work, colours: false };
    run(&config).unwrap();
}
