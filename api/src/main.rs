//! The appliance's binary.

use mimalloc::MiMalloc;

/// A request allocates some hundred times, on whichever thread, and glibc's allocator took an eighth of its CPU time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    interdict::cli::main(std::env::args_os())
}
