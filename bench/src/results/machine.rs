//! What was measured on what: the commit and the machine, in a line each.

use std::process::Command;

/// The commit and the machine.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Short commit, with `+changes` when tracked files differ from it; `unknown` outside a repository.
    pub commit: String,
    /// Processor, cores, memory, kernel.
    pub machine: String,
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The line of a `/proc` file that begins with `key`, without it.
fn proc_line(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl Stamp {
    /// Reads both.
    pub fn read() -> Stamp {
        let commit = output("git", &["rev-parse", "--short=12", "HEAD"]).map_or("unknown".into(), |commit| {
            // The results' own files change while results are written.
            let changes = output(
                "git",
                &[
                    "status",
                    "--porcelain",
                    "-uno",
                    "--",
                    ".",
                    ":!bench/results.json",
                    ":!bench/RESULTS.md",
                    ":!docs/curves",
                ],
            );
            if changes.is_some_and(|changes| !changes.is_empty()) { commit + "+changes" } else { commit }
        });
        let processor = proc_line("/proc/cpuinfo", "model name").unwrap_or("unknown processor".into());
        let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
        let memory_gib = proc_line("/proc/meminfo", "MemTotal")
            .and_then(|line| line.split(' ').next()?.parse::<f64>().ok())
            .map_or(0.0, |kib| kib / f64::from(1 << 20));
        let kernel = output("uname", &["-sr"]).unwrap_or("unknown kernel".into());
        Stamp { commit, machine: format!("{processor}, {cores} cores, {memory_gib:.0} GiB, {kernel}") }
    }
}
