//! The four system calls that std has no safe name for: timer slack (std sleeps 50 µs too long without it), clock
//! ticks, SIGTERM to a child, and this process's own CPU time comes from `/proc` like everybody else's.

#![allow(unsafe_code)]

use anyhow::{Context, anyhow};
use std::process::Child;
use std::time::{Duration, Instant};

/// Asks the kernel to wake this thread's sleeps as punctually as it can (Linux adds 50 µs otherwise).
pub fn sleep_punctually() {
    // SAFETY: PR_SET_TIMERSLACK takes one integer, touches no memory of ours, and changes only how exactly this
    // thread's timers fire. A refusal leaves the default slack, which shows in `generator_lag_us`.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

fn ticks_per_s() -> f64 {
    // SAFETY: sysconf reads a constant of the system and touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// CPU time (user and system, all threads, exited ones too) of a process so far, in µs, to the clock tick (10 ms).
///
/// # Errors
/// When there is no such process, or its `/proc` entry is not of the known form.
pub fn cpu_us(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The second field is the command in brackets and may hold spaces; utime and stime are fields 14 and 15.
    let (_, rest) = text.rsplit_once(") ").ok_or_else(|| anyhow!("{path}: not of the known form"))?;
    let field = |number: usize| rest.split(' ').nth(number - 3).and_then(|field| field.parse::<u64>().ok());
    let ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
    let ticks = ticks.ok_or_else(|| anyhow!("{path}: no utime and stime"))?;
    Ok(ticks as f64 * 1e6 / ticks_per_s())
}

/// Resident memory of a process, in MiB.
///
/// # Errors
/// When there is no such process, or its `/proc` entry is not of the known form.
pub fn rss_mib(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    Ok(kib.ok_or_else(|| anyhow!("{path}: no VmRSS"))? / 1024.0)
}

/// Asks a child to end (SIGTERM), and ends it (SIGKILL) when it has not after `limit`.
///
/// # Errors
/// When it cannot be waited for.
pub fn stop(child: &mut Child, limit: Duration) -> anyhow::Result<()> {
    let pid = libc::pid_t::try_from(child.id()).context("a process id")?;
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    // SAFETY: `pid` is our own child and has not been waited for, so the number cannot belong to another process.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    let until = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_busy_thread_is_seen_in_the_cpu_time() {
        let before = cpu_us(std::process::id()).unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(120) {
            std::hint::spin_loop();
        }
        assert!(cpu_us(std::process::id()).unwrap() > before);
        assert!(cpu_us(u32::MAX).is_err());
        assert!(rss_mib(std::process::id()).unwrap() > 1.0 && rss_mib(u32::MAX).is_err());
    }

    #[test]
    fn sleeps_are_not_shorter_and_a_child_is_stopped() {
        sleep_punctually();
        let began = Instant::now();
        std::thread::sleep(Duration::from_micros(500));
        assert!(began.elapsed() >= Duration::from_micros(500));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        stop(&mut child, Duration::from_secs(5)).unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(!child.wait().unwrap().success());
    }
}
