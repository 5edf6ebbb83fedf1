//! Which k6 is taken: the one that `K6` names, else the first in `PATH`, else our own.
//!
//! One that is there but unusable is an error and not passed over: its owner meant it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{K6, install};
use crate::tools::process::{Launch, Output};

/// How long a k6 may take to tell its version.
const VERSION_DEADLINE: Duration = Duration::from_secs(30);
/// The versions that the scripts fit: from the first of these majors, before the second.
const MAJORS: std::ops::Range<u32> = 1..3;

pub(super) fn find(
    named: Option<OsString>,
    path: Option<&OsStr>,
    tools_dir: &Path,
) -> anyhow::Result<K6> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return check(&PathBuf::from(named)).context(
            "failed to use the k6 that the environment variable `K6` names (set it to one of \
             version 1 or 2, or unset it)",
        );
    }
    if let Some(found) = path.and_then(in_path) {
        return check(&found).context(
            "failed to use the first k6 in `PATH` (remove it, or set `K6` to one of version 1 or 2)",
        );
    }
    install::installed(tools_dir)
}

/// Runs `k6 version` and checks what it says.
pub(super) fn check(path: &Path) -> anyhow::Result<K6> {
    let output = Launch::new(path).arg("version").run(VERSION_DEADLINE);
    let output = output
        .and_then(Output::success)
        .with_context(|| format!("`{}` does not tell its version", path.display()))?;
    let text = output.stdout.text();
    let Some((version, major)) = parse_version(&text) else {
        bail!("`{}` does not say `k6 v…` but {text:?}", path.display());
    };
    if !MAJORS.contains(&major) {
        bail!(
            "`{}` is version {version}, and the scripts need one from {}.0 to before {}.0",
            path.display(),
            MAJORS.start,
            MAJORS.end
        );
    }
    Ok(K6 {
        path: path.to_path_buf(),
        version: version.to_owned(),
    })
}

/// The version and its major number in what `k6 version` says.
fn parse_version(text: &str) -> Option<(&str, u32)> {
    let rest = text
        .trim_start()
        .strip_prefix("k6 v")
        .or_else(|| text.strip_prefix("k6.exe v"))?;
    let version = rest.split_whitespace().next()?;
    let major = version.split('.').next()?.parse().ok()?;
    Some((version, major))
}

fn in_path(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        // An empty or relative entry would make the result depend on the current directory.
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("k6"))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with an executable `k6` that runs `script`.
    fn fake(script: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        // Written by another process: a file that this one had open for writing may still be
        // open in a child that another test is just starting, and cannot be run then.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
        let path = named(&directory);
        let arguments = [
            "-c".as_ref(),
            write.as_ref(),
            "sh".as_ref(),
            script.as_ref(),
            &*path,
        ];
        assert!(
            std::process::Command::new("sh")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
        directory
    }

    fn path_of(directories: &[&tempfile::TempDir]) -> OsString {
        std::env::join_paths(directories.iter().map(|directory| directory.path())).unwrap()
    }

    fn named(directory: &tempfile::TempDir) -> OsString {
        directory.path().join("k6").into_os_string()
    }

    #[test]
    fn versions_of_both_majors_are_read() {
        let old = "k6 v1.1.0 (commit/0e3fb953be, go1.24.4, linux/amd64)\n";
        assert_eq!(parse_version(old), Some(("1.1.0", 1)));
        assert_eq!(
            parse_version("k6 v2.0.0-rc1 (go1.26)\nExtensions:\n"),
            Some(("2.0.0-rc1", 2))
        );
        assert_eq!(parse_version("k6 vnext"), None);
        assert_eq!(parse_version("usage: k6"), None);
    }

    #[test]
    fn the_named_one_comes_before_the_path() {
        let (first, second) = (fake("echo k6 v2.1.0"), fake("echo k6 v1.5.0"));
        let nowhere = Path::new("/nowhere");
        let found = find(Some(named(&first)), Some(&path_of(&[&second])), nowhere).unwrap();
        assert_eq!(
            (found.version(), found.path()),
            ("2.1.0", Path::new(&named(&first)))
        );
        let found = find(
            Some(OsString::new()),
            Some(&path_of(&[&second, &first])),
            nowhere,
        )
        .unwrap();
        assert_eq!(found.version(), "1.5.0");
    }

    #[test]
    fn the_installed_one_is_the_last_resort() {
        let (tools_dir, k6) = (tempfile::tempdir().unwrap(), fake("echo k6 v1.1.0"));
        let place = tools_dir.path().join("k6-1.1.0/bin");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::rename(k6.path().join("k6"), place.join("k6")).unwrap();
        let found = find(None, Some(OsStr::new("/nowhere")), tools_dir.path()).unwrap();
        assert_eq!(found.path(), place.join("k6"));
    }

    fn refusal(script: &str, in_path: bool) -> String {
        let k6 = fake(script);
        let (env, path) = if in_path {
            (None, Some(path_of(&[&k6])))
        } else {
            (Some(named(&k6)), None)
        };
        let message = format!(
            "{:#}",
            find(env, path.as_deref(), Path::new("/nowhere")).unwrap_err()
        );
        message.replace(&*k6.path().to_string_lossy(), "DIR")
    }

    #[test]
    fn an_unusable_one_is_an_error_with_the_way_out() {
        assert_eq!(
            refusal("echo 'k6 v0.57.0 (go1.23)'", true),
            "failed to use the first k6 in `PATH` (remove it, or set `K6` to one of version 1 or \
             2): `DIR/k6` is version 0.57.0, and the scripts need one from 1.0 to before 3.0"
        );
        let broken = refusal("echo broken >&2; exit 2", false);
        assert!(
            broken.contains("set it to one of version 1 or 2, or unset it"),
            "{broken}"
        );
        assert!(
            broken.contains("`DIR/k6` does not tell its version"),
            "{broken}"
        );
        assert!(broken.contains("broken"), "{broken}");
        assert!(refusal("echo k7", true).contains("does not say `k6 v…` but \"k7\\n\""));
    }
}
