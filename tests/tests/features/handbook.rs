//! The Handbook.
