//! Changes that the store is asked to write. Knows nothing of how or when they reach the disk.

use crate::ids::Id;
use crate::record::Record;

/// One change. The changes of one [`super::Store::submit`] reach the disk together.
pub(crate) enum Write {
    Record(Box<Record>),
    Body(Id, Vec<u8>),
    Result(Id, Vec<u8>),
    DropBody(Id),
    Remove(Vec<Id>),
}
