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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Options;
    use super::super::clock::{Clock, Manual};
    use super::*;
    use interdict_engine::domain::{
        Found, FoundNow, GenerationId, HoldState, Lever, Opened, Outcome, Transaction, TransactionKind,
    };
    use std::path::Path;
    use std::time::Instant;

    fn open(dir: &Path, clock: &Arc<Manual>) -> Arc<Node> {
        let config = dir.join("c.toml");
        std::fs::write(&config, "").unwrap();
        let loaded = crate::config::load(&config).unwrap();
        Node::open_by(&dir.join("data"), loaded, &Options::default(), clock.wall_ms(), clock.clone()).unwrap()
    }
    fn call(node: &Node, arrival_ms: i64, body: Body) -> Answered {
        let event = Event { tenant: "acme".into(), arrival_ms, body };
        node.call(Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None })
    }
    /// A payment that is found to be held until a time.
    fn held(node: &Node, at_ms: i64, until_ms: i64, expiry_releases: bool) -> HoldId {
        let tx = Transaction::new("acme".into(), TransactionKind::Request, at_ms);
        let Answered::Decided(settled) = call(node, at_ms, Body::Payment(Box::new(tx))) else { panic!() };
        let payment = settled.verdict.sequence;
        let opened = Opened {
            tenant: "acme".into(),
            at_ms,
            until_ms: Some(until_ms),
            expiry_releases,
            cut_off_ms: i64::MAX,
            lever: Lever::DetainGoods,
            recall: false,
            amount_minor: 1,
            currency: "EUR".into(),
            sanctions: false,
            outcome: Outcome::Hold,
            score: 1,
            reasons: Vec::new(),
            causes: Vec::new(),
            generation: GenerationId { hash: [0; 32], overlay: 0 },
            learned: None,
        };
        let now = FoundNow::Stops { opened: Box::new(opened), too_late: false };
        let found = call(node, at_ms, Body::Hunt(Box::new(Found { target: payment, now })));
        assert!(matches!(found, Answered::Noted(_)), "{found:?}");
        HoldId { payment, number: 1 }
    }
    fn state(node: &Node, id: HoldId) -> HoldState {
        node.hold(id).unwrap().state
    }
    /// Waits for the thread, which looks by itself.
    fn until(node: &Node, id: HoldId, wanted: HoldState) {
        let began = Instant::now();
        while state(node, id) != wanted {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", state(node, id));
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_hold_expires_once_and_at_its_time_whatever_the_clock_does() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(Manual::default()));
        let node = open(dir.path(), &clock);
        let began_ms = clock.wall_ms();
        let goes = held(&node, began_ms, began_ms + 100_000, true);
        let stays = held(&node, began_ms, began_ms + 200_000, false);
        assert_eq!(node.expire_holds(clock.wall_ms()).unwrap(), 0);
        clock.step_wall(-1_000_000);
        assert_eq!(node.expire_holds(clock.wall_ms()).unwrap(), 0);
        clock.step_wall(1_099_999);
        assert_eq!(node.expire_holds(clock.wall_ms()).unwrap(), 0, "a ms is left");
        clock.step_wall(1);
        until(&node, goes, HoldState::ExpiredReleased);
        let ended = node.hold(goes).unwrap().ended.unwrap();
        assert_eq!((&*ended.by, ended.at_ms), (BY, began_ms + 100_000));
        // Back and forth again: what has ended has no timer.
        clock.step_wall(-100_000);
        clock.step_wall(100_000);
        assert_eq!(node.expire_holds(clock.wall_ms()).unwrap(), 0);
        // An event's own time counts, not when it is looked at.
        let act = HoldAct { hold: stays, act: Act::Expire, by: BY.to_owned(), comment: String::new() };
        let early = call(&node, began_ms + 199_999, Body::HoldAct(Box::new(act)));
        assert!(matches!(&early, Answered::Refused(e) if e.kind == ErrorKind::Conflict), "{early:?}");
        assert_eq!(state(&node, stays), HoldState::Held);
        clock.step_wall(10_000_000);
        until(&node, stays, HoldState::ExpiredConfirmed);
        let counted = |node: &Node| node.with_core(|core| core.sequencer.book().counts().states);
        let counts = counted(&node);
        assert_eq!(
            counts[HoldState::ExpiredReleased as usize..=HoldState::ExpiredConfirmed as usize],
            [1, 1]
        );
        node.close().unwrap();
        clock.step_wall(-20_000_000);
        let node = open(dir.path(), &clock);
        assert_eq!(
            (state(&node, goes), state(&node, stays)),
            (HoldState::ExpiredReleased, HoldState::ExpiredConfirmed)
        );
        assert_eq!(counted(&node), counts);
        node.close().unwrap();
    }
}
