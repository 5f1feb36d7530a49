//! What people and timers do with a hold, and who may end what (docs/formats/holds.md has the table).

use super::{Book, Ended, Hold, Proposed, conflict, note};
use crate::domain::{Act, HoldAct, HoldId, HoldState};
use crate::error::{Error, ErrorKind};
use crate::limits::HOLD_COMMENT_BYTES_MAX;

impl Book {
    /// Does something with a hold, or says why not.
    ///
    /// # Errors
    /// `NotFound` without such a hold of the tenant, `Conflict` where it has ended or the act is not for it, `Invalid` for
    /// a comment that is missing, `TooLarge` for one that is too long; nothing has changed then.
    pub(crate) fn act(
        &mut self,
        tenant: &str,
        act: &HoldAct,
        sequence: u64,
        at_ms: i64,
    ) -> Result<(), Error> {
        let id = act.hold;
        let hold = self.holds.get(&id).filter(|hold| *hold.opened.tenant == *tenant);
        let hold = hold.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no hold {id}")))?;
        allowed(id, hold, act, at_ms)?;
        let ended = || Ended { sequence, at_ms, by: act.by.as_str().into() };
        let to = match act.act {
            Act::Comment => None,
            Act::FalseMatch if hold.proposed.is_none() => {
                let proposed = Proposed { by: act.by.as_str().into(), at_ms, sequence };
                self.holds.get_mut(&id).expect("just found").proposed = Some(proposed);
                None
            }
            Act::Release | Act::FalseMatch => Some(HoldState::Released),
            Act::Confirm => Some(HoldState::Confirmed),
            Act::Block => Some(HoldState::Blocked),
            Act::Reject => Some(HoldState::Rejected),
            Act::Expire if hold.opened.expiry_releases => Some(HoldState::ExpiredReleased),
            Act::Expire => Some(HoldState::ExpiredConfirmed),
        };
        note(&mut self.holds.get_mut(&id).expect("just found").acts, sequence, self.limits.acts_max);
        if let Some(state) = to {
            self.end(id, state, ended());
        }
        Ok(())
    }
}

fn allowed(id: HoldId, hold: &Hold, act: &HoldAct, at_ms: i64) -> Result<(), Error> {
    if act.comment.len() > HOLD_COMMENT_BYTES_MAX {
        let text = format!("a comment of {} bytes, limit {HOLD_COMMENT_BYTES_MAX}", act.comment.len());
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    if act.act == Act::Comment {
        return match act.comment.trim().is_empty() {
            true => Err(Error::new(ErrorKind::Invalid, "a comment without words")),
            false => Ok(()),
        };
    }
    if hold.state != HoldState::Held {
        return Err(conflict(format!(
            "{id} is {}, so there is nothing to {}",
            hold.state.name(),
            act.act.name()
        )));
    }
    let of_sanctions = matches!(act.act, Act::Block | Act::Reject | Act::FalseMatch);
    match (hold.opened.sanctions, of_sanctions, act.act) {
        (true, false, _) => Err(conflict(format!(
            "{id} is a sanctions hold: it ends as a true match (block or reject), or as a false match that a second person confirms"
        ))),
        (false, true, _) => Err(conflict(format!("{id} is no sanctions hold: it is released or confirmed"))),
        (false, false, Act::Expire) if hold.opened.until_ms.is_none_or(|until_ms| at_ms < until_ms) => {
            Err(conflict(format!("{id} has not expired")))
        }
        (true, true, Act::FalseMatch) if act.comment.trim().is_empty() => {
            Err(Error::new(ErrorKind::Invalid, "a false match needs its reason in words"))
        }
        (true, true, Act::FalseMatch) if hold.proposed.as_ref().is_some_and(|one| *one.by == *act.by) => {
            Err(conflict(format!("{id}: a second person has to confirm what {} said", act.by)))
        }
        _ => Ok(()),
    }
}
