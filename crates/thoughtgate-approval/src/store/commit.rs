//! One transaction: the writes of one batch, all on disk or none.

use redb::Database;

use super::file;
use super::tables::{BODIES, RECORDS, RESULTS};
use super::write::Write;

#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error(transparent)]
    Database(#[from] Box<redb::Error>),
    #[error(transparent)]
    Encode(#[from] serde_json::Error),
}

fn failed(error: impl Into<redb::Error>) -> CommitError {
    CommitError::Database(Box::new(error.into()))
}

pub(super) fn commit(database: &Database, writes: &[Write]) -> Result<(), CommitError> {
    // An early return drops the transaction, and so writes nothing of the batch.
    let transaction = database.begin_write().map_err(failed)?;
    {
        // Tables borrow the transaction, so they are closed before the commit.
        let mut records = transaction.open_table(RECORDS).map_err(failed)?;
        let mut bodies = transaction.open_table(BODIES).map_err(failed)?;
        let mut results = transaction.open_table(RESULTS).map_err(failed)?;
        for write in writes {
            match write {
                Write::Record(record) => {
                    let bytes = file::encode(record)?;
                    records
                        .insert(record.id.bytes(), bytes.as_slice())
                        .map_err(failed)?;
                }
                Write::Body(id, bytes) => {
                    bodies
                        .insert(id.bytes(), bytes.as_slice())
                        .map_err(failed)?;
                }
                Write::Result(id, bytes) => {
                    results
                        .insert(id.bytes(), bytes.as_slice())
                        .map_err(failed)?;
                }
                Write::DropBody(id) => {
                    bodies.remove(id.bytes()).map_err(failed)?;
                }
                Write::Remove(ids) => {
                    // Most approvals have neither body nor result; removing what is missing is no error.
                    for id in ids {
                        records.remove(id.bytes()).map_err(failed)?;
                        bodies.remove(id.bytes()).map_err(failed)?;
                        results.remove(id.bytes()).map_err(failed)?;
                    }
                }
            }
        }
    }
    transaction.commit().map_err(failed)
}
