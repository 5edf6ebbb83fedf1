//! Opens and reads the store's file, with an error of its own for each way in which it can be
//! unusable.

use std::error::Error;
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableTable, StorageError};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;

use super::disk::Disk;
use super::tables::{BODIES, FORMAT, Loaded, META, RECORDS, RESULTS};
use crate::cause::Cause;
use crate::error::OpenError;
use crate::record::Record;

/// Cache of redb, whose own default is a gigabyte.
const CACHE_BYTES: usize = 1 << 20;

/// Opens the database in a file. The integrity check reads the whole file, a few megabytes at most,
/// so that damage is found now and not while approvals are in use.
pub(super) fn open(disk: &Disk) -> Result<Database, OpenError> {
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(disk.clone())
        .map_err(|error| explain(disk.path(), error))
}

pub(super) fn memory() -> Result<Database, OpenError> {
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(InMemoryBackend::new())
        .map_err(|error| explain(Path::new("memory"), error))
}

fn explain(path: &Path, error: DatabaseError) -> OpenError {
    let at = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::Locked { path: at }
        }
        // A file that is no redb database, or is cut off, comes as an IO error of these two kinds.
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData
                && source.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            OpenError::Io { path: at, source }
        }
        other => corrupted(path, other),
    }
}

/// Contents that this program does not write.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("its format number is not 8 bytes")]
    Format,
    #[error("its seal key is not 32 bytes")]
    SealKey,
    #[error("failed to decode an approval")]
    Record(#[source] serde_json::Error),
}

fn corrupted(path: &Path, fault: impl Error + Send + Sync + 'static) -> OpenError {
    OpenError::Corrupted {
        path: path.to_owned(),
        source: Cause::new(fault),
    }
}

/// Reads all records and the seal key; creates the tables and the key when the store is new.
pub(super) fn load(path: &Path, database: &Database) -> Result<Loaded, OpenError> {
    let failed = |error: redb::Error| corrupted(path, error);
    let transaction = database
        .begin_write()
        .map_err(|error| failed(error.into()))?;
    let loaded = {
        let mut meta = transaction
            .open_table(META)
            .map_err(|error| failed(error.into()))?;
        check_format(path, &mut meta)?;
        let seal_key = seal_key(path, &mut meta)?;
        // Created even if nothing is written yet: a read cannot open a table that does not exist.
        transaction
            .open_table(BODIES)
            .map_err(|error| failed(error.into()))?;
        transaction
            .open_table(RESULTS)
            .map_err(|error| failed(error.into()))?;
        let table = transaction
            .open_table(RECORDS)
            .map_err(|error| failed(error.into()))?;
        let mut records = Vec::new();
        for entry in table.iter().map_err(|error| failed(error.into()))? {
            let (_, bytes) = entry.map_err(|error| failed(error.into()))?;
            records.push(decode(path, bytes.value())?);
        }
        Loaded { records, seal_key }
    };
    transaction.commit().map_err(|error| failed(error.into()))?;
    Ok(loaded)
}

type Meta<'a> = redb::Table<'a, &'static str, &'static [u8]>;

fn check_format(path: &Path, meta: &mut Meta<'_>) -> Result<(), OpenError> {
    let found = meta
        .get("format")
        .map_err(|error| corrupted(path, error))?
        .map(|bytes| bytes.value().to_vec());
    let Some(bytes) = found else {
        meta.insert("format", FORMAT.to_be_bytes().as_slice())
            .map_err(|error| corrupted(path, error))?;
        return Ok(());
    };
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupted(path, Damage::Format))?;
    newer(path, u64::from_be_bytes(bytes))
}

fn newer(path: &Path, found: u64) -> Result<(), OpenError> {
    if found > FORMAT {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: FORMAT,
        });
    }
    Ok(())
}

fn seal_key(path: &Path, meta: &mut Meta<'_>) -> Result<[u8; 32], OpenError> {
    let found = meta
        .get("seal_key")
        .map_err(|error| corrupted(path, error))?
        .map(|bytes| bytes.value().to_vec());
    if let Some(bytes) = found {
        return bytes
            .try_into()
            .map_err(|_| corrupted(path, Damage::SealKey));
    }
    // Kept in the store, so that request states remain valid after a restart.
    let mut key = [0; 32];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_| OpenError::Random)?;
    meta.insert("seal_key", key.as_slice())
        .map_err(|error| corrupted(path, error))?;
    Ok(key)
}

/// Encodes a record together with its format, so that the format can be read before the fields.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&(FORMAT, record))
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Record, OpenError> {
    #[derive(Deserialize)]
    struct Versioned(u64, serde_json::Value);
    let odd = |error| corrupted(path, Damage::Record(error));
    // Fields of a newer format may not fit `Record`, so the format is checked before they are decoded.
    let Versioned(format, fields) = serde_json::from_slice(bytes).map_err(odd)?;
    newer(path, format)?;
    serde_json::from_value(fields).map_err(odd)
}
