//! Filters answers to `tools/list`: removes tools, and keeps the rest byte for byte.
//!
//! Clients' parsers differ. An answer in which another parser could find a different list, or a list
//! where this one finds none, is refused. Does not decide which tools stay: the caller does.

mod choose;
mod error;
mod events;
mod find;
mod line_ends;
mod list;

pub use choose::Choose;
pub use error::{Refused, Unreadable};
pub use events::Events;
pub use list::{Filtered, filter, may_list};
