//! nginx as the reference: a plain reverse proxy in front of the same upstream, without any policy.
//!
//! Configured for speed, as its users would: one worker, connections to the upstream kept alive, no
//! access log, nothing buffered. Knows nothing of metrics.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::process::{Child, Launch};
use super::procfs;
use super::scratch::Scratch;
use super::subject::free_address;
use crate::interrupt;

/// Name of the configuration file, in its folder.
const CONFIG: &str = "nginx.conf";
/// Time limit of a start, and of `nginx -v`.
const START: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// A running nginx; dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    port: u16,
    _folder: Scratch,
}

/// Settings that nginx is started with, on this machine or in a container.
#[derive(Debug)]
pub struct Setup {
    /// The folder with the configuration; holds everything that nginx writes.
    pub folder: Scratch,
    /// Port on 127.0.0.1.
    pub port: u16,
}

/// Path and version of the installed nginx; none when there is none.
pub fn find() -> Option<(PathBuf, String)> {
    let folders = std::env::var_os("PATH")?;
    // Debian installs it where only root's PATH leads.
    let mut places: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    places.push(PathBuf::from("/usr/sbin"));
    let binary = places
        .iter()
        .map(|folder| folder.join("nginx"))
        .find(|path| path.is_file())?;
    let output = Launch::bare(&binary).arg("-v").run(START).ok()?;
    // `nginx -v` prints `nginx version: nginx/1.22.1` to standard error.
    let version = output.stderr.text().split('/').nth(1)?.trim().to_owned();
    Some((binary, version))
}

/// Writes the configuration of a reverse proxy in front of `upstream`, an MCP endpoint's URL.
pub fn set_up(upstream: &str) -> anyhow::Result<Setup> {
    let folder = Scratch::new("nginx")?;
    let port = free_address()?.port();
    folder.write(CONFIG, &configuration(upstream, port)?)?;
    Ok(Setup { folder, port })
}

impl Setup {
    /// Arguments of nginx. Paths in the configuration are relative to the prefix, so that none needs to
    /// be quoted.
    pub fn arguments(&self) -> anyhow::Result<[&str; 4]> {
        let folder = self.folder.path();
        let prefix = folder.to_str();
        let prefix = prefix.with_context(|| format!("`{}` is not UTF-8", folder.display()))?;
        Ok(["-p", prefix, "-c", CONFIG])
    }
}

impl Nginx {
    /// Starts it in front of `upstream` and waits until it listens.
    pub fn start(binary: &Path, upstream: &str) -> anyhow::Result<Nginx> {
        let setup = set_up(upstream)?;
        let child = Launch::bare(binary).args(setup.arguments()?).start()?;
        let mut nginx = Nginx {
            child,
            port: setup.port,
            _folder: setup.folder,
        };
        let listens = interrupt::until(START, POLL, || {
            if TcpStream::connect(("127.0.0.1", nginx.port)).is_ok() {
                return Ok(Some(()));
            }
            let running = nginx.child.check_running();
            running.context("failed to start nginx").map(|()| None)
        });
        listens?.with_context(|| format!("nginx did not listen within {START:?}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], nginx.port));
        // Nothing had reserved the port: another program may have taken it and answered.
        procfs::check_program(nginx.pid(), binary, address)?;
        Ok(nginx)
    }

    /// URL of the upstream's endpoint through nginx.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// The process id: with `master_process off`, master and worker are one process.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }
}

fn configuration(upstream: &str, port: u16) -> anyhow::Result<String> {
    let Some((authority, path)) = upstream
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
    else {
        bail!("`{upstream}` must be an http:// URL with a path");
    };
    let scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {name};\n"))
        .concat();
    // By default nginx closes a connection after 1000 requests, hence `keepalive_requests`.
    Ok(format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
{scratch}  keepalive_requests 1000000000;
  client_body_buffer_size 64k;
  upstream mcp {{ server {authority}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location /mcp {{
      proxy_pass http://mcp/{path};
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
    }}
  }}
}}
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_is_taken_apart() {
        let text = configuration("http://127.0.0.1:4711/v1/mcp", 80).unwrap();
        assert!(text.contains("server 127.0.0.1:4711;"), "{text}");
        assert!(text.contains("proxy_pass http://mcp/v1/mcp;"), "{text}");
        assert!(configuration("https://x/mcp", 80).is_err());
    }
}
