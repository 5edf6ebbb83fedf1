//! Legacy calls whose client has disconnected: they continue, are counted, delay the shutdown, and are
//! limited in number.

use thoughtgate_test::client::RawConnection;
use thoughtgate_test::mock_mcp::{Hold, MockMcp};
use thoughtgate_test::process::Output;

use crate::support::{ALL, PATIENCE, Proxy, call, pair};

const IN_FLIGHT: &str = "thoughtgate_requests_in_flight";

/// Sends a call and disconnects when the upstream has it.
async fn abandon(upstream: &MockMcp, proxy: &Proxy) {
    let before = upstream.stats().tool_calls;
    let body = call("echo");
    let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head + &body).await.unwrap();
    upstream.wait_for(|stats| stats.tool_calls > before).await;
}

#[tokio::test]
async fn one_is_in_flight_and_waited_for_at_a_stop() {
    let (upstream, mut proxy) = pair(ALL);
    upstream.hold(Hold::Answer);
    abandon(&upstream, &proxy).await;
    // The only connection is the one that reads the metric.
    proxy.metric_is("thoughtgate_connections", 1.0).await;
    assert_eq!(proxy.metric(IN_FLIGHT).await, Some(1.0));
    proxy.process.terminate().unwrap();
    proxy
        .process
        .wait_line(Output::Stderr, "thoughtgate: stopping", PATIENCE)
        .unwrap();
    upstream.release();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    assert_eq!(upstream.stats().cancelled, 0);
    let said = proxy.process.output(Output::Stderr);
    assert!(
        !said.iter().any(|line| line.contains("cut off")),
        "{said:?}"
    );
}

#[tokio::test]
async fn many_of_one_agent_are_cut_off_from_the_oldest() {
    let (upstream, proxy) = pair(ALL);
    upstream.hold(Hold::Answer);
    for _ in 0..70 {
        abandon(&upstream, &proxy).await;
    }
    upstream.wait_for(|stats| stats.cancelled == 6).await;
    proxy.metric_is(IN_FLIGHT, 64.0).await;
    let cut_off = proxy.metric("thoughtgate_abandoned_cut_off_total").await;
    assert_eq!(cut_off, Some(6.0));
    upstream.release();
    proxy.metric_is(IN_FLIGHT, 0.0).await;
    assert_eq!(upstream.stats().cancelled, 6);
}
