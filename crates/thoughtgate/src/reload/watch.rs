//! Watches the configured files for changes, and ignores all other files of their directories.
//!
//! Reads no file and does not decide when to reload; `settling.rs` does.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use arc_swap::ArcSwap;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use thoughtgate_panic::warn;

use super::settling::Change;
use crate::config::Config;
use crate::policies;

/// Symbolic links that Linux follows in one path at most (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// A running watch, which ends on drop.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    files: Arc<ArcSwap<Files>>,
    folders: HashSet<PathBuf>,
    file: Option<PathBuf>,
}

/// The files that the configuration depends on. Paths are absolute and, except for their last name,
/// without links: events report them in this form.
#[derive(Debug, Default, Clone, PartialEq)]
struct Files {
    /// Configuration, key and policy files, and the links on the way to them.
    single: HashSet<PathBuf>,
    /// Policy directories: all policy files in one belong to the set.
    folders: HashSet<PathBuf>,
}

impl Watch {
    /// Starts a watch that sends to `changed`; `file` is the configuration file. If the system has no
    /// watch to give, it warns, and SIGHUP still reloads.
    pub fn new(file: Option<&Path>, changed: Sender<Change>) -> Watch {
        let files = Arc::new(ArcSwap::from_pointee(Files::default()));
        let known = Arc::clone(&files);
        let started = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Ok(event) = event {
                known.load().send(&event, &changed);
            }
        });
        Watch {
            watcher: started.map_err(|error| warn(&error)).ok(),
            files,
            folders: HashSet::new(),
            file: file.map(Path::to_path_buf),
        }
    }

    /// Watches the files that `configs` name, through the links as they are now. To be called before
    /// the files are read, so that no change is missed in between.
    pub fn follow(&mut self, configs: &[&Config]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut files = Files::default();
        if let Some(path) = &self.file {
            files.add(path);
        }
        for config in configs {
            files.add_all(config);
        }
        // Folders and not files are watched: a file that is replaced is another inode, which no watch on the
        // old one would show.
        let folders: HashSet<PathBuf> = files
            .single
            .iter()
            .filter_map(|file| file.parent().map(Path::to_path_buf))
            .chain(files.folders.iter().cloned())
            .collect();
        // Before the folders are watched, so that their first event already finds its file here.
        self.files.store(Arc::new(files));
        for gone in self.folders.difference(&folders) {
            // Fails for a folder that no longer exists, whose watch has ended with it.
            let _ = watcher.unwatch(gone);
        }
        for folder in &folders {
            // Even if there is a watch on this name: another folder may have taken it.
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
                && folder.exists()
                && !self.folders.contains(folder)
            {
                // Once for each folder; one that does not exist is an error of the read that follows.
                warn(&error);
            }
        }
        self.folders = folders;
    }
}

fn warn(error: &notify::Error) {
    warn!("failed to watch configured files ({error}); send SIGHUP to reload");
}

impl Files {
    fn add_all(&mut self, config: &Config) {
        if let Some(key) = &config.agent.jwt.key_file {
            self.add(key);
        }
        let Some(policy) = &config.policy else {
            return;
        };
        let Some(real) = self.add(policy) else {
            return;
        };
        if real.is_dir() {
            let links = policies::files(&real).unwrap_or_default();
            for link in links.iter().filter(|file| file.is_symlink()) {
                self.add(link);
                // As one file of a directory it is not replaced alone: a change of it is an edit.
                self.single.remove(link);
            }
            self.folders.insert(real);
        }
    }

    /// Adds a file and the links on the way to it; returns its path without links.
    fn add(&mut self, path: &Path) -> Option<PathBuf> {
        let mut path = std::path::absolute(path).ok()?;
        for _ in 0..LINKS_MAX {
            match first_link(&path) {
                Ok((link, behind)) => {
                    path = behind;
                    self.single.insert(link);
                }
                Err(real) => {
                    self.single.insert(real.clone());
                    return Some(real);
                }
            }
        }
        None
    }

