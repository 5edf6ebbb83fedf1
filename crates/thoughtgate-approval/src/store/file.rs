//! Opens and reads the store's file, with an error of its own for each way in which it can be
//! unusable.

use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableTable, StorageError};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;

use super::disk::Disk;
use super::tables::{BODIES, FORMAT, Loaded, META, RECORDS, RESULTS};
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
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::Locked { path }
        }
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData
                && source.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            OpenError::Io { path, source }
        }
        other => OpenError::Corrupted {
            path,
            detail: other.to_string(),
        },
    }
}

/// Reads all records and the seal key; creates the tables and the key when the store is new.
pub(super) fn load(path: &Path, database: &Database) -> Result<Loaded, OpenError> {
    let corrupted = |detail: String| OpenError::Corrupted {
        path: path.to_owned(),
        detail,
    };
    let failed = |error: redb::Error| corrupted(error.to_string());
    let transaction = database
        .begin_write()
        .map_err(|error| failed(error.into()))?;
    let loaded = {
        let mut meta = transaction
            .open_table(META)
            .map_err(|error| failed(error.into()))?;
        check_format(path, &mut meta)?;
        let seal_key = seal_key(path, &mut meta)?;
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
    let corrupted = |detail: &str| OpenError::Corrupted {
        path: path.to_owned(),
        detail: detail.to_owned(),
    };
    let found = meta
        .get("format")
        .map_err(|error| corrupted(&error.to_string()))?
        .map(|bytes| bytes.value().to_vec());
    let Some(bytes) = found else {
        meta.insert("format", FORMAT.to_be_bytes().as_slice())
            .map_err(|error| corrupted(&error.to_string()))?;
        return Ok(());
    };
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupted("its format number is not 8 bytes"))?;
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
    let corrupted = |detail: String| OpenError::Corrupted {
        path: path.to_owned(),
        detail,
    };
    let found = meta
        .get("seal_key")
        .map_err(|error| corrupted(error.to_string()))?
        .map(|bytes| bytes.value().to_vec());
    if let Some(bytes) = found {
        return bytes
            .try_into()
            .map_err(|_| corrupted("its seal key is not 32 bytes".to_owned()));
    }
    let mut key = [0; 32];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_| OpenError::Random)?;
    meta.insert("seal_key", key.as_slice())
        .map_err(|error| corrupted(error.to_string()))?;
    Ok(key)
}

/// Encodes a record together with its format, so that the format can be read before the fields.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&(FORMAT, record))
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Record, OpenError> {
    #[derive(Deserialize)]
    struct Versioned(u64, serde_json::Value);
    let corrupted = |error: serde_json::Error| OpenError::Corrupted {
        path: path.to_owned(),
        detail: format!("failed to decode an approval: {error}"),
    };
    let Versioned(format, fields) = serde_json::from_slice(bytes).map_err(corrupted)?;
    newer(path, format)?;
    serde_json::from_value(fields).map_err(corrupted)
}
