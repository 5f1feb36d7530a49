//! Configuration: what may be said (`schema`), what of settlement (`settlement`), how it is read and checked (`load`),
//! and hardware profiles (`profiles`).

pub mod schema;
pub mod load;
pub mod profiles;
pub mod settlement;

pub use load::{Loaded, load};
pub use schema::{Config, Hardware};
