//! Where the workspace is. Its own files are named from here, never from the working directory.

use std::path::{Path, PathBuf};

/// The root of the workspace, absolute: the folder above this crate. Known since the build, since
/// a test of another crate that calls us would pass on its own `CARGO_MANIFEST_DIR`.
pub fn root() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir).to_path_buf()
}

/// `path` as a message shows it: relative where it lies below the working directory.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
