//! Fields to canonical, checked, tagged slots. Each identifier is brought to one spelling, checked, turned into tags
//! under the tenant's and the shared key, and dropped; what is kept of it is what the catalogue says.

pub mod keys;
pub mod identifiers;
pub mod countries;
pub mod text;
pub mod money;
pub mod time;
