//! Configuration: what may be said (`schema`), and how it is read and checked (`load`).

pub mod schema;
pub mod load;

pub use load::{Loaded, load};
pub use schema::{Config, Hardware};
