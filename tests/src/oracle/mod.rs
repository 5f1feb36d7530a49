//! The slow, plain way to every answer, to compare the engine with. Imports only `interdict_engine::domain`.

pub mod features;
