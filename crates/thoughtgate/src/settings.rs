//! Checks the configuration and turns it into the proxy's settings (fixed) and rules (reloadable).
//!
//! Reads no file but the public key of bearer tokens (`settings/agent.rs`). Approvals are checked in
//! `approvals.rs`.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use thoughtgate_proxy::{
    Guard, Limits, PublicUrl, Refusals, Rules, Settings, Target, TrustedProxies,
};

use crate::config::{self, Config, Mode};
use crate::mistakes::Mistakes;
use crate::{cgroup, container};

mod agent;
mod audit;

pub use agent::{fixed_agent, key};

/// More connections than any system gives a process descriptors for.
const CONNECTIONS_MAX: usize = 1 << 20;

/// The settings that are fixed for the life of the process. Fails with all invalid ones.
pub fn fixed(config: &Config) -> anyhow::Result<Settings> {
    let mut wrong = Mistakes::default();
    let upstream = wrong.keep(upstream(config));
    let listen = listen(config);
    if let Some(upstream) = &upstream {
        wrong.require(!upstream.is_at(listen), || {
            format!(
                "`upstream.url` leads to this proxy's own address (`listen`, {listen}), so that it would call itself; set it to that of the MCP server"
            )
        });
    }
    if let Some(admin) = config.admin_listen {
        wrong.require(!clash(listen, admin), || {
            format!(
                "`listen` and `admin_listen` are the same address, {admin}; to serve both on one address, leave `admin_listen` out"
            )
        });
    }
    let workers = config.workers.unwrap_or(1);
    wrong.require((1..=256).contains(&workers), || {
        format!("`workers` is {workers}; it must be between 1 and 256")
    });
    let limits = &config.limits;
    wrong.require((1..=CONNECTIONS_MAX).contains(&limits.connections), || {
        format!(
            "`limits.connections` is {}; it must be between 1 and {CONNECTIONS_MAX}",
            limits.connections
        )
    });
    let largest = limits.body_bytes.max(limits.list_bytes);
    wrong.require(limits.buffered_bytes / 2 >= largest, || {
        format!(
            "`limits.buffered_bytes` is {}; it must be at least twice the larger of `limits.body_bytes` and `limits.list_bytes`, {largest}",
            limits.buffered_bytes
        )
    });
    let timeouts = &config.timeouts;
    for (name, value) in [
        ("head", timeouts.head),
        ("connect", timeouts.connect),
        ("probe_interval", timeouts.probe_interval),
    ] {
        wrong.require(!value.is_zero(), || {
            format!("`timeouts.{name}` is 0; it must be more than 0")
        });
    }
    wrong.all(TrustedProxies::faults(&config.trusted_proxies));
    let trusted = wrong.keep(TrustedProxies::new(&config.trusted_proxies).map_err(Into::into));
    let audit = wrong.keep(audit::settings(&config.audit));
    let parts = wrong.or(upstream.zip(trusted).zip(audit))?;
    let ((upstream, trusted_proxies), audit) = parts.context("internal error: no upstream")?;
    Ok(Settings {
        listen,
        admin_listen: config.admin_listen,
        trusted_proxies,
        upstream,
        workers: config.workers.unwrap_or_else(cgroup::workers),
        connections: config.limits.connections,
        buffered_bytes: config.limits.buffered_bytes,
        head_timeout: timeouts.head,
        connect_timeout: timeouts.connect,
        probe_interval: timeouts.probe_interval,
        drain_timeout: timeouts.drain,
        approval_hold: config.approval.hold,
        approval_keep_alive: config.approval.keep_alive,
        audit,
    })
}

fn listen(config: &Config) -> SocketAddr {
    config.listen.unwrap_or_else(container::listen)
}

/// Whether only one of two addresses can be bound.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let is_every = one.ip().is_unspecified() || other.ip().is_unspecified();
    // Port 0 stands for one that is free.
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || is_every)
}

/// The upstream. The URL itself is left out of errors: it may hold a password, in its path too.
fn upstream(config: &Config) -> anyhow::Result<Target> {
    let Some(url) = &config.upstream.url else {
        bail!("no upstream is configured; pass --upstream URL or set `upstream.url`");
    };
    let uri = url.parse().context(
        "failed to parse `upstream.url`; expected a URL with its scheme, such as \
         http://127.0.0.1:3000/mcp",
    )?;
    Target::new(&uri).context("failed to use `upstream.url`")
}

/// The rules, which a reload can change; `key` is the PEM key that verifies tokens. Fails with all
/// invalid settings.
pub fn rules(config: &Config, key: Option<&[u8]>) -> anyhow::Result<Rules> {
    let mut wrong = Mistakes::default();
    let limits = &config.limits;
    for (name, value) in [
        ("body_bytes", limits.body_bytes),
        ("depth", limits.depth),
        ("list_bytes", limits.list_bytes),
    ] {
        wrong.require(value > 0, || {
            format!("`limits.{name}` is 0; it must be more than 0")
        });
    }
    // serde_json's own limit is 128, so a higher one would have no effect.
    wrong.require(limits.depth <= 128, || {
        format!("`limits.depth` is {}; it must be at most 128", limits.depth)
    });
    let timeouts = &config.timeouts;
    for (name, value) in [("body", timeouts.body), ("response", timeouts.response)] {
        wrong.require(!value.is_zero(), || {
            format!("`timeouts.{name}` is 0; it must be more than 0")
        });
    }
    let public_url = config.public_url.as_deref();
    let public_url = public_url.map(PublicUrl::new).transpose();
    let public_url = wrong.keep(public_url.context("failed to use `public_url`"));
    wrong.all(Guard::faults(
        &config.allowed_hosts,
        &config.allowed_origins,
    ));
    let guard = Guard::new(
        listen(config),
        &config.allowed_hosts,
        &config.allowed_origins,
    );
    let guard = wrong.keep(guard.map_err(Into::into));
    let known = public_url.as_ref().and_then(Option::as_ref);
    let protected = wrong.keep(agent::protected(config, known));
    let audience = known.filter(|_| !config.agent.jwt.authorization_servers.is_empty());
    let audience = audience.map(PublicUrl::resource);
    let identity = wrong.keep(agent::identity(&config.agent, key, audience));
    let parts = wrong.or(public_url.zip(protected).zip(guard).zip(identity))?;
    let (((public_url, protected), guard), identity) =
        parts.context("internal error: no identity")?;
    Ok(Rules {
        observe: config.mode == Mode::Observe,
        identity,
        public_url,
        protected,
        guard,
        limits: Limits {
            body_bytes: limits.body_bytes,
            depth: limits.depth,
            list_bytes: limits.list_bytes,
        },
        refusals: match config.refusals {
            config::Refusals::Result => Refusals::Result,
            config::Refusals::Error => Refusals::Error,
        },
        body_timeout: timeouts.body,
        response_timeout: timeouts.response,
    })
}
