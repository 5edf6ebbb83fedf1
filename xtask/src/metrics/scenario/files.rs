//! Configuration and policies of the measured proxy, as files in a folder of their own.
//!
//! Starts nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::metrics::subject::Subject;
use crate::tools::scratch::Scratch;
use crate::tools::subject::{Setup, Upstream};

/// Configuration and ten policies of the measured proxy, as files in a folder of their own.
pub struct SubjectFiles {
    folder: Scratch,
}

impl SubjectFiles {
    /// Writes both to a folder that is removed when the result is dropped.
    pub fn write() -> anyhow::Result<SubjectFiles> {
        SubjectFiles::write_with("", "")
    }

    /// Writes both, with a text appended to each.
    pub fn write_with(config: &str, policies: &str) -> anyhow::Result<SubjectFiles> {
        // Compiled in: a run does not depend on files that may change while it measures.
        let config = include_str!("../../../subject/thoughtgate.yaml").to_owned() + config;
        let policies = include_str!("../../../subject/policies.cedar").to_owned() + policies;
        SubjectFiles::of(&config, &policies)
    }

    /// Copies both from a folder, such as `xtask/subject` of another checkout.
    pub fn copy(from: &Path) -> anyhow::Result<SubjectFiles> {
        let read = |name: &str| {
            let path = from.join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("failed to read `{}`", path.display()))
        };
        SubjectFiles::of(&read("thoughtgate.yaml")?, &read("policies.cedar")?)
    }

    fn of(config: &str, policies: &str) -> anyhow::Result<SubjectFiles> {
        let folder = Scratch::new("the subject")?;
        // The user of a container reads them too, whatever the umask is.
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                .with_context(|| format!("failed to make `{}` readable by all", path.display()))
        };
        open(folder.path(), 0o755)?;
        let files = SubjectFiles { folder };
        for (name, text) in [("thoughtgate.yaml", config), ("policies.cedar", policies)] {
            let path = files.folder.write(name, text)?;
            open(&path, 0o644)?;
        }
        Ok(files)
    }

    /// The parameters of a proxy with these files, in front of `upstream`.
    pub fn setup(&self, subject: &Subject, upstream: &Upstream) -> Setup {
        Setup {
            binary: subject.binary.clone(),
            config: self.config(),
            policy: self.policy(),
            upstream: upstream.url(),
            slowdown: String::new(),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("thoughtgate.yaml")
    }

    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("policies.cedar")
    }
}
