//! The appliance's binary under another name, so that cargo builds it for this crate's tests and names it to them.

fn main() -> std::process::ExitCode {
    interdict::cli::main(std::env::args_os())
}
