//! What the upstream learns about where a request comes from, and from whom.

use thoughtgate_test::client;

use super::result;
use super::scripted::{Request, Scripted};
use crate::support::{ALL, Proxy, before, call, policy};

/// Fields of a proxy in front, with which a client could lie.
const SOURCES: [(&str, &str); 10] = [
    ("forwarded", "for=203.0.113.7;host=evil.test"),
    ("x-real-ip", "203.0.113.7"),
    ("true-client-ip", "203.0.113.7"),
    ("cf-connecting-ip", "203.0.113.7"),
    ("front-end-https", "on"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-server", "evil.test"),
    ("x-forwarded-ssl", "on"),
    ("x-scheme", "https"),
];
/// Fields that would lead the request to another path or method than the decided one.
const OVERRIDES: [(&str, &str); 4] = [
    ("x-original-url", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x-http-method-override", "DELETE"),
    ("x_original_url", "/admin"),
];
/// Credentials, and fields of applications.
const OTHERS: [(&str, &str); 3] = [
    ("x-forwarded-user", "alice"),
    ("x-request-id", "1"),
    ("from", "alice@example.com"),
];
const SET: [(&str, &str); 3] = [
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-host", "gate.test"),
    ("x-forwarded-proto", "https"),
];

/// The requests of a client that sends all of these fields, with POST and with GET, as they arrive upstream.
async fn received(environment: &[(&str, &str)]) -> (String, Vec<Request>) {
    let upstream = Scripted::start(result).await;
    let (url, file) = (upstream.url("/mcp"), policy(ALL));
    let proxy = Proxy::with(&before(&url, file.path()), environment);
    let all = [&SOURCES[..], &OVERRIDES, &OTHERS, &SET].concat();
    let posted = client::post_json(&proxy.url(), &all, call("tool_0")).await;
    assert_eq!(posted.unwrap().status, 200);
    client::get(&proxy.url(), &all).await.unwrap();
    let calls = upstream.calls();
    assert_eq!(calls.len(), 2);
    for request in &calls {
        for (name, _) in OVERRIDES {
            assert_eq!(request.header(name), "", "{name}");
        }
        for (name, value) in OTHERS {
            assert_eq!(request.header(name), value, "{name}");
        }
    }
    (proxy.address().to_owned(), calls)
}

#[tokio::test]
async fn what_a_client_says_of_where_it_is_is_dropped() {
    let trusts_others = [("THOUGHTGATE_TRUSTED_PROXIES", "10.0.0.0/8,::1")];
    for environment in [&[][..], &trusts_others] {
        let (address, calls) = received(environment).await;
        for request in calls {
            for (name, _) in SOURCES {
                assert_eq!(request.header(name), "", "{name}");
            }
            assert_eq!(request.header("x-forwarded-for"), "127.0.0.1");
            assert_eq!(request.header("x-forwarded-host"), address);
            assert_eq!(request.header("x-forwarded-proto"), "http");
        }
    }
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_it_arrives() {
    let trusts = ("THOUGHTGATE_TRUSTED_PROXIES", "127.0.0.0/8");
    let public = ("THOUGHTGATE_PUBLIC_URL", "http://public.test:81/mcp");
    for (environment, host, proto) in [
        (&[trusts][..], "gate.test", "https"),
        (&[trusts, public], "public.test:81", "http"),
    ] {
        let (_, calls) = received(environment).await;
        for request in calls {
            for (name, value) in SOURCES {
                assert_eq!(request.header(name), value, "{name}");
            }
            assert_eq!(request.header("x-forwarded-for"), "203.0.113.7, 127.0.0.1");
            assert_eq!(request.header("x-forwarded-host"), host);
            assert_eq!(request.header("x-forwarded-proto"), proto);
        }
    }
}
