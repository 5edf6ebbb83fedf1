//! The model of a run, as plain data: the shape of `run.json`. A header, one record per metric, and
//! tables with a row per block, so that statistics and verdicts can be derived again later.
//!
//! Deliberately absent: files, clocks, statistics and judgement.

pub use read::{WrongValue, check_kind, check_sample, describe};
pub use run::{
    Arm, Binary, Git, Host, Note, Outcome, Part, Piece, Pooled, Record, Run, SCHEMA, is_future,
};
pub use table::{Distribution, RawData, Sample, State, Tally};
pub use value::Value;

mod read;
mod run;
mod schema1;
mod table;
mod value;
