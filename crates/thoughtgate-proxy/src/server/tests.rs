//! A panic in the handling of one request, next to another request on the same worker.

use std::time::Duration;

use thoughtgate_policy::{Engine, Options, Source};
use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::{self, Hold, MockMcp};

use super::*;
use crate::{Guard, Identity, Limits, Refusals, Rules, Settings, Target, TrustedProxies};

/// A proxy with one worker in front of `upstream`, and the URL of its endpoint.
fn start(upstream: &MockMcp) -> (Arc<Shared>, String) {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let second = Duration::from_secs(1);
    let settings = Settings {
        listen,
        admin_listen: None,
        upstream: Target::new(&upstream.url().parse().unwrap()).unwrap(),
        workers: 1,
        connections: 16,
        buffered_bytes: 1 << 20,
        head_timeout: second * 60,
        connect_timeout: second,
        probe_interval: second,
        drain_timeout: second,
        audit: None,
        approval_hold: second,
        trusted_proxies: TrustedProxies::default(),
        approval_keep_alive: second,
    };
    let rules = Rules {
        observe: false,
        identity: Identity::Fixed("alice".to_owned()),
        protected: None,
        public_url: None,
        guard: Guard::new(listen, &[], &[]).unwrap(),
        limits: Limits {
            body_bytes: 1 << 16,
            depth: 64,
            list_bytes: 1 << 16,
        },
        refusals: Refusals::Result,
        body_timeout: second * 60,
        response_timeout: second * 60,
    };
    let all = Source {
        name: "all.cedar".to_owned(),
        text: "permit (principal, action, resource);".to_owned(),
    };
    let engine = Engine::load(&[all], &Options::default()).unwrap();
    let shared = Shared::new(settings, rules, Some(engine), Duration::ZERO).unwrap();
    let server = Server::bind(Arc::clone(&shared)).unwrap();
    let url = format!("http://{}/mcp", server.address().unwrap());
    tokio::spawn(server.run(std::future::pending()));
    (shared, url)
}

async fn post(url: &str, body: &str) -> client::Response {
    client::post_json(url, &[], body.to_owned()).await.unwrap()
}

#[tokio::test]
async fn a_panic_refuses_its_own_request_and_no_other() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let (shared, url) = start(&upstream);
    upstream.turn(|knobs| knobs.hold = Hold::Answer);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    let waiting = tokio::spawn({
        let url = url.clone();
        async move { post(&url, call).await }
    });
    let broken = r#"{"jsonrpc":"2.0","id":7,"method":"panic"}"#;
    let before = thoughtgate_panic::count();
    let answer = post(&url, broken).await;
    assert_eq!(answer.status, 500);
    let answer = answer.json();
    assert_eq!(
        (answer["id"].as_i64(), answer["error"]["code"].as_i64()),
        (Some(7), Some(-32603)),
        "{answer}"
    );
    assert!(thoughtgate_panic::count() > before);
    let metrics = shared.metrics.render(None);
    assert!(!metrics.contains("thoughtgate_panics_total 0\n"));
    upstream.turn(|knobs| knobs.hold = Hold::None);
    assert_eq!(waiting.await.unwrap().status, 200);
}
