//! What the engine must say, worked out the slow and obvious way. Imports only `interdict_engine::domain`, so that a
//! mistake in the engine cannot be copied by using its code.

pub mod features;
pub mod holds;
pub mod kinds;
pub mod lists;
