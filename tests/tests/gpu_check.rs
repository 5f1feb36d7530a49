//! `interdict gpu-check` from outside: on this machine's adapter, lavapipe on most, and where there is none.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::process::Command;

fn gpu_check(arguments: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .arg("gpu-check")
        .args(arguments.split_whitespace())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
}

const NOWHERE: [(&str, &str); 2] =
    [("VK_ICD_FILENAMES", "/nonexistent/icd.json"), ("VK_DRIVER_FILES", "/nonexistent/icd.json")];

#[test]
fn without_an_adapter_it_is_a_finding_and_not_a_failure() {
    let (code, out) = gpu_check("--json", &NOWHERE);
    assert_eq!(code, 1, "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["ok"], &report["adapter"]), (&Value::Bool(false), &Value::Null));
    assert!(report["findings"][0].as_str().unwrap().contains("no Vulkan"), "{report}");
    let (code, out) = gpu_check("", &NOWHERE);
    assert!(code == 1 && out.starts_with("adapter  none"), "{out}");
}

#[test]
fn every_search_equals_its_twin_and_is_timed() {
    let (code, out) = gpu_check("--json --allow-software --sizes 700,100", &[]);
    let report: Value = serde_json::from_str(&out).unwrap();
    if report["adapter"].is_null() && std::env::var("CI").as_deref() != Ok("true") {
        eprintln!("skipped: {}", report["findings"]);
        return;
    }
    assert_eq!((code, &report["ok"]), (0, &Value::Bool(true)), "{out}");
    let equality = report["equality"].as_array().unwrap();
    assert_eq!(equality.len(), 5);
    for done in equality {
        assert_eq!((&done["equal"], &done["bank"]), (&Value::Bool(true), &Value::from(700)), "{done}");
        assert!(done["hits"].as_u64().unwrap() > 0, "{done}");
    }
    // Five searches, two sizes, four batches.
    assert_eq!(report["sweep"].as_array().unwrap().len(), 40);
    assert_eq!(report["calibration"]["searches"].as_array().unwrap().len(), 5);
    // A software adapter is a finding unless it is allowed.
    let software = report["adapter"]["software"].as_bool().unwrap();
    let (code, out) = gpu_check("--sizes 100", &[]);
    assert_eq!(code, i32::from(software), "{out}");
    assert_eq!(out.contains("finding"), software, "{out}");
}

#[test]
fn a_size_of_nothing_is_misuse() {
    assert_eq!(gpu_check("--sizes 0", &[]).0, 2);
    assert_eq!(gpu_check("--sizes many", &[]).0, 2);
}
