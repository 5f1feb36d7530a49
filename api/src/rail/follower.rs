//! The thread that writes the rail's files: it follows the notices of holds behind a cursor of its own, and writes for each
//! what it says. The journal is the queue: at the bound of files, or while the disk takes none, it waits there.

use super::telling::What;
use super::{Outgoing, Status, Written};
use crate::node::Node;
use crate::node::background::Background;
use crate::webhooks::cursor::Cursor;
use crate::webhooks::{Notice, NoticeKind, Source};
use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// Notices read at once.
const PAGE_MAX: usize = 64;
/// How often it looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After a message could not be written, or there was no room.
const AGAIN: Duration = Duration::from_secs(1);

/// Messages by what became of them, since the start.
#[derive(Debug, Default)]
pub struct Figures {
    /// Written, or there already with the same bytes.
    pub written: AtomicU64,
    /// Tries that found no room or a disk that takes none; tried again.
    pub waits: AtomicU64,
    /// Of holds or payments that no message can be written of: a person has to tell the rail.
    pub untold: AtomicU64,
}

/// Begins to tell the rail, where one is configured. Without a cursor it begins with what comes from now on: a rail is
/// not told of holds of before it was there.
///
/// # Errors
/// A folder or cursor that cannot be read or written.
pub fn start(node: &Arc<Node>) -> Result<Option<Background>> {
    let rail = &node.loaded.config.rail;
    if !rail.enabled {
        return Ok(None);
    }
    let outgoing = Outgoing::open(&node.data, rail.files_max)?;
    let cursor = Cursor::at(node.data.join("rail/cursor"), "rail");
    let newest = node.notices.newest();
    let from = match cursor.read()? {
        Some(from) if from > newest => bail!("rail/cursor is ahead of the journal: whose is it?"),
        Some(from) => from,
        None => {
            // At once, so that a kill before the first message leaves none out.
            cursor.write(newest)?;
            newest
        }
    };
    let follower = Follower { node: Arc::downgrade(node), outgoing, cursor, at: from };
    Ok(Some(Background::start("rail", move |stop| follower.run(stop))))
}

struct Follower {
    node: Weak<Node>,
    outgoing: Outgoing,
    cursor: Cursor,
    at: u64,
}

impl Follower {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            // Held for a page only, so that whoever closes the node finds itself its last holder.
            let Some(node) = self.node.upgrade() else { return };
            let wait = match self.turn(&node) {
                Ok(true) => Duration::ZERO,
                Ok(false) => LOOK_EVERY,
                Err(e) => {
                    node.rail.waits.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("messages to the rail wait in the journal: {e:#}");
                    AGAIN
                }
            };
            drop(node);
            if !wait.is_zero() {
                thread::park_timeout(wait);
            }
        }
    }

    /// Writes a page's messages, then how far it is; whether there was anything.
    fn turn(&mut self, node: &Node) -> Result<bool> {
        let page = node.notices.after(self.at, PAGE_MAX)?;
        if page.through == self.at {
            return Ok(false);
        }
        for notice in &page.notices {
            self.tell(node, notice)?;
        }
        // A kill before this writes the same files again, with the same bytes.
        if !page.notices.is_empty() {
            self.cursor.write(page.through)?;
        }
        self.at = page.through;
        Ok(!page.notices.is_empty())
    }

    fn tell(&self, node: &Node, notice: &Notice) -> Result<()> {
        let hold = notice.body["hold"].as_str().and_then(|id| id.parse().ok());
        let Some((id, hold)) = hold.and_then(|id| Some((id, node.hold(id)?))) else {
            node.rail.untold.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(notice = notice.id, "the rail is not told of a hold that is no longer shown");
            return Ok(());
        };
        for message in node.rail_messages(id, &hold)? {
            if !says(notice, message.what, message.at_ms) {
                continue;
            }
            match message.xml {
                Ok(xml) => {
                    if self.outgoing.write(&message.id, &xml)? == Written::Full {
                        bail!("rail.files_max is reached, and nobody takes them");
                    }
                    node.rail.written.fetch_add(1, Ordering::Relaxed);
                }
                // Tried again it would come to the same: a person has to tell the rail.
                Err(why) => {
                    node.rail.untold.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(message = message.id, "the rail cannot be told: {why}");
                }
            }
        }
        Ok(())
    }
}

/// Whether a notice is the one that a message is of.
fn says(notice: &Notice, what: What, at_ms: i64) -> bool {
    use NoticeKind as Kind;
    match what {
        What::Recall => notice.kind == Kind::CaseTooLate,
        What::Status(Status::Acwp) => notice.kind == Kind::HoldPlaced,
        // The first of them only.
        What::Status(Status::Pdng) => {
            matches!(notice.kind, Kind::HoldCommented | Kind::HoldFalseMatchProposed)
                && notice.time_ms == at_ms
        }
        What::Status(Status::Accc | Status::Blck | Status::Rjct) => matches!(
            notice.kind,
            Kind::HoldReleased
                | Kind::HoldConfirmed
                | Kind::HoldExpired
                | Kind::HoldBlocked
                | Kind::HoldRejected
        ),
    }
}
