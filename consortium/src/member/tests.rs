#![allow(clippy::unwrap_used)]

mod acts;
mod attacks;
mod examples;
mod others;
mod oracle;
mod property;
