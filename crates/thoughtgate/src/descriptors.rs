//! The limit on open files: raised as far as the system allows; the limit on connections is lowered
//! where that is not enough.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thoughtgate_panic::warn;
use thoughtgate_proxy::Settings;

/// Raises the soft limit to the hard one. The soft one is low by default for the sake of programs that
/// use `select`, which this one does not.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // An error is ignored: `fit` then works with the limit as it was.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
}

/// Lowers `limits.connections` to what the limit on open files allows, with a warning. With more
/// clients, no descriptor would be left to connect to the upstream.
pub fn fit(settings: &mut Settings) {
    // `None` means that there is no limit.
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let needed = settings.descriptors();
    if settings.fit(usize::try_from(limit).unwrap_or(usize::MAX)) {
        warn!(
            "`limits.connections` is lowered to {} because of the limit of {limit} open files; the configured value needs {needed} (raise the limit with `ulimit -n`, or LimitNOFILE in systemd)",
            settings.connections
        );
    }
}
