//! Compute kernels as pairs: a WGSL shader and its plain CPU twin, with the SIMD variants, the Pod layouts they
//! share and the wgpu device that runs them. This crate knows nothing of transactions, lists or rules: banks of
//! integers in, integers out, the same bits on every path.

pub mod layout;
pub mod cpu;
pub mod kernel;
pub mod simd;
pub mod shader;
mod gpu;
pub mod sample;
pub mod dispatch;
pub mod check;

pub use dispatch::{BankHandle, Dispatcher, Options, Ran, Route, Stats, Why};
pub use gpu::{AdapterFacts, Fault, FaultKind, NoGpu};
pub use kernel::Kernel;
pub use layout::{
    DotHit, FingerprintBank, HammingHit, NameBank, NameBankError, NameHit, NameQuery, Need, VectorBank,
    VectorBankError,
};
pub use simd::RangeFound;
pub use simd::dot::{dot_range, dot_topk};
pub use simd::hamming::{hamming_range, hamming_topk};
pub use simd::names::{NameScratch, score_names, search_names, search_names_exhaustive};
