//! Header fields in which a proxy tells a server about a request: where it came from, and which path or
//! method it had. From a client they can lie.
//!
//! The names are those that common proxies set and common servers read: nginx, Apache, Envoy, Traefik, CDNs,
//! IIS; `mod_wsgi`, Spring, Rails, Symfony, Laminas, Express. Changes no header.

/// Fields beside `X-Forwarded-*` with a client's address, or the scheme, host, port or path prefix that it
/// used.
const SOURCES: [&str; 18] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-https",
    "x-real-host",
    "x-real-ip",
    "x-real-port",
    "x-scheme",
    "x-script-name",
    "x-url-scheme",
];

/// Fields that take the place of a request's path or method, by which it was decided.
const OVERRIDES: [&str; 6] = [
    "x-envoy-original-path",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-waws-unencoded-url",
];
/// `X-Original-URL` and its like.
const OVERRIDES_PREFIX: &str = "x-original-";

/// Ends of `X-Forwarded-*` fields that name a user, as `Authorization` does: such a field is a credential,
/// which the server trusts or not.
pub const USERS: [&str; 8] = [
    "access-token",
    "client-cert",
    "email",
    "groups",
    "preferred-username",
    "tls-client-cert",
    "tls-client-cert-info",
    "user",
];

/// Whether the field `name`, in lower case, can lie to the upstream. From a trusted proxy only overrides can.
///
/// `X-Forwarded-For`, `-Host` and `-Proto` cannot: the proxy sets them itself.
#[inline]
#[must_use]
pub fn misleads(name: &str, is_trusted: bool) -> bool {
    // First letter and length tell nearly all other fields apart.
    let text = name.as_bytes();
    let is_likely = matches!(
        (text.first(), text.len()),
        (Some(b'x'), _) | (Some(b'f'), 9 | 13 | 15 | 16) | (Some(b'c'), 9 | 16) | (Some(b't'), 14)
    );
    is_likely && name != "x-forwarded-for" && is_listed(name, is_trusted)
}

fn is_listed(name: &str, is_trusted: bool) -> bool {
    if OVERRIDES.contains(&name) || name.starts_with(OVERRIDES_PREFIX) {
        return true;
    }
    !is_trusted
        && match name.strip_prefix("x-forwarded-") {
            Some(end) => !matches!(end, "for" | "host" | "proto") && !USERS.contains(&end),
            None => SOURCES.contains(&name),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_known_whoever_sends_it() {
        for name in SOURCES {
            assert!(misleads(name, false) && !misleads(name, true), "{name}");
        }
        for end in [
            "port",
            "prefix",
            "server",
            "scheme",
            "ssl",
            "uri",
            "by",
            "unheard-of",
        ] {
            let name = format!("x-forwarded-{end}");
            assert!(misleads(&name, false) && !misleads(&name, true), "{name}");
        }
        for name in OVERRIDES
            .into_iter()
            .chain(["x-original-url", "x-original-method"])
        {
            assert!(misleads(name, false) && misleads(name, true), "{name}");
        }
    }

    #[test]
    fn what_the_proxy_sets_names_a_user_or_means_something_else_passes() {
        let own = ["for", "host", "proto"];
        for end in own.into_iter().chain(USERS) {
            assert!(!misleads(&format!("x-forwarded-{end}"), false), "{end}");
        }
        for name in [
            "",
            "x",
            "x-",
            "from",
            "cookie",
            "content-type",
            "traceparent",
            "x-request-id",
            "x-agent",
            "x-api-key",
            "via",
            "user-agent",
        ] {
            assert!(!misleads(name, false), "{name}");
        }
    }
}
