//! Copies of executables, each in a folder named after its hash, which no build writes to.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::anyhow;

/// File name of a copy, as reports and `ps` show it.
const NAME: &str = "thoughtgate";
/// Number of copies that are kept: those of runs in progress, and of some earlier builds.
const KEPT: usize = 8;

/// Writes a read-only executable into the first of `stores` that can be written, and returns its path.
/// An existing copy is used if its content is right.
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
                // The first store is the preferred one, so that its error is the one to show.
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
        // Another run prunes by this time.
        let _ =
            std::fs::File::open(&folder).and_then(|folder| folder.set_modified(SystemTime::now()));
    } else {
        std::fs::create_dir_all(&folder)?;
        // Renamed when complete: another run may start a copy of the same hash at any time.
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o555))?;
        file.persist(&copy).map_err(|failure| failure.error)?;
    }
    prune(store);
    Ok(copy)
}

/// Removes the oldest copies. A failure is ignored: a copy that stays does no harm.
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
