//! Files of results: written whole or not at all, read with errors that name the file.
//!
//! Deliberately absent: what is in them (`model` and `report` know) and where they belong
//! (`metrics.rs` decides).

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::model::Run;

/// Writes `text` to a temporary file beside `path` and renames it: a reader sees the old text or
/// the new one, and a full disk keeps the old one.
pub fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    save_with(path, |file| file.write_all(text.as_bytes()))
}

/// Reads a `run.json`.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the judge of history asks for it")
)]
pub fn read_run(path: &Path) -> anyhow::Result<Run> {
    let text = read(path)?;
    Run::parse(&text).with_context(|| format!("failed to read `{}`", path.display()))
}

/// Reads a text file.
pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read `{}`", path.display()))
}

/// Fails now, rather than after minutes of measuring, if `path` cannot be written later.
pub fn check_writable(path: &Path) -> anyhow::Result<()> {
    let target = target_of(path)?;
    temporary_beside(&target)
        .map(drop)
        .with_context(|| explain(path))
}

/// Holds the directory of results for one run. Two at a time would spoil each other's figures and
/// overwrite each other's files. Released when the result is dropped, or its process dies.
pub fn lock(directory: &Path) -> anyhow::Result<fs::File> {
    let path = directory.join(".lock");
    let open = || -> io::Result<fs::File> {
        fs::create_dir_all(directory)?;
        fs::File::options().create(true).append(true).open(&path)
    };
    let file = open().with_context(|| format!("failed to open `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "another run is measuring in this workspace (it holds `{}`): wait for its end",
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
    let target = target_of(path)?;
    let attempt = || -> io::Result<()> {
        let mut temporary = temporary_beside(&target)?;
        write(temporary.as_file_mut())?;
        temporary.as_file().sync_all()?;
        temporary
            .persist(&target)
            .map_err(|failure| failure.error)?;
        Ok(())
    };
    attempt().with_context(|| explain(path))
}

/// The file behind `path`: a link is followed, so that it is not replaced by a file. What is no
/// file is refused, since renaming over it would destroy it; so is all below `/dev` and `/proc`,
/// where a name such as `/dev/stdout` may stand for a file that somebody else is writing.
fn target_of(path: &Path) -> anyhow::Result<PathBuf> {
    let special = path.starts_with("/dev") || path.starts_with("/proc");
    match fs::canonicalize(path) {
        Ok(target) if target.is_file() && !special => Ok(target),
        Err(_) if !special => Ok(path.to_path_buf()),
        _ => bail!(
            "failed to save `{}`: it is not a regular file",
            path.display()
        ),
    }
}

fn temporary_beside(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".metrics-").suffix(".tmp");
    #[cfg(unix)]
    {
        // Like any created file, not private as temporary files are.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

fn explain(path: &Path) -> String {
    let kept = if path.exists() {
        "; what was there before is kept"
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
        assert!(
            message.contains("what was there before is kept"),
            "{message}"
        );
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
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
