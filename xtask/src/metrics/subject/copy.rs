//! Copies of executables, each in a folder called by its hash, where no build puts anything.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::anyhow;

/// What a copy is called: reports and `ps` show it.
const NAME: &str = "thoughtgate";
/// Copies that are kept: of runs that go on, and of some builds before.
const KEPT: usize = 8;

/// Writes a read-only executable into the first of `stores` that can be written, and returns where it
/// is. One that is there already is used, if it is what it is called.
pub(super) fn aside(bytes: &[u8], sha256: &str, stores: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let mut first_error = None;
    for store in stores {
        match aside_in(bytes, sha256, store) {
            Ok(copy) => return Ok(copy),
            Err(error) => {
                let error = error.context(format!(
                    "failed to copy the binary into `{}`",
                    store.display()
                ));
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| anyhow!("there is no folder for a copy of the binary")))
}

fn aside_in(bytes: &[u8], sha256: &str, store: &Path) -> anyhow::Result<PathBuf> {
    let folder = store.join(sha256);
    let copy = folder.join(NAME);
    if std::fs::read(&copy).is_ok_and(|found| found == bytes) {
        // The prune of another run goes by this.
        let _ =
            std::fs::File::open(&folder).and_then(|folder| folder.set_modified(SystemTime::now()));
    } else {
        std::fs::create_dir_all(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o555))?;
        file.persist(&copy).map_err(|failure| failure.error)?;
    }
    prune(store);
    Ok(copy)
}

/// Removes the oldest copies. One that cannot be removed is in nobody's way.
fn prune(store: &Path) {
    let entries = std::fs::read_dir(store).into_iter().flatten().flatten();
    let mut folders: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    folders.sort();
    folders.reverse();
    for (_, folder) in folders.into_iter().skip(KEPT) {
        let _ = std::fs::remove_dir_all(folder);
    }
}
