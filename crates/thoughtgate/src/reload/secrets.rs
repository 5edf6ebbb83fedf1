//! The files with secrets that are read at the start only: whether their contents have changed since.
//!
//! Keeps no secret, only a hash of each.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use thoughtgate_panic::warn;

use crate::config::Config;

/// The files, as they were at the start.
pub struct Secrets {
    keys: RandomState,
    files: Vec<File>,
}

struct File {
    setting: &'static str,
    path: PathBuf,
    /// `None` for a file that could not be read.
    hash: Option<u64>,
}

impl Secrets {
    /// Reads the files that `config` names.
    pub fn read(config: &Config) -> Secrets {
        let keys = RandomState::new();
        let slack = &config.approval.slack;
        let files = [
            ("approval.slack.token_file", &slack.token_file),
            (
                "approval.slack.signing_secret_file",
                &slack.signing_secret_file,
            ),
        ];
        let files = files.into_iter().filter_map(|(setting, path)| {
            let path = path.clone()?;
            let hash = hash(&keys, &path);
            Some(File {
                setting,
                path,
                hash,
            })
        });
        Secrets {
            files: files.collect(),
            keys,
        }
    }

    /// The settings whose files have changed.
    pub fn changed(&self) -> Vec<&'static str> {
        let changed = |file: &&File| hash(&self.keys, &file.path) != file.hash;
        let files = self.files.iter().filter(changed);
        files.map(|file| file.setting).collect()
    }

    /// Warns of each that has changed.
    pub fn warn_of_changed(&self) {
        for setting in self.changed() {
            warn!(
                "the file named by `{setting}` has changed, and is read only at the start; restart to use its new content"
            );
        }
    }
}

/// Hash of the secret, without the white space that is dropped around it.
fn hash(keys: &RandomState, path: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(keys.hash_one(text.trim()))
}
