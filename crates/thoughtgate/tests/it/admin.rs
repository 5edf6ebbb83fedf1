//! `/health`, `/ready` and `/metrics`: what they show to probes, to monitoring, and to web pages.

use serde_json::json;
use thoughtgate_test::client;
use thoughtgate_test::mock_mcp;

use crate::support::{ALL, Proxy, before, policy};

/// Status and body of the answer to a GET with these headers.
async fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let url = format!("http://{address}{path}");
    let answer = client::get(&url, headers).await.unwrap();
    (answer.status, answer.text())
}

#[tokio::test]
async fn only_readers_that_are_no_foreign_web_page_see_more_than_the_status() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let (url, file) = (upstream.url(), policy(ALL));
    let arguments = before(&url, file.path());
    let apart = [&arguments[..], &["--admin-listen", "127.0.0.1:0"]].concat();
    let allowed = ("THOUGHTGATE_ALLOWED_HOSTS", "metrics.internal");
    for (arguments, is_apart) in [(&arguments[..], false), (&apart, true)] {
        let proxy = Proxy::with(arguments, &[allowed]);
        let address = if is_apart {
            proxy.admin_address()
        } else {
            proxy.ready().await;
            proxy.address().to_owned()
        };
        while get(&address, "/ready", &[]).await.0 != 200 {}
        // A probe by the address of a pod, Prometheus by an address or by a name that is allowed.
        for host in [
            "localhost",
            "10.1.2.3:8080",
            "[fd00::1]:8080",
            "metrics.internal:9090",
        ] {
            let headers = [("host", host)];
            let (status, body) = get(&address, "/ready", &headers).await;
            assert_eq!(status, 200, "{host}");
            assert!(body.contains("\"policies\""), "{host}: {body}");
            let (status, body) = get(&address, "/metrics", &headers).await;
            assert_eq!(status, 200, "{host}");
            assert!(body.contains("thoughtgate_build_info"), "{host}: {body}");
        }
        // Pages that read by DNS rebinding, or from another origin.
        for (headers, named) in [
            (&[("host", "evil.example:8080")][..], "allowed_hosts"),
            (
                &[("host", "localhost"), ("origin", "https://evil.example")],
                "allowed_origins",
            ),
        ] {
            let (status, body) = get(&address, "/metrics", headers).await;
            assert_eq!(status, 403, "{headers:?}");
            assert!(body.contains(named), "{body}");
            let (status, body) = get(&address, "/ready", headers).await;
            assert_eq!(status, 200, "a probe by any name has its status");
            assert!(body.contains(named), "{body}");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(
                (&body["ready"], &body["checks"]),
                (&json!(true), &json!(null))
            );
            assert_eq!(get(&address, "/health", headers).await.0, 200);
        }
    }
}
