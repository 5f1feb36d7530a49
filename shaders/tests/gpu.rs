//! The GPU path on whatever adapter this machine has, lavapipe on most: every shader equals its twin, and no fault
//! loses a query. No adapter is a failure under `CI=true` and a printed skip elsewhere.
#![allow(clippy::unwrap_used)]

#[path = "gpu/shaders.rs"]
mod shaders;
#[path = "gpu/equality.rs"]
mod equality;
#[path = "gpu/faults.rs"]
mod faults;

use std::time::Duration;

use interdict_shaders::{Dispatcher, Options, Route};

/// Options under which every query goes to the device, a software adapter included. The watchdog is patient: a
/// software adapter on a busy machine is slow, and that is not what these tests look for.
fn always() -> Options {
    let watchdog = Duration::from_secs(30);
    Options { allow_software: true, route: Route::GpuFirst, watchdog, ..Options::default() }
}

/// A dispatcher, or a printed skip.
fn start(options: Options) -> Option<Dispatcher> {
    match Dispatcher::start(options) {
        Ok(dispatcher) => Some(dispatcher),
        Err(no_gpu) if no_gpu.fault.is_some() => panic!("{no_gpu}"),
        Err(no_gpu) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("{no_gpu}; install mesa-vulkan-drivers and libvulkan1 for lavapipe")
        }
        Err(no_gpu) => {
            eprintln!("skipped: {no_gpu}");
            None
        }
    }
}
