#![allow(clippy::unwrap_used)]

mod acts;
mod attacks;
mod examples;
mod malformed;
mod others;
mod oracle;
mod property;
