//! Configuration: what may be said (`schema`), how it is read and checked (`load`), and
//! hardware profiles (`profiles`).

pub mod schema;
pub mod load;
pub mod profiles;

pub use load::{Loaded, load};
pub use schema::{Config, Hardware};
