//! What the demo prints: a heading a step, plain lines, and a mark where something was checked.

use anyhow::{Result, ensure};

/// Prints, with colours or without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tell {
    pub(super) colours: bool,
}

impl Tell {
    fn painted(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
    /// A step begins.
    pub(super) fn step(self, clock: &str, title: &str) {
        println!("\n{}  {}", self.painted("2", clock), self.painted("1", title));
    }
    /// Tells something.
    pub(super) fn say(self, text: &str) {
        println!("       {text}");
    }
    /// Tells something that has to be true.
    pub(super) fn check(self, truth: bool, text: &str) -> Result<()> {
        ensure!(truth, "not so: {text}");
        println!("    {}  {text}", self.painted("32", "ok"));
        Ok(())
    }
}
