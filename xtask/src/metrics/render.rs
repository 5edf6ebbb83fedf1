//! Reports: a run in, text out. A report names what it leaves out.
//!
//! Deliberately absent: IO, clocks and terminals.

pub mod array;
pub mod badge;
pub mod bmf;
pub mod check;
pub mod claims;
pub mod comment;
pub mod comparison;
#[cfg(test)]
pub(crate) mod fixture;
pub mod history;
pub mod list;
pub mod markdown;
pub mod notes;
pub mod number;
pub mod page;
pub mod table;
pub mod warnings;

#[cfg(test)]
mod tests;
