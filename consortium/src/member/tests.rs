#![allow(clippy::unwrap_used)]

mod acts;
mod attacks;
