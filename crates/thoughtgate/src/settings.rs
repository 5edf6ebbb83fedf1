//! Checks the configuration and turns it into the proxy's settings (fixed) and rules (reloadable).
//!
//! Reads no file but the public key of bearer tokens. Approvals are checked in `approvals.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use thoughtgate_proxy::{
    AuditSettings, Chosen, Expected, Guard, Identity, Jwt, KeySet, Limits, Refusals, Rules,
    Settings, Sink, Target, WhenFull,
};

use crate::config::{self, Config, Mode};
use crate::mistakes::Mistakes;
use crate::{cgroup, container};

/// More connections than any system gives a process descriptors for.
const CONNECTIONS_MAX: usize = 1 << 20;

/// Most arguments, and longest path of one, in bytes, that audit lines show: each takes room.
const ARGUMENTS_MAX: usize = 16;
const ARGUMENT_BYTES_MAX: usize = 128;

/// Default of `agent.id`.
const AGENT: &str = "agent";
/// Default of `agent.jwt.claim`.
const CLAIM: &str = "sub";
/// Default of `agent.jwt.leeway`.
const LEEWAY: Duration = Duration::from_secs(60);
/// A larger leeway is a mistake: a token's expiry would mean little.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// The settings that are fixed for the life of the process. Fails with all invalid ones.
pub fn fixed(config: &Config) -> anyhow::Result<Settings> {
    let mut wrong = Mistakes::default();
    let upstream = wrong.keep(upstream(config));
    let listen = listen(config);
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
    let upstream = wrong.or(upstream)?.context("internal error: no upstream")?;
    Ok(Settings {
        listen,
        admin_listen: config.admin_listen,
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
        audit: audit(&config.audit)?,
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

fn audit(audit: &config::Audit) -> anyhow::Result<Option<AuditSettings>> {
    let paths = &audit.arguments;
    ensure!(
        paths.len() <= ARGUMENTS_MAX,
        "`audit.arguments` has {} items; it can have at most {ARGUMENTS_MAX}",
        paths.len()
    );
    let is_path = |path: &String| {
        path.len() <= ARGUMENT_BYTES_MAX && path.split('.').all(|key| !key.is_empty())
    };
    if let Some(at) = paths.iter().position(|path| !is_path(path)) {
        bail!(
            "item {} of `audit.arguments` is not the name of an argument, or a path such as `deploy.env`, of at most {ARGUMENT_BYTES_MAX} bytes",
            at + 1
        );
    }
    let Some(file) = &audit.file else {
        return Ok(None);
    };
    Ok(Some(AuditSettings {
        sink: match file.to_str() {
            Some(config::STDOUT) => Sink::Stdout,
            _ => Sink::File(file.clone()),
        },
        wait: audit.wait,
        when_full: match audit.when_full {
            config::WhenFull::Refuse => WhenFull::Refuse,
            config::WhenFull::Drop => WhenFull::Drop,
        },
        arguments: Chosen::new(paths.clone()),
    }))
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
    let public_url = public_url
        .map(thoughtgate_proxy::PublicUrl::new)
        .transpose();
    let public_url = wrong.keep(public_url.context("failed to use `public_url`"));
    let guard = Guard::new(
        listen(config),
        &config.allowed_hosts,
        &config.allowed_origins,
    );
    let guard = wrong.keep(guard.map_err(Into::into));
    let identity = wrong.keep(identity(&config.agent, key));
    let parts = wrong.or(public_url.zip(guard).zip(identity))?;
    let ((public_url, guard), identity) = parts.context("internal error: no identity")?;
    Ok(Rules {
        observe: config.mode == Mode::Observe,
        identity,
        public_url,
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

/// The id that all requests are attributed to; `None` if each brings its own.
pub fn fixed_agent(agent: &config::Agent) -> Option<&str> {
    let own = agent.header.is_some() || agent.jwt != config::Jwt::default();
    (!own).then(|| agent.id.as_deref().unwrap_or(AGENT))
}

fn identity(agent: &config::Agent, key: Option<&[u8]>) -> anyhow::Result<Identity> {
    let jwt = &agent.jwt;
    match (&agent.id, &agent.header, *jwt != config::Jwt::default()) {
        (id, None, false) => Ok(Identity::Fixed(
            id.clone().unwrap_or_else(|| AGENT.to_owned()),
        )),
        (None, Some(header), false) => {
            let name = header
                .parse()
                .context("`agent.header` is not a valid header name, such as `x-agent`")?;
            ensure!(
                !is_taken(&header.to_ascii_lowercase()),
                "`agent.header` names a header that holds a credential or has another meaning in \
                 HTTP or MCP; use one that holds only the agent's id, such as `x-agent` (for bearer \
                 tokens, set `agent.jwt`)"
            );
            Ok(Identity::Header(name))
        }
        (None, None, true) => {
            let leeway = jwt.leeway.unwrap_or(LEEWAY);
            ensure!(
                leeway <= LEEWAY_MAX,
                "`agent.jwt.leeway` is {leeway:?}; it must be at most {LEEWAY_MAX:?}"
            );
            let expected = Expected {
                claim: jwt.claim.clone().unwrap_or_else(|| CLAIM.to_owned()),
                audience: jwt.audience.clone(),
                issuer: jwt.issuer.clone(),
                leeway,
                declared: Arc::new(jwt.claims.clone()),
            };
            Ok(Identity::Jwt(Box::new(verification(jwt, key, expected)?)))
        }
        _ => bail!("`agent.id`, `agent.header` and `agent.jwt` are mutually exclusive; keep one"),
    }
}

/// How tokens are verified. The URL is left out of errors: it may hold a secret.
fn verification(jwt: &config::Jwt, key: Option<&[u8]>, expected: Expected) -> anyhow::Result<Jwt> {
    match (key, &jwt.jwks_url) {
        (Some(pem), None) => {
            Jwt::new(pem, expected).context("failed to use the file named by `agent.jwt.key_file`")
        }
        (None, Some(url)) => {
            let keys = KeySet::new(url).context("failed to use `agent.jwt.jwks_url`")?;
            Ok(Jwt::published(keys, expected))
        }
        (Some(_), Some(_)) => {
            bail!("`agent.jwt.key_file` and `agent.jwt.jwks_url` are mutually exclusive; keep one")
        }
        (None, None) => bail!(
            "`agent.jwt` needs `jwks_url`, the URL of the issuer's JWK Set, or `key_file`, a file with the PEM public key that verifies tokens"
        ),
    }
}

/// Whether a header holds something other than an agent's id. Ids are logged and audited, which a
/// credential must not be.
fn is_taken(name: &str) -> bool {
    const TAKEN: [&str; 22] = [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "host",
        "last-event-id",
        "origin",
        "proxy-authorization",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    TAKEN.contains(&name) || name.starts_with("mcp-")
}

/// Reads the PEM key that verifies bearer tokens; `None` when none is configured.
pub fn key(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(path) = &config.agent.jwt.key_file else {
        return Ok(None);
    };
    // The file's name is left out of errors: the key itself may have been put in its place.
    let pem =
        std::fs::read(path).context("failed to read the key file named by `agent.jwt.key_file`")?;
    Ok(Some(pem))
}
