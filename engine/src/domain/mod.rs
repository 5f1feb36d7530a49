//! The types everything shares: what a field, a transaction, an event, a reason and a verdict are. Only here.

pub mod catalogue;
pub mod money;
pub mod tag;
mod wire;
pub mod slots;
pub mod transaction;
pub mod entry;
pub mod event;
pub mod feature;
pub mod reason;
pub mod decision;
pub mod hold;
pub mod record;
pub mod finished;

pub use catalogue::{Field, FieldDef, Sensitivity};
pub use decision::{GenerationId, Lever, Outcome, Verdict};
pub use entry::{Effect, Entry, Subject, SubjectKind};
pub use event::{Body, Event, EventKind, KeyTaken, KeyUse, Label, ListDelta};
pub use feature::{Aggregate, FeatureSpec, KeySpec, OnReversal};
pub use finished::Finished;
pub use hold::{
    Act, Clear, ClearState, Cleared, Found, FoundNow, HoldAct, HoldId, HoldState, Learned, LearnedWhat,
    Opened,
};
pub use money::Currency;
pub use reason::{Audience, Reason, ReasonSource};
pub use record::{Accepted, Confirmation, Decided, Recorded, RecordedBanks, Stamp};
pub use slots::{Schema, SlotDef, SlotId, SlotView, Value, ValueType};
pub use tag::{KeyId, Tag};
pub use transaction::{Earlier, Keyed, Slot, Transaction, TransactionKind};
