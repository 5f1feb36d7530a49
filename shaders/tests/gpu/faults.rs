//! What goes wrong on a GPU, made to go wrong: every query is still answered, as the twin would, and the stats say
//! where and why.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use interdict_shaders::layout::FingerprintBank;
use interdict_shaders::{
    BankHandle, Dispatcher, FaultKind, Kernel, Options, Ran, Route, Why, hamming_topk, sample,
};

use crate::{always, start};

const CHILD: &str = "INTERDICT_GPU_TEST_CHILD";

/// Runs the test `name` of this binary in a process of its own with `variables` set.
fn in_child(name: &str, variables: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").envs(variables.iter().copied());
    let done = child.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn there_is_no_gpu() {
    let no_gpu = Dispatcher::start(always()).unwrap_err();
    assert_eq!(no_gpu.fault, None);
    assert!(no_gpu.to_string().starts_with("no gpu: no Vulkan"), "{no_gpu}");
}

#[test]
fn no_adapter_is_a_plain_value() {
    if std::env::var_os(CHILD).is_some() {
        return there_is_no_gpu();
    }
    let nowhere = "/nonexistent/icd.json";
    in_child(
        "faults::no_adapter_is_a_plain_value",
        &[("VK_ICD_FILENAMES", nowhere), ("VK_DRIVER_FILES", nowhere)],
    );
}

#[test]
fn no_loader_is_a_plain_value() {
    if std::env::var_os(CHILD).is_some() {
        return there_is_no_gpu();
    }
    // A file that is no library, before the real loader on the search path: dlopen fails as on a machine without.
    let folder = std::env::temp_dir().join(format!("interdict-no-loader-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["libvulkan.so.1", "libvulkan.so"] {
        std::fs::write(folder.join(name), "no library").unwrap();
    }
    in_child("faults::no_loader_is_a_plain_value", &[("LD_LIBRARY_PATH", folder.to_str().unwrap())]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_software_adapter_never_serves_production() {
    let Some(dispatcher) = start(always()) else { return };
    let is_software = dispatcher.adapter().is_software;
    drop(dispatcher);
    match Dispatcher::start(Options::default()) {
        Ok(dispatcher) => assert!(!is_software && !dispatcher.adapter().is_software),
        Err(no_gpu) => {
            assert!(is_software, "{no_gpu}");
            assert!(no_gpu.why.contains("is software"), "{no_gpu}");
        }
    }
}

/// Top-10 of `handle` is what SIMD finds; where it ran.
fn asked(
    dispatcher: &Dispatcher,
    handle: &BankHandle<FingerprintBank>,
    seed: u64,
    budget: Option<Duration>,
) -> Ran {
    let query = sample::fingerprint(&mut sample::Numbers::new(seed));
    let (mut hits, mut expected) = (Vec::new(), Vec::new());
    let ran = dispatcher.hamming_topk(handle, &query, 10, budget, &mut hits);
    hamming_topk(Kernel::Portable, handle.bank(), &query, 10, &mut expected);
    assert_eq!(hits, expected);
    ran
}

#[test]
fn a_device_lost_in_flight_loses_no_query() {
    let Some(dispatcher) = start(always()) else { return };
    let handle = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(20, 20_000)));
    let lost = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (dispatcher, handle, lost) = (&dispatcher, &handle, &lost);
            scope.spawn(move || {
                let mut after = 0;
                for seed in 0.. {
                    let was_lost = lost.load(Ordering::Acquire);
                    let ran = asked(dispatcher, handle, caller * 1000 + seed, None);
                    if was_lost {
                        assert_eq!(ran, Ran::Simd(Why::Fault));
                        after += 1;
                    }
                    if after > 5 {
                        break;
                    }
                }
            });
        }
        // By now batches follow one another without a gap.
        while dispatcher.stats().batches < 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        dispatcher.lose_device();
        while dispatcher.stats().retired.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        lost.store(true, Ordering::Release);
    });
    let stats = dispatcher.stats();
    assert_eq!(stats.retired.as_ref().map(|fault| fault.kind), Some(FaultKind::Lost));
    assert_eq!(stats.faults.iter().sum::<u64>(), 1);
    assert!(stats.gpu_queries() > 0 && stats.simd_for(Why::Fault) >= 24, "{:?}", stats.simd);
    assert_eq!(stats.queue_len, 0);
    // A bank that comes now stays on the CPU, and says so.
    let late = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(21, 100)));
    assert_eq!(late.refused().map(|fault| fault.kind), Some(FaultKind::Lost));
    assert_eq!(asked(&dispatcher, &late, 1, None), Ran::Simd(Why::Fault));
}

