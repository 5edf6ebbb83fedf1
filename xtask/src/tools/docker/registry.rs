//! A temporary registry on this machine, for images that are pushed only to be inspected.
//!
//! Runs Debian's `docker-registry` where it is installed, else the `registry` image. The stored images
//! are removed with it.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::{Container, Docker};
use crate::interrupt;
use crate::tools::http;
use crate::tools::process::{self, Child, Launch};
use crate::tools::scratch::Scratch;
use crate::tools::subject::free_address;

/// Time limit of a start, with the time to pull the registry's image.
const START: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_secs(5);

/// A registry that was started here, or that the user named.
#[derive(Debug)]
pub struct Registry {
    address: String,
    server: Server,
}

#[derive(Debug)]
enum Server {
    Given,
    Process(
        Child,
        #[expect(dead_code, reason = "dropped with the process")] Scratch,
    ),
    Container(Container),
}

impl Registry {
    /// An existing registry at `HOST:PORT`.
    pub fn given(address: &str) -> Registry {
        Registry {
            address: address.to_owned(),
            server: Server::Given,
        }
    }

    /// Starts a registry, which ends when the result is dropped.
    pub fn start(docker: &Docker) -> anyhow::Result<Registry> {
        let port = free_address()?.port();
        let server = match process(port) {
            Err(error) if process::is_missing(&error) => container(docker, port)?,
            other => other?,
        };
        let mut registry = Registry {
            // The docker daemon accepts a registry on the loopback without TLS.
            address: format!("localhost:{port}"),
            server,
        };
        registry.wait().context(
            "failed to start a registry (Debian: apt-get install docker-registry; or name one \
             with --registry)",
        )?;
        Ok(registry)
    }

    /// The address, `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let agent = http::loopback(ANSWER).build().new_agent();
        let url = format!("http://{}/v2/", self.address);
        let mut last = None;
        let answered = interrupt::until(START, POLL, || {
            let Err(error) = agent.get(&url).call() else {
                return Ok(Some(()));
            };
            last = Some(error);
            match &mut self.server {
                Server::Given => {}
                Server::Process(child, _) => child.check_running()?,
                Server::Container(container) => container.check_running()?,
            }
            Ok(None)
        })?;
        answered.with_context(|| {
            let error = last.map(|error| format!(": {error}")).unwrap_or_default();
            format!("`{url}` did not answer within {START:?}{error}")
        })
    }
}

fn process(port: u16) -> anyhow::Result<Server> {
    let folder = Scratch::new("the registry")?;
    // Relative to its directory, so that the configuration holds no path that may not be UTF-8.
    let storage = "storage";
    // JSON is valid YAML.
    let text = json!({
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": true}},
        "storage": {"filesystem": {"rootdirectory": storage}},
        "http": {"addr": format!("127.0.0.1:{port}")},
    })
    .to_string();
    let config = folder.write("config.yml", &text)?;
    let child = Launch::bare("docker-registry")
        .arg("serve")
        .arg(&config)
        .directory(folder.path())
        .start()?;
    Ok(Server::Process(child, folder))
}

fn container(docker: &Docker, port: u16) -> anyhow::Result<Server> {
    let address = format!("REGISTRY_HTTP_ADDR=127.0.0.1:{port}");
    let server = docker.run("registry:2", &["--env", &address], &[])?;
    Ok(Server::Container(server))
}
