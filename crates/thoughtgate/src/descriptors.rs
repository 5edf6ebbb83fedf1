//! The limit on open files: raised as far as the system lets it, and the connections fitted to it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thoughtgate_panic::say;
use thoughtgate_proxy::Settings;

/// Raises the soft limit to the hard one: it is low by default for programs that use `select`.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where the system refuses, `fit` finds the limit as it was.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
}

/// Lowers `limits.connections` to what the limit allows, and says so: beyond it no call could be
/// forwarded.
pub fn fit(settings: &mut Settings) {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let needed = settings.descriptors();
    if settings.fit(usize::try_from(limit).unwrap_or(usize::MAX)) {
        say!(
            "warning: `limits.connections` is lowered to {}, which is what the limit of {limit} open files allows; as configured it needs {needed} (ulimit -n, LimitNOFILE)",
            settings.connections
        );
    }
}