#[test]
fn a_batch_over_the_watchdog_takes_the_device_out_of_service() {
    let options = Options { watchdog: Duration::from_nanos(1), ..always() };
    let Some(dispatcher) = start(options) else { return };
    // Large enough that no adapter is done before the wait begins.
    let handle = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(22, 200_000)));
    for seed in 0..20 {
        let ran = asked(&dispatcher, &handle, seed, Some(Duration::from_secs(5)));
        assert_eq!(ran, Ran::Simd(Why::Fault));
    }
    let stats = dispatcher.stats();
    assert_eq!(stats.faults_of(FaultKind::Timeout), 1);
    assert_eq!(stats.retired.as_ref().map(|fault| fault.kind), Some(FaultKind::Timeout));
    assert_eq!(stats.gpu_queries() + stats.simd_for(Why::Fault), 20);
}

#[test]
fn uploads_beside_queries_disturb_neither() {
    let Some(dispatcher) = start(always()) else { return };
    let handle = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(32, 500)));
    let small = Arc::new(sample::fingerprints(33, 100));
    // Whoever polls the device runs the callbacks that are due, those of other threads too.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..400 {
                    assert_eq!(dispatcher.upload_fingerprints(Arc::clone(&small)).refused(), None);
                }
            });
        }
        for seed in 0..1500 {
            assert_eq!(asked(&dispatcher, &handle, seed, None), Ran::Gpu);
        }
    });
    assert_eq!(dispatcher.stats().faults, [0; 6]);
}

#[test]
fn a_query_whose_answer_is_late_is_scored_by_its_caller() {
    let Some(dispatcher) = start(always()) else { return };
    let handle = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(23, 100_000)));
    assert_eq!(asked(&dispatcher, &handle, 1, Some(Duration::from_nanos(10))), Ran::Simd(Why::Late));
    // The device is well: the next query is its own.
    assert_eq!(asked(&dispatcher, &handle, 2, None), Ran::Gpu);
    assert_eq!(dispatcher.stats().retired, None);
}

#[test]
fn a_bank_for_which_there_is_no_memory_stays_on_the_cpu() {
    let Some(dispatcher) = start(Options { banks_bytes_max: 1 << 20, ..always() }) else { return };
    let small = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(24, 10_000)));
    let large = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(25, 40_000)));
    assert_eq!(large.refused().map(|fault| fault.kind), Some(FaultKind::OutOfMemory));
    assert_eq!(asked(&dispatcher, &large, 1, None), Ran::Simd(Why::NotUploaded));
    assert_eq!(asked(&dispatcher, &small, 1, None), Ran::Gpu);
    let stats = dispatcher.stats();
    assert_eq!((stats.faults_of(FaultKind::OutOfMemory), stats.retired), (1, None));
    // What a dropped handle held is free again.
    let held = dispatcher.stats().banks_bytes;
    drop(small);
    assert!(held > 0 && dispatcher.stats().banks_bytes == 0);
    let medium = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(26, 30_000)));
    assert_eq!(medium.refused(), None);
    assert!(medium.version() > large.version());
}

#[test]
fn the_router_asks_the_side_that_is_sooner() {
    let Some(dispatcher) = start(Options { route: Route::Calibrated, ..always() }) else { return };
    let few = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(27, 64)));
    // A round trip to any device takes longer than 64 fingerprints do on the CPU.
    assert_eq!(asked(&dispatcher, &few, 1, None), Ran::Simd(Why::BreakEven));
    if dispatcher.adapter().is_software {
        let many = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(28, 100_000)));
        assert_eq!(asked(&dispatcher, &many, 1, None), Ran::Simd(Why::BreakEven));
    }
    assert_eq!(dispatcher.stats().gpu_queries(), 0);
    for cost in dispatcher.calibration().costs {
        assert!(cost.gpu_floor_ns > 0.0 && cost.simd_ns_each > 0.0);
    }
}

/// Sets the most address space that this process may have, by util-linux, so that this crate needs no libc.
fn address_space_max(limit: &str) {
    let pid = std::process::id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--as={limit}:unlimited")]).status();
    assert!(done.unwrap().success());
}

/// Kilobytes of address space that this process has.
fn address_space_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_driver_without_memory_refuses_the_bank_and_serves_on() {
    if std::env::var_os(CHILD).is_none() {
        return in_child("faults::a_driver_without_memory_refuses_the_bank_and_serves_on", &[]);
    }
    let Some(dispatcher) = start(always()) else { return };
    if !dispatcher.adapter().is_software {
        // The limit is one of main memory, which a card has not.
        return;
    }
    let small = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(30, 1_000)));
    let bank = Arc::new(sample::fingerprints(31, 5_000_000));
    address_space_max(&((address_space_kb() << 10) + (64 << 20)).to_string());
    let large = dispatcher.upload_fingerprints(bank);
    address_space_max("unlimited");
    assert_eq!(
        large.refused().map(|fault| fault.kind),
        Some(FaultKind::OutOfMemory),
        "{:?}",
        large.refused()
    );
    assert_eq!(asked(&dispatcher, &large, 1, None), Ran::Simd(Why::NotUploaded));
    assert_eq!(asked(&dispatcher, &small, 1, None), Ran::Gpu);
    let stats = dispatcher.stats();
    assert_eq!((stats.faults_of(FaultKind::OutOfMemory), stats.retired), (1, None));
}
