//! A container that lives no longer than its owner.
//!
//! Its client stays attached: what the container says, and that it has ended, is then seen as it is
//! of any child. It is known by a name that we give it, before there is anything to be left behind.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{ASK, docker};
use crate::tools::process::{Child, Launch, Leftover};

/// For the daemon to create a container, or to remove one.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// The user of this process, as `--user` takes it: what a container writes into a folder of ours
/// can then be removed by us.
pub fn own_user() -> String {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    format!("{}:{}", user.as_raw(), group.as_raw())
}

/// A container that has been asked for; removed on drop.
#[derive(Debug)]
pub struct Container {
    name: String,
    client: Child,
}

impl Container {
    pub(super) fn start(
        reference: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> anyhow::Result<Container> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("xtask-{}-{number}", std::process::id());
        Leftover::Container(&name).begins();
        let client = Launch::new("docker")
            .args(["run", "--rm", "--network", "host", "--name", &name])
            .args(options)
            .arg(reference)
            .args(arguments)
            .start()?;
        Ok(Container { name, client })
    }

    /// An error with its last words when it has ended, or could not be started.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.client
            .check_running()
            .with_context(|| format!("the container `{}` is not running", self.name))
    }

    /// The pid of its first process, as the host sees it. For a container that has answered.
    pub fn pid(&mut self) -> anyhow::Result<u32> {
        self.check_running()?;
        let output = docker(&["inspect", "--format", "{{.State.Pid}}", &self.name], ASK)?;
        let text = output.stdout.text();
        let pid = text.trim().parse().ok().filter(|pid| *pid > 0);
        pid.with_context(|| format!("failed to read the pid `{}`", text.trim()))
    }

    /// Tries to remove it, and returns whether it is gone for good.
    fn remove(&self, client_ended: bool) -> bool {
        let removal = Launch::new("docker")
            .args(["rm", "--force", "--volumes", &self.name])
            .run_through(ASK);
        // Asked by force, docker calls it a success that there was nothing to remove; a client
        // that still runs may be about to create it.
        removal.is_ok_and(|output| {
            let was_there = output.stdout.text().trim() == self.name;
            was_there || (client_ended && output.stderr.text().contains("No such container"))
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let until = Instant::now() + DEADLINE;
        loop {
            let client_ended = !matches!(self.client.ended(), Ok(None));
            if self.remove(client_ended) {
                Leftover::Container(&self.name).is_gone();
                return;
            }
            // A client that ended and a removal that fails: the daemon itself is gone. Asked to
            // remove the container at its end, it does that when it is back.
            if client_ended || Instant::now() > until {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}
