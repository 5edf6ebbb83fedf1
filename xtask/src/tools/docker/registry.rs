//! A registry on this machine, for images that are only pushed to be looked at.
//!
//! Debian's `docker-registry` where it is installed, else the `registry` image where it has been
//! pulled. Its storage is a temporary folder that goes with it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::{Container, Docker};
use crate::tools::process::{Child, Launch};
use crate::tools::subject::free_address;

const START: Duration = Duration::from_secs(30);

/// A registry, its own or one that was given.
#[derive(Debug)]
pub struct Registry {
    address: String,
    _server: Option<Server>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for what dropping them ends")]
enum Server {
    Process(Child, TempDir),
    Container(Container),
}

impl Registry {
    /// The registry at `HOST:PORT`, which somebody else runs.
    pub fn given(address: &str) -> Registry {
        Registry {
            address: address.to_owned(),
            _server: None,
        }
    }

    /// Starts one that ends with the result.
    pub fn start(docker: &Docker) -> anyhow::Result<Registry> {
        let port = free_address()?.port();
        let address = format!("localhost:{port}");
        let server = match Self::process(port) {
            Ok(server) => server,
            Err(error) if format!("{error:#}").contains("failed to start") => {
                Self::container(docker, port)?
            }
            Err(error) => return Err(error),
        };
        let registry = Registry {
            address,
            _server: Some(server),
        };
        registry.wait()?;
        Ok(registry)
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn process(port: u16) -> anyhow::Result<Server> {
        let folder = tempfile::tempdir().context("failed to create a folder for the registry")?;
        let config = folder.path().join("config.yml");
        let storage = folder.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            storage.display()
        );
        std::fs::write(&config, text)
            .with_context(|| format!("failed to write `{}`", config.display()))?;
        let child = Launch::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .start()?;
        Ok(Server::Process(child, folder))
    }

    fn container(docker: &Docker, port: u16) -> anyhow::Result<Server> {
        let address = format!("REGISTRY_HTTP_ADDR=127.0.0.1:{port}");
        docker
            .run("registry:2", &["--pull", "never", "--env", &address], &[])
            .map(Server::Container)
            .context("neither `docker-registry` (Debian: apt-get install docker-registry) nor the image `registry:2` is here")
    }

    fn wait(&self) -> anyhow::Result<()> {
        let until = Instant::now() + START;
        let url = format!("http://{}/v2/", self.address);
        loop {
            match ureq::get(&url).call() {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => {
                    bail!("the registry at {} does not answer: {error}", self.address)
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}
