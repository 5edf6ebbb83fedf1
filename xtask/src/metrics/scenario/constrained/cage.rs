//! Containers under a sidecar's limits: the proxy in its own image, and this machine's nginx in the
//! same image.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::super::SubjectFiles;
use crate::interrupt;
use crate::tools::docker::{Container, Docker, Image, mounted, own_user, system_mounts};
use crate::tools::nginx;
use crate::tools::subject::{free_address, is_ready};

/// The limits that the requirement calls realistic for a sidecar.
pub const LIMITS: [&str; 4] = ["--cpus", "0.5", "--memory", "128m"];
const READY_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Everything that a constrained container is started with.
pub struct Cage<'a> {
    pub docker: &'a Docker,
    /// The image with the proxy.
    pub image: &'a Image,
    /// The proxy's configuration and policies.
    pub files: &'a SubjectFiles,
    /// The container whose end ends the others, where this process is process 1.
    pub guard: Option<Container>,
}

/// A container that answers at its address.
pub struct Caged {
    pub container: Container,
    /// Its MCP endpoint.
    pub url: String,
}

/// Starts the container whose end ends those of `image`, if this process is process 1: a kill of
/// process 1 also kills every process that could remove them afterwards.
pub fn guard(image: &Image) -> Option<Container> {
    if std::process::id() != 1 {
        return None;
    }
    // Without a guard the next run removes them.
    Container::guard(image).ok()
}

impl Cage<'_> {
    fn shared_processes(&self) -> Option<String> {
        self.guard.as_ref().map(Container::shared_processes)
    }

    /// The proxy in front of `upstream`, ready.
    pub fn proxy(&self, upstream: &str) -> anyhow::Result<Caged> {
        let address = free_address()?;
        let listen = address.to_string();
        let mount = mounted(self.files.folder(), false)?;
        let guard = self.shared_processes();
        let mut options = [&LIMITS[..], &[&mount]].concat();
        options.extend(guard.as_deref());
        let (config, policy) = (self.files.config(), self.files.policy());
        let container = self.docker.run(
            self.image.tag(),
            &options,
            &[
                "--config",
                text(&config)?,
                "--policy",
                text(&policy)?,
                "--upstream",
                upstream,
                "--listen",
                &listen,
            ],
        )?;
        answering(container, address, is_ready)
    }

    /// nginx in front of the same `upstream` under the same limits. The first part of the result owns
    /// its configuration files.
    pub fn nginx(&self, binary: &Path, upstream: &str) -> anyhow::Result<(nginx::Setup, Caged)> {
        let setup = nginx::set_up(upstream)?;
        let mut mounts = system_mounts()?;
        mounts.push(mounted(setup.folder.path(), true)?);
        mounts.extend(self.shared_processes());
        // As this user, so that the files that nginx writes can be removed afterwards.
        let user = own_user();
        let mut options = LIMITS.to_vec();
        options.extend(["--user", &user, "--entrypoint", text(binary)?]);
        options.extend(mounts.iter().map(String::as_str));
        let arguments = setup.arguments()?;
        let container = self.docker.run(self.image.tag(), &options, &arguments)?;
        let address = SocketAddr::from(([127, 0, 0, 1], setup.port));
        // nginx has no readiness endpoint: an open port has to do.
        let listens = |address| TcpStream::connect(address).is_ok();
        Ok((setup, answering(container, address, listens)?))
    }
}

/// Waits until the container serves at `address`.
fn answering(
    mut container: Container,
    address: SocketAddr,
    is_there: impl Fn(SocketAddr) -> bool,
) -> anyhow::Result<Caged> {
    let answers = interrupt::until(READY_DEADLINE, POLL, || {
        if is_there(address) {
            return Ok(Some(()));
        }
        container.check_running().map(|()| None)
    })?;
    answers.with_context(|| {
        format!("the container did not answer at {address} within {READY_DEADLINE:?}")
    })?;
    let url = format!("http://{address}/mcp");
    Ok(Caged { container, url })
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("`{}` is not UTF-8", path.display()))
}