    fn send(&self, event: &Event, changed: &Sender<Change>) {
        if event.need_rescan() {
            // Events were lost; anything may have changed.
            let _ = changed.send(Change::Edited(PathBuf::new()));
        }
        for path in &event.paths {
            if let Some(change) = self.change(event.kind, path) {
                // Fails only when the reload thread has ended; the watch then ends, too.
                let _ = changed.send(change);
            }
        }
    }

    fn change(&self, kind: EventKind, path: &Path) -> Option<Change> {
        let single = self.single.contains(path);
        let member = policies::is_policy_file(path)
            && path
                .parent()
                .is_some_and(|parent| self.folders.contains(parent));
        if !single && !member {
            return None;
        }
        match kind {
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) if single => Some(Change::Swapped),
            // `Both` follows `From` and `To` and repeats them.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
            EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Writing(path.to_path_buf())),
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Create(_)
            | EventKind::Remove(_) => Some(Change::Edited(path.to_path_buf())),
            // Reads, and changes of times or permissions: the content is the same.
            _ => None,
        }
    }
}

/// `Ok` with the first link on the way to `path` and the path behind it; `Err` with `path` without `.`
/// and `..` when there is no link.
fn first_link(path: &Path) -> Result<(PathBuf, PathBuf), PathBuf> {
    let mut real = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                // No link is left in `real`, so that its parent is what `..` leads to.
                real.pop();
            }
            _ => real.push(component),
        }
        if let Ok(target) = real.read_link() {
            let folder = real.parent().unwrap_or(Path::new("/"));
            let behind = folder.join(target).join(components.as_path());
            return Ok((real, behind));
        }
    }
    Err(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use notify::event::{CreateKind, DataChange};

    use super::*;

    const TO: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

    fn config(policy: &Path) -> Config {
        Config {
            policy: Some(policy.to_path_buf()),
            ..Config::default()
        }
    }

    #[test]
    fn only_configured_files_count() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let mut files = Files::default();
        files.add(&folder.join("tg.yaml"));
        files.add_all(&config(&folder));
        for (name, kind, expected) in [
            ("tg.yaml", TO, Some(Change::Swapped)),
            (
                "tg.yaml",
                DATA,
                Some(Change::Writing(folder.join("tg.yaml"))),
            ),
            ("a.cedar", TO, Some(Change::Edited(folder.join("a.cedar")))),
            (
                "a.cedar",
                CLOSED,
                Some(Change::Edited(folder.join("a.cedar"))),
            ),
            ("a.cedar", EventKind::Access(AccessKind::Read), None),
            ("audit.jsonl", DATA, None),
            ("audit.jsonl", CLOSED, None),
            ("approvals.redb", CLOSED, None),
            ("a.cedar.swp", CLOSED, None),
            (".a.cedar.swp", CLOSED, None),
            (".#a.cedar", EventKind::Create(CreateKind::File), None),
            ("a.cedar~", TO, None),
            ("a.cedar.new", CLOSED, None),
            ("tg.yaml.new", CLOSED, None),
        ] {
            let found = files.change(kind, &folder.join(name));
            assert_eq!(found, expected, "{name} {kind:?}");
        }
    }

    #[test]
    fn links_on_the_way_count_and_are_swaps() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir(folder.join("v1")).unwrap();
        std::fs::write(folder.join("v1/p.cedar"), "").unwrap();
        symlink("v1", folder.join("..data")).unwrap();
        symlink("..data/p.cedar", folder.join("p.cedar")).unwrap();
        symlink(&folder, folder.join("here")).unwrap();
        for policy in ["p.cedar", "here/p.cedar", "v1/../p.cedar", "", "here"] {
            let mut files = Files::default();
            files.add_all(&config(&folder.join(policy)));
            let found = files.change(TO, &folder.join("..data"));
            assert_eq!(found, Some(Change::Swapped), "{policy}: {files:?}");
            let edited = files.change(CLOSED, &folder.join("v1/p.cedar"));
            assert!(edited.is_some(), "{policy}: {files:?}");
        }
    }
}
