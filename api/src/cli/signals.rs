//! What two signals do. A closed pipe ends a verb that prints, as every Unix tool, where Rust would panic on the failed
//! write; not `serve`, which must outlive whoever reads its log. A file that may not grow further (RLIMIT_FSIZE) is
//! an error of that write and not the end of the process.
#![allow(unsafe_code)]

/// Lets SIGPIPE end the process from here on.
pub fn end_on_closed_pipe() {
    // SAFETY: SIG_DFL installs no handler of ours, and this runs before any other thread is started.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Has a write past the limit of a file's size fail, as on a full disk, from here on.
pub fn survive_file_limit() {
    // SAFETY: SIG_IGN installs no handler of ours, and this runs before any other thread is started.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_closed_pipe_ends_the_process_without_a_panic() {
        use std::process::{Command, Stdio};
        // The test binary asks itself to print more than a pipe holds, to a reader that has gone.
        if std::env::var_os("INTERDICT_PIPE_CHILD").is_some() {
            super::end_on_closed_pipe();
            loop {
                println!("{}", "x".repeat(4096));
            }
        }
        let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args([
                "--exact",
                "cli::signals::tests::a_closed_pipe_ends_the_process_without_a_panic",
                "--nocapture",
            ])
            .env("INTERDICT_PIPE_CHILD", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the test binary starts");
        // The reader goes only once the child is in its loop, not while the test harness still says what it runs.
        let mut stdout = child.stdout.take().expect("it was piped");
        std::io::Read::read_exact(&mut stdout, &mut [0; 64 << 10]).expect("the child prints");
        drop(stdout);
        let output = child.wait_with_output().expect("the child ends");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(libc::SIGPIPE), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
