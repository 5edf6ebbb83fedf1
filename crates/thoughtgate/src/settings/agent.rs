//! Checks `agent`: whose id a request has, how its token is verified, and where clients get one.
//!
//! Reads no file but the public key. Fetches no keys: the proxy does.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use thoughtgate_proxy::{Expected, Identity, Jwt, KeySet, Protected, PublicUrl};

use crate::config::{self, Config};
use crate::mistakes::Mistakes;

/// Default of `agent.id`.
const AGENT: &str = "agent";
/// Default of `agent.jwt.claim`.
const CLAIM: &str = "sub";
/// Default of `agent.jwt.leeway`.
const LEEWAY: Duration = Duration::from_secs(60);
/// A larger leeway is a mistake: a token's expiry would mean little.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// The id that all requests are attributed to; `None` if each brings its own.
pub fn fixed_agent(agent: &config::Agent) -> Option<&str> {
    let own = agent.header.is_some() || agent.jwt != config::Jwt::default();
    (!own).then(|| agent.id.as_deref().unwrap_or(AGENT))
}

/// Where the agent's id comes from; `audience` is the one that its tokens must have unless another is set.
pub fn identity(
    agent: &config::Agent,
    key: Option<&[u8]>,
    audience: Option<String>,
) -> anyhow::Result<Identity> {
    let mut wrong = Mistakes::default();
    let has_jwt = agent.jwt != config::Jwt::default();
    let sources = [agent.id.is_some(), agent.header.is_some(), has_jwt];
    let sources = sources.into_iter().filter(|is_given| *is_given);
    wrong.require(sources.count() <= 1, || {
        "`agent.id`, `agent.header` and `agent.jwt` are mutually exclusive; keep one".to_owned()
    });
    let mut identity = Identity::Fixed(agent.id.clone().unwrap_or_else(|| AGENT.to_owned()));
    if let Some(header) = &agent.header
        && let Some(by_header) = wrong.keep(of_header(header))
    {
        identity = by_header;
    }
    if has_jwt && let Some(jwt) = wrong.keep(verified(&agent.jwt, key, audience)) {
        identity = Identity::Jwt(Box::new(jwt));
    }
    Ok(wrong.or(identity)?)
}

fn of_header(header: &str) -> anyhow::Result<Identity> {
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

fn verified(
    jwt: &config::Jwt,
    key: Option<&[u8]>,
    audience: Option<String>,
) -> anyhow::Result<Jwt> {
    let mut wrong = Mistakes::default();
    let leeway = jwt.leeway.unwrap_or(LEEWAY);
    wrong.require(leeway <= LEEWAY_MAX, || {
        format!("`agent.jwt.leeway` is {leeway:?}; it must be at most {LEEWAY_MAX:?}")
    });
    let expected = Expected {
        claim: jwt.claim.clone().unwrap_or_else(|| CLAIM.to_owned()),
        audience: jwt.audience.clone().or(audience),
        issuer: jwt.issuer.clone(),
        leeway,
        declared: jwt.claims.clone(),
    };
    let found = wrong.keep(verification(jwt, key, expected));
    wrong.or(found)?.context("internal error: no keys")
}

/// How tokens are verified. The URL is left out of errors: it may hold a secret.
fn verification(jwt: &config::Jwt, key: Option<&[u8]>, expected: Expected) -> anyhow::Result<Jwt> {
    match (key, &jwt.jwks_url) {
        (Some(pem), None) => {
            Jwt::new(pem, expected).context("failed to use the file named by `agent.jwt.key_file`")
        }
        (None, Some(url)) => {
            let mut wrong = Mistakes::default();
            let keys = KeySet::new(url).context("failed to use `agent.jwt.jwks_url`");
            let keys = wrong.keep(keys);
            // Some sign the tokens of all their tenants with the same keys.
            wrong.require(jwt.issuer.is_some(), || {
                "`agent.jwt.jwks_url` needs `agent.jwt.issuer`, the `iss` of its tokens: others may be signed \
                 with the same keys"
                    .to_owned()
            });
            let keys = wrong.or(keys)?.context("internal error: no keys")?;
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

/// The proxy as an OAuth protected resource; `None` if it is none of its own.
pub fn protected(config: &Config, public: Option<&PublicUrl>) -> anyhow::Result<Option<Protected>> {
    let jwt = &config.agent.jwt;
    let (servers, scopes) = (&jwt.authorization_servers, &jwt.scopes);
    let mut wrong = Mistakes::default();
    wrong.all(Protected::faults(servers, scopes));
    wrong.require(!servers.is_empty() || scopes.is_empty(), || {
        "`agent.jwt.scopes` needs `agent.jwt.authorization_servers`, which clients ask for them"
            .to_owned()
    });
    wrong.require(servers.is_empty() || config.public_url.is_some(), || {
        "`agent.jwt.authorization_servers` needs `public_url`, the URL for which they issue tokens"
            .to_owned()
    });
    wrong.or(())?;
    // A mistake in the public URL is reported already.
    let public = public.filter(|_| !servers.is_empty());
    let own = public.map(|public| Protected::new(public.clone(), servers, scopes));
    Ok(own.transpose()?)
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
