//! The load driver: it counts correctly, checks answers, and does not hide a stall of the server.

use std::time::{Duration, Instant};

use thoughtgate_test::load::{Driver, Era, Expect, LoadError, Options, Outcome, Slice, call_body};
use thoughtgate_test::mock_mcp::{self, Config, Fault, Hold, Knobs, MockMcp};

fn start(knobs: Knobs) -> MockMcp {
    mock_mcp::spawn(Config {
        knobs,
        ..Config::default()
    })
    .expect("the double starts")
}

fn options() -> Options {
    let (body, headers) = call_body("tool_0", Era::Modern);
    Options {
        body,
        headers,
        expect: Expect {
            status: 200,
            body: None,
            id_echo: true,
        },
        connections: 2,
        timeout: Duration::from_secs(10),
        drain: Duration::from_secs(10),
    }
}

fn slice(mock: &MockMcp, rate: Option<f64>, duration_ms: u64) -> Slice {
    Slice {
        url: mock.url(),
        rate,
        duration_ms,
        ..Slice::default()
    }
}

async fn drive(mock: &MockMcp, rate: Option<f64>, duration_ms: u64) -> Outcome {
    let mut driver = Driver::new(options()).unwrap();
    driver.run(&slice(mock, rate, duration_ms)).await.unwrap()
}

#[tokio::test]
async fn open_loop_sends_exactly_what_the_rate_says() {
    let mock = start(Knobs::default());
    let outcome = drive(&mock, Some(200.0), 500).await;
    assert_eq!((outcome.requests, outcome.ok), (100, 100), "{outcome:?}");
    assert_eq!(
        (outcome.mode.as_str(), outcome.rate_target),
        ("open", Some(200.0))
    );
    assert!(outcome.errors.is_empty());
    assert_eq!(mock.stats().tool_calls, 100);
    assert_eq!(mock.stats().connections, 2);
    let counted: u64 = outcome.histogram.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 100);
    assert!(outcome.histogram.is_sorted_by(|one, next| one.0 < next.0));
    assert!(outcome.rate_achieved <= 200.1, "{outcome:?}");
    let latency = outcome.latency_us.unwrap();
    assert!(latency.min <= latency.p50 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
    assert!(outcome.cpu_us > 0);
}

#[tokio::test]
async fn closed_loop_agrees_with_the_upstreams_counter() {
    let mock = start(Knobs::default());
    let outcome = drive(&mock, None, 200).await;
    assert!(outcome.ok > 0);
    assert_eq!(
        (outcome.requests, outcome.ok),
        (mock.stats().tool_calls, mock.stats().tool_calls)
    );
    assert_eq!(
        (outcome.mode.as_str(), outcome.rate_target),
        ("closed", None)
    );
    assert_eq!(outcome.late_starts, 0, "a closed loop has no schedule");
}

