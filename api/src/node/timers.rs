//! Ends holds whose time has run out, by the default that each began with. An event like any other: at the time by which
//! the hold was found to have expired, which the book holds against the hold's own. A clock that steps back ends nothing
//! twice, since an ended hold has no timer; one that steps forth ends what has expired by then.

use super::Node;
use super::background::Background;
use super::core::{Answered, Job, Reply};
use interdict_engine::ErrorKind;
use interdict_engine::domain::{Act, Body, Event, HoldAct, HoldId};
use interdict_engine::limits::MICRO_BATCH_MAX;
use interdict_engine::sequencer::Submission;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Who ends them.
pub const BY: &str = "timer";
/// How often it is looked whether one has run out: a clock may step, and one may begin that ends before the others.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After the journal took no event.
const AGAIN: Duration = Duration::from_secs(1);

/// What timers came to.
#[derive(Debug, Default)]
pub struct Timers {
    /// Holds that could not be ended when their time had run out, tries again included.
    pub failed: AtomicU64,
}

/// Starts the thread of a node.
pub(super) fn start(node: &Arc<Node>) -> Background {
    let weak = Arc::downgrade(node);
    Background::start("timers", move |stop| {
        while !stop.load(Ordering::Acquire) {
            // Held for a round only, so that whoever closes the node finds itself its last holder.
            let Some(node) = weak.upgrade() else { return };
            let wait = match node.expire_holds(node.clock.wall_ms()) {
                Ok(ended) if ended == MICRO_BATCH_MAX => Duration::ZERO,
                Ok(_) => LOOK_EVERY,
                Err(why) => {
                    tracing::warn!("holds whose time has run out wait: {why}");
                    AGAIN
                }
            };
            drop(node);
            if !wait.is_zero() {
                thread::park_timeout(wait);
            }
        }
    })
}

impl Node {
    /// Ends the first holds that have expired by a time, ms since the Unix epoch, a micro-batch of them at most; how many
    /// there were.
    ///
    /// # Errors
    /// Why the journal took no event of it.
    pub fn expire_holds(&self, now_ms: i64) -> Result<usize, String> {
        let expired: Vec<(HoldId, Box<str>)> = self.with_core(|core| {
            let book = core.sequencer.book();
            let tenant = |id: HoldId| Some((id, book.hold(id)?.opened.tenant.clone()));
            book.expired(now_ms).take(MICRO_BATCH_MAX).filter_map(tenant).collect()
        });
        if expired.is_empty() {
            return Ok(0);
        }
        let (send, answers) = std::sync::mpsc::sync_channel(expired.len());
        self.submit(expired.iter().map(|(id, tenant)| {
            let act = HoldAct { hold: *id, act: Act::Expire, by: BY.to_owned(), comment: String::new() };
            let event =
                Event { tenant: (&**tenant).into(), arrival_ms: now_ms, body: Body::HoldAct(Box::new(act)) };
            let submission =
                Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
            let send = send.clone();
            let reply: Reply = Box::new(move |answered| drop(send.send(answered)));
            Job { submission, deadline: None, reply }
        }));
        drop(send);
        let mut failed = Ok(());
        for answered in answers {
            match answered {
                Answered::Noted(_) => {}
                // Somebody was sooner.
                Answered::Refused(error) if error.kind == ErrorKind::Conflict => {}
                other => {
                    self.timers.failed.fetch_add(1, Ordering::Relaxed);
                    failed = Err(match other {
                        Answered::Refused(error) => error.to_string(),
                        Answered::Unavailable(why) => why,
                        _ => "the node took no event".to_owned(),
                    });
                }
            }
        }
        failed.map(|()| expired.len())
    }
}
