//! Notices of holds to others' servers.

pub mod notice;
pub mod url;

pub use notice::{Notice, NoticeKind, Page, Source};
pub use url::check_url;