#[tokio::test]
async fn latency_is_never_below_the_service_time() {
    let mock = start(Knobs {
        service_time_us: 3_000,
        ..Knobs::default()
    });
    for rate in [None, Some(100.0)] {
        let outcome = drive(&mock, rate, 200).await;
        // The histogram is exact to three digits.
        assert!(outcome.latency_us.unwrap().min >= 2_997.0, "{outcome:?}");
        assert!(outcome.service_us.unwrap().min >= 2_997.0, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_stall_shows_in_every_request_that_it_delayed() {
    let mock = start(Knobs::default());
    let url_slice = slice(&mock, Some(200.0), 1_000);
    let mut driver = Driver::new(options()).unwrap();
    let stall = async {
        mock.wait_for(|stats| stats.tool_calls >= 20).await;
        mock.hold(Hold::Answer);
        // Both connections are in the stall from here on.
        let calls = mock.stats().tool_calls;
        mock.wait_for(|stats| stats.tool_calls > calls).await;
        let stalled_at = Instant::now();
        tokio::time::sleep(Duration::from_millis(400)).await;
        mock.release();
        stalled_at.elapsed()
    };
    let (outcome, stalled) = tokio::join!(driver.run(&url_slice), stall);
    let outcome = outcome.unwrap();
    let latency = outcome.latency_us.unwrap();
    let stall_us = stalled.as_secs_f64() * 1e6;
    assert_eq!(
        (outcome.requests, outcome.ok),
        (200, 200),
        "nothing is left out: {outcome:?}"
    );
    assert!(latency.max >= stall_us * 0.99, "{outcome:?}");
    // 80 of the 200 requests were due during the stall, half of them in its first half.
    assert!(latency.p90 >= stall_us / 4.0, "{outcome:?}");
    assert!(latency.p99 >= stall_us / 2.0, "{outcome:?}");
    assert!(outcome.late_starts >= 40, "{outcome:?}");
    assert!(outcome.max_start_delay_us >= stall_us / 2.0, "{outcome:?}");
    // The server itself was slow for at most one request per connection.
    assert!(
        outcome.service_us.unwrap().p90 < stall_us / 4.0,
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_could_not_be_started_in_time_is_an_error_and_not_forgotten() {
    let mock = start(Knobs {
        service_time_us: 50_000,
        ..Knobs::default()
    });
    let mut driver = Driver::new(Options {
        connections: 1,
        drain: Duration::ZERO,
        ..options()
    })
    .unwrap();
    let outcome = driver.run(&slice(&mock, Some(100.0), 300)).await.unwrap();
    assert_eq!(outcome.requests, 30);
    assert!(outcome.errors["unstarted"] >= 20, "{outcome:?}");
    assert_eq!(outcome.ok, mock.stats().tool_calls);
}

#[tokio::test]
async fn every_kind_of_wrong_answer_is_counted_as_what_it_is() {
    let mock = start(Knobs::default());
    let mut driver = Driver::new(options()).unwrap();
    let kinds = [
        (Fault::WrongId, "wrong_id"),
        (Fault::NoResult, "no_result"),
        (Fault::CloseMidAnswer, "closed"),
        (Fault::CloseBeforeAnswer, "closed"),
    ];
    for (fault, kind) in kinds {
        mock.turn(|knobs| knobs.fault = fault);
        let outcome = driver.run(&slice(&mock, Some(100.0), 100)).await.unwrap();
        assert_eq!(outcome.ok, 0, "{outcome:?}");
        assert_eq!(
            outcome.errors.keys().collect::<Vec<_>>(),
            [kind],
            "{outcome:?}"
        );
        assert_eq!(outcome.errors[kind], 10);
        assert!(outcome.first_error.unwrap().starts_with(kind));
        assert_eq!(outcome.latency_us, None, "no right answer, no latency");
    }
    mock.turn(|knobs| knobs.fault = Fault::None);
    let outcome = driver.run(&slice(&mock, Some(100.0), 100)).await.unwrap();
    assert_eq!(
        (outcome.ok, outcome.requests),
        (10, 10),
        "it recovers: {outcome:?}"
    );
}

#[tokio::test]
async fn a_share_of_errors_is_counted_exactly() {
    let mock = start(Knobs {
        error_rate: 0.1,
        error_status: 503,
        ..Knobs::default()
    });
    let outcome = drive(&mock, Some(400.0), 250).await;
    assert_eq!((outcome.requests, outcome.ok), (100, 90), "{outcome:?}");
    assert_eq!(outcome.errors["status_503"], 10);
}

#[tokio::test]
async fn event_streams_are_checked_by_their_last_event() {
    let mock = start(Knobs {
        sse: true,
        sse_events: 2,
        ..Knobs::default()
    });
    let outcome = drive(&mock, Some(100.0), 100).await;
    assert_eq!((outcome.ok, outcome.requests), (10, 10), "{outcome:?}");
    mock.turn(|knobs| knobs.fault = Fault::WrongId);
    assert_eq!(drive(&mock, Some(100.0), 100).await.errors["wrong_id"], 10);
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let mock = start(Knobs::default());
    mock.hold(Hold::Answer);
    let mut driver = Driver::new(Options {
        timeout: Duration::from_millis(50),
        ..options()
    })
    .unwrap();
    let outcome = driver.run(&slice(&mock, None, 120)).await.unwrap();
    assert_eq!(outcome.ok, 0);
    assert_eq!(outcome.errors.keys().collect::<Vec<_>>(), ["timeout"]);
}

#[tokio::test]
async fn a_server_that_dies_is_errors_and_no_panic() {
    for rate in [Some(200.0), None] {
        let mock = start(Knobs::default());
        let url_slice = slice(&mock, rate, 400);
        let mut driver = Driver::new(options()).unwrap();
        let die = async {
            mock.wait_for(|stats| stats.tool_calls >= 10).await;
            mock.shutdown().await;
        };
        let (outcome, ()) = {
            // The slice does not borrow from the double.
            let url_slice = url_slice.clone();
            tokio::join!(async { driver.run(&url_slice).await.unwrap() }, die)
        };
        assert!(outcome.ok >= 10, "{outcome:?}");
        assert!(outcome.errors["connect"] > 0, "{outcome:?}");
        // A closed loop pauses between attempts, so as not to flood a server that is down.
        assert!(outcome.requests - outcome.ok < 2_000, "{outcome:?}");
    }
}

#[tokio::test]
async fn warm_up_is_driven_but_not_measured() {
    let mock = start(Knobs::default());
    let mut driver = Driver::new(options()).unwrap();
    let warmed = Slice {
        warmup_ms: 100,
        ..slice(&mock, Some(100.0), 200)
    };
    let outcome = driver.run(&warmed).await.unwrap();
    assert_eq!(outcome.requests, 20);
    assert_eq!(mock.stats().tool_calls, 30);
}

#[tokio::test]
async fn slices_keep_their_connections_and_find_closed_ones() {
    let (one, other) = (start(Knobs::default()), start(Knobs::default()));
    let mut driver = Driver::new(options()).unwrap();
    for _ in 0..3 {
        for mock in [&one, &other] {
            let outcome = driver.run(&slice(mock, Some(200.0), 50)).await.unwrap();
            assert_eq!((outcome.ok, outcome.reconnects), (10, 0));
        }
    }
    assert_eq!((one.stats().connections, other.stats().connections), (2, 2));
    let fewer = Slice {
        connections: Some(1),
        ..slice(&one, None, 20)
    };
    assert_eq!(driver.run(&fewer).await.unwrap().connections, 1);

    let (address, closed_slice) = (other.address(), slice(&other, Some(200.0), 50));
    other.shutdown().await;
    let _again = mock_mcp::spawn(Config {
        listen: address,
        ..Config::default()
    })
    .unwrap();
    let outcome = driver.run(&closed_slice).await.unwrap();
    assert_eq!((outcome.ok, outcome.reconnects), (10, 2), "{outcome:?}");
}

#[tokio::test]
async fn replaces_the_id_of_any_message_and_sends_its_headers() {
    let mock = start(Knobs::default());
    let mut driver = Driver::new(Options {
        body: br#"{"method":"ping", "params":{"id":1}, "id": "mine" , "jsonrpc":"2.0"}"#.to_vec(),
        headers: vec![("authorization".to_owned(), "Bearer x".to_owned())],
        ..options()
    })
    .unwrap();
    let outcome = driver.run(&slice(&mock, Some(100.0), 50)).await.unwrap();
    assert_eq!((outcome.ok, outcome.requests), (5, 5), "{outcome:?}");
    let requests = mock.requests();
    let mut ids: Vec<u64> = requests
        .iter()
        .map(|request| request.json()["id"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each id is new");
    assert_eq!(requests[0].header("authorization"), Some("Bearer x"));
    assert_eq!(requests[0].json()["params"]["id"], 1);
}

#[tokio::test]
async fn a_notification_has_no_id_to_check() {
    let mock = start(Knobs::default());
    let mut driver = Driver::new(Options {
        body: br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_vec(),
        expect: Expect {
            status: 202,
            body: None,
            id_echo: true,
        },
        ..options()
    })
    .unwrap();
    let outcome = driver.run(&slice(&mock, Some(100.0), 50)).await.unwrap();
    assert_eq!((outcome.ok, outcome.requests), (5, 5), "{outcome:?}");
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let mock = start(Knobs::default());
    let mut driver = Driver::new(options()).unwrap();
    for bad in [
        slice(&mock, Some(0.0), 100),
        slice(&mock, Some(f64::NAN), 100),
        slice(&mock, None, 0),
    ] {
        assert!(matches!(driver.run(&bad).await, Err(LoadError::Nothing)));
    }
    let https = Slice {
        url: "https://127.0.0.1:1/mcp".to_owned(),
        ..slice(&mock, None, 100)
    };
    let error = driver.run(&https).await.unwrap_err();
    assert!(error.to_string().contains("https://127.0.0.1:1/mcp"));
    let mut driver = Driver::new(Options {
        headers: vec![("bad name".to_owned(), "x".to_owned())],
        ..options()
    })
    .unwrap();
    let error = driver.run(&slice(&mock, None, 100)).await.unwrap_err();
    assert!(error.to_string().contains("bad name: x"));
}

#[tokio::test]
async fn a_server_that_closes_every_connection_at_once_is_not_hammered() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let mut driver = Driver::new(options()).unwrap();
    let closing = Slice {
        url,
        rate: Some(100.0),
        duration_ms: 100,
        ..Slice::default()
    };
    let outcome = driver.run(&closing).await.unwrap();
    assert_eq!((outcome.requests, outcome.ok), (10, 0), "{outcome:?}");
    assert!(outcome.reconnects <= 2 * 10 + 2, "{outcome:?}");
}
