#![allow(clippy::unwrap_used)]

mod acts;
mod attacks;
mod examples;
mod oracle;
mod property;
