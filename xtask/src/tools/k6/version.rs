//! A k6 whose version the scripts support.
//!
//! Does not look for one, see `find`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use xshell::{Shell, cmd};

use crate::tools::process::{Launch, Output};

/// Time limit of `k6 version`.
const VERSION_DEADLINE: Duration = Duration::from_secs(30);
/// Major versions that the scripts support; the end is excluded.
const MAJORS: std::ops::Range<u32> = 1..3;

/// A k6 of a supported version.
#[derive(Clone, Debug)]
pub struct K6 {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// Runs `k6 version` and checks its output.
pub(super) fn check(path: &Path) -> anyhow::Result<K6> {
    let sh = Shell::new()?;
    let output = Launch::from(cmd!(sh, "{path} version")).run(VERSION_DEADLINE);
    let output = output
        .and_then(Output::success)
        .with_context(|| format!("failed to get the version of `{}`", path.display()))?;
    let text = output.stdout.text();
    let Some((version, major)) = parse_version(&text) else {
        bail!(
            "unexpected output of `{} version`: {text:?}, expected `k6 v…`",
            path.display()
        );
    };
    if !MAJORS.contains(&major) {
        bail!(
            "`{}` is version {version}, but the scripts need {}.0 or later, before {}.0",
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

/// The version and its major number in the output of `k6 version`.
fn parse_version(text: &str) -> Option<(&str, u32)> {
    let rest = text
        .trim_start()
        .strip_prefix("k6 v")
        .or_else(|| text.strip_prefix("k6.exe v"))?;
    let version = rest.split_whitespace().next()?;
    let major = version.split('.').next()?.parse().ok()?;
    Some((version, major))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
