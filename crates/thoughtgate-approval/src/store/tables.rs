//! Layout of the store's file: its format number, its tables, and what is read from them at the
//! start. Reads and writes nothing.

use redb::TableDefinition;

use crate::record::Record;

/// Format that is written, and the highest that is read.
pub(super) const FORMAT: u64 = 1;

pub(super) const RECORDS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("records");
pub(super) const BODIES: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("bodies");
pub(super) const RESULTS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("results");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Contents of the store when it was opened.
pub(crate) struct Loaded {
    pub(crate) records: Vec<Record>,
    pub(crate) seal_key: [u8; 32],
}
