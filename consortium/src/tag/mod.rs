//! Tags: how identifiers are compared without being shown. A keyed tag that every member can make, a part of it that
//! several identifiers share, and an exact one that only the alliance's service can make, of an identifier that it
//! does not see. `docs/formats/tags.md` has every byte.

pub mod random;

// What every member can make, under a key that is sealed to it.
pub mod keyed;
pub mod prefilter;
pub mod sealing;

// What only the service can make; what a member does with it; what it may ask.
pub mod oblivious;
pub mod confirm;
pub mod limit;
