//! One GPU: its device and health, the pipelines, the banks it holds, and the run of one batch. Nothing here
//! panics the process or loses a query: what goes wrong is a [`Fault`], and the caller scores on the CPU.

mod fault;
mod device;
mod pipelines;
mod bank;
mod run;
mod card;
mod opaque;

pub use device::AdapterFacts;
pub use fault::{Fault, FaultKind, NoGpu};

pub(crate) use bank::GpuBank;
pub(crate) use card::Card;
pub(crate) use device::{Gpu, Wanted};
pub(crate) use fault::Health;
pub(crate) use opaque::Opaque;
pub(crate) use pipelines::Pipelines;
pub(crate) use run::{Batch, Found, Runner};
