//! Files of results: written whole or not at all, read with errors that name the file.
//!
//! Deliberately absent: their contents (see `model` and `render`) and their places (see `outputs`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// Writes `text` to a temporary file beside `path` and renames it: a reader sees the old text or
/// the new one, and a full disk keeps the old one.
pub fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    save_with(path, |file| file.write_all(text.as_bytes()))
}

/// Reads a text file.
pub fn read(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read_bytes(path)?)
        .ok()
        .with_context(|| format!("failed to read `{}`: it is not UTF-8", path.display()))
}

/// Reads a regular file. Devices and pipes are refused: they may have no end.
pub fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let found = fs::metadata(path).with_context(|| format!("failed to read `{shown}`"))?;
    ensure!(
        found.is_file(),
        "failed to read `{shown}`: it is not a regular file"
    );
    fs::read(path).with_context(|| format!("failed to read `{shown}`"))
}

/// Appends a line to a file, which is created if it is missing. Lines of several writers do not mix, and
/// a last line that was cut off is left as it is.
pub fn append(path: &Path, line: &str) -> anyhow::Result<()> {
    let add = || -> anyhow::Result<()> {
        fs::create_dir_all(parent_of(path))?;
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        // Until the file is closed; another writer waits.
        file.lock()?;
        let start = if ends_within_a_line(&mut file)? {
            "\n"
        } else {
            ""
        };
        // One write per entry, with the newline: a kill leaves at most this line incomplete.
        file.write_all(format!("{start}{line}\n").as_bytes())?;
        // Synchronised before success is reported: the caller takes the entry as stored.
        file.sync_data()?;
        Ok(())
    };
    add().with_context(|| format!("failed to add to `{}`", path.display()))
}

/// Whether the last line was cut off.
fn ends_within_a_line(file: &mut File) -> anyhow::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Fails now, rather than after minutes of measuring, if `path` cannot be written later.
pub fn check_writable(path: &Path) -> anyhow::Result<()> {
    if is_discarded(path) {
        return Ok(());
    }
    let target = target_of(path)?;
    temporary_beside(&target)
        .map(drop)
        .with_context(|| explain(path))
}

/// Removes the file at `path`, if there is one. Of a symbolic link, only the target is removed.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    if is_discarded(path) {
        return Ok(());
    }
    match fs::remove_file(target_of(path)?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = path.display();
            Err(error).with_context(|| format!("failed to remove `{path}` of an earlier run"))
        }
        _ => Ok(()),
    }
}

/// Whether both paths lead to the same file, which need not exist.
pub fn is_same(left: &Path, right: &Path) -> bool {
    let place = |path: &Path| {
        let target = follow(path);
        // The folder and not the file, which need not exist yet.
        let folder = parent_of(&target).canonicalize().ok()?;
        Some(folder.join(target.file_name()?))
    };
    place(left).is_some_and(|left| place(right) == Some(left))
}

/// The file that a run locks in its directory of results.
pub const LOCK: &str = ".lock";

/// Locks the directory of results for one run. Two at a time would spoil each other's figures and
/// overwrite each other's files. Released when the result is dropped, or its process dies.
pub fn lock(directory: &Path) -> anyhow::Result<fs::File> {
    let path = directory.join(LOCK);
    let open = || -> io::Result<fs::File> {
        fs::create_dir_all(directory)?;
        // The file is never removed: a new one at its path could be locked beside the old one.
        fs::File::options().create(true).append(true).open(&path)
    };
    let file = open().with_context(|| format!("failed to open `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "another run is measuring in this workspace (it holds `{}`): wait until it has ended",
            path.display()
        ),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("failed to lock `{}`", path.display()))
        }
    }
}

fn save_with(
    path: &Path,
    write: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> anyhow::Result<()> {
    if is_discarded(path) {
        return Ok(());
    }
    let target = target_of(path)?;
    let attempt = || -> io::Result<()> {
        let mut temporary = temporary_beside(&target)?;
        write(temporary.as_file_mut())?;
        // Before the rename: after a crash the name must not lead to an empty file.
        temporary.as_file().sync_all()?;
        temporary
            .persist(&target)
            .map_err(|failure| failure.error)?;
        Ok(())
    };
    attempt().with_context(|| explain(path))
}

/// The file behind `path`: a link is followed, even to a file that does not exist yet, so that the link
/// is not replaced by a file. Anything but a file is refused, since renaming over it would destroy it;
/// so is everything below `/dev` and `/proc`, where a name such as `/dev/stdout` may mean a file that
/// another process is writing.
fn target_of(path: &Path) -> anyhow::Result<PathBuf> {
    let target = follow(path);
    let special = |path: &Path| path.starts_with("/dev") || path.starts_with("/proc");
    if special(path) || special(&target) || (target.exists() && !target.is_file()) {
        bail!(
            "failed to save `{}`: it is not a regular file",
            path.display()
        );
    }
    Ok(target)
}

/// The end of the chain of links at `path`.
fn follow(path: &Path) -> PathBuf {
    let mut target = path.to_path_buf();
    // The kernel follows no more than 40 links.
    for _ in 0..40 {
        let Ok(next) = fs::read_link(&target) else {
            break;
        };
        target = parent_of(&target).join(next);
    }
    target
}

fn parent_of(path: &Path) -> &Path {
    let parent = path.parent();
    parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Whether `path` is `/dev/null`, to which nothing is written.
fn is_discarded(path: &Path) -> bool {
    path.canonicalize()
        .is_ok_and(|path| path == Path::new("/dev/null"))
}

fn temporary_beside(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    // In the same directory, since a rename across file systems fails.
    let directory = parent_of(target);
    fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".metrics-").suffix(".tmp");
    #[cfg(unix)]
    {
        // The permissions of any new file, instead of the private ones of temporary files.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

fn explain(path: &Path) -> String {
    let kept = if path.exists() {
        "; the previous file is kept"
    } else {
        ""
    };
    format!("failed to save `{}`{kept}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_last_file_and_leaves_no_litter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.json");
        save(&path, "first").unwrap();
        let full = save_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let message = format!("{:#}", full.unwrap_err());
        assert!(message.contains("run.json"), "{message}");
        assert!(message.contains("the previous file is kept"), "{message}");
        assert!(message.contains("no storage space"), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unwritable_directory_is_one_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        save(&file, "").unwrap();
        let path = file.join("run.json");
        let message = format!("{:#}", check_writable(&path).unwrap_err());
        assert!(message.starts_with("failed to save `"), "{message}");
        assert!(message.contains("run.json"), "{message}");
    }

    #[test]
    fn one_run_at_a_time_holds_the_results() {
        let directory = tempfile::tempdir().unwrap();
        let results = directory.path().join("metrics");
        let held = lock(&results).unwrap();
        let message = lock(&results).unwrap_err().to_string();
        assert!(message.contains("another run is measuring"), "{message}");
        drop(held);
        lock(&results).unwrap();
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        for path in [
            directory.path(),
            Path::new("/dev/stdout"),
            Path::new("/proc/x.json"),
        ] {
            let message = check_writable(path).unwrap_err().to_string();
            assert!(message.contains("not a regular file"), "{message}");
            assert_eq!(save(path, "x").unwrap_err().to_string(), message);
        }
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        save(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        save(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        fs::remove_file(&file).unwrap();
        save(&link, "first").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
