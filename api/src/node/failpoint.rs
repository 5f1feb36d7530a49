//! Places where a crash test lets the process end at once, as `kill -9` would but at a known point:
//! `INTERDICT_FAILPOINT=name:count` ends it when the place of that name is reached for the count-th time.
//! Always compiled in, so that what is tested is what runs; unarmed it costs one relaxed load.

use anyhow::{Result, bail};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that arms one.
pub const VARIABLE: &str = "INTERDICT_FAILPOINT";

/// Every place there is.
pub const NAMES: [&str; 18] = [
    "journal.before_append",
    "journal.after_append",
    "answer.before_reply",
    "lanes.before_give",
    "publish.before_append",
    "publish.before_mark",
    "keys.before_append",
    "keys.after_append",
    "recovery.before_append",
    "recovery.after_append",
    "finish.before_append",
    "finish.after_append",
    "hunt.before_found",
    "hunt.before_end",
    "archive.before_drop",
    "backup.before_file",
    "backup.before_manifest",
    "restore.before_file",
];

/// How often the armed place has still to be reached; 0: none is armed.
static LEFT: AtomicU64 = AtomicU64::new(0);
static ARMED: OnceLock<String> = OnceLock::new();

/// Arms what the environment names; whether it named something. Meant to be called once, at the start.
///
/// # Errors
/// A name that is not known, or no count above 0: a test must not pass because of a slip of the pen.
pub fn arm_from_environment() -> Result<bool> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(false) };
    let (name, count) = parse(&text)?;
    ARMED.get_or_init(|| name.to_owned());
    LEFT.store(count, Ordering::SeqCst);
    Ok(true)
}

fn parse(text: &str) -> Result<(&str, u64)> {
    let (name, count) = text.rsplit_once(':').unwrap_or((text, "1"));
    if !NAMES.contains(&name) {
        bail!("{VARIABLE} {text:?}: expected one of {}", NAMES.join(", "));
    }
    match count.parse() {
        Ok(count) if count > 0 => Ok((name, count)),
        _ => bail!("{VARIABLE} {text:?}: expected NAME:COUNT with a count above 0"),
    }
}

/// A place has been reached.
#[inline]
pub fn reached(name: &'static str) {
    if LEFT.load(Ordering::Relaxed) != 0 {
        count_down(name);
    }
}

#[cold]
fn count_down(name: &str) {
    if ARMED.get().is_some_and(|armed| armed == name) && LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        // No destructor runs and nothing is flushed.
        std::process::abort();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_and_an_unarmed_place_does_nothing() {
        assert_eq!(parse("publish.before_mark:3").unwrap(), ("publish.before_mark", 3));
        assert_eq!(parse("publish.before_mark").unwrap(), ("publish.before_mark", 1));
        for wrong in ["publish.before_mrak:1", "journal.after_append:0", "journal.after_append:x", ""] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        NAMES.into_iter().for_each(reached);
    }
}
