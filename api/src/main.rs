//! The appliance's binary.

fn main() -> std::process::ExitCode {
    interdict::cli::main(std::env::args_os())
}
