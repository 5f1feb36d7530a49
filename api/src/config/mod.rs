//! Configuration: what may be said (`schema`; `outward`: what leaves the node), how it is read and
//! checked (`load`), and hardware profiles (`profiles`).

pub mod schema;
pub mod outward;
pub mod load;
pub mod profiles;

pub use load::{Loaded, load};
pub use schema::{Config, Hardware};
