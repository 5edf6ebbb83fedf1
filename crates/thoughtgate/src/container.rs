//! Default address, which in a container is one that can be reached from outside of it.
//!
//! A container's loopback interface is its own: no published port, health probe or other container reaches
//! it. Elsewhere only this machine may connect unless the configuration says otherwise.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const PORT: u16 = 8080;
/// Files that Docker and Podman put at the root of each container.
const MARKS: [&str; 2] = [".dockerenv", "run/.containerenv"];
/// Variables by which container managers (systemd's interface, and this repository's image) and
/// Kubernetes make themselves known.
const VARIABLES: [&str; 2] = ["container", "KUBERNETES_SERVICE_HOST"];

/// Default of `listen`.
pub fn listen() -> SocketAddr {
    listen_in(Path::new("/"), |name| {
        std::env::var_os(name).is_some_and(|value| value != OsStr::new(""))
    })
}

fn listen_in(root: &Path, is_set: impl Fn(&str) -> bool) -> SocketAddr {
    let marked = MARKS.iter().any(|mark| root.join(mark).exists());
    let address = if marked || VARIABLES.into_iter().any(is_set) {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    };
    SocketAddr::from((address, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_in_a_container_others_may_connect() {
        let root = tempfile::tempdir().unwrap();
        let listen = |variable: &str| listen_in(root.path(), |name| name == variable).to_string();
        assert_eq!(listen("HOME"), "127.0.0.1:8080");
        assert_eq!(listen("container"), "0.0.0.0:8080");
        assert_eq!(listen("KUBERNETES_SERVICE_HOST"), "0.0.0.0:8080");
        for mark in MARKS {
            let file = root.path().join(mark);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            assert_eq!(listen("HOME"), "0.0.0.0:8080", "{mark}");
            std::fs::remove_file(file).unwrap();
        }
    }
}
