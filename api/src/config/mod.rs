//! Configuration: what may be said (`schema`), what of settlement (`settlement`) and of what leaves the node (`outward`),
//! how it is read and checked (`load`), and hardware profiles (`profiles`).

pub mod schema;
pub mod outward;
pub mod consortium;
pub mod load;
pub mod profiles;
pub mod settlement;

pub use load::{Loaded, load};
pub use schema::{Config, Hardware};
