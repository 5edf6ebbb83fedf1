//! Limits: refusals, caps, retention, and access by the owner alone.

use std::time::Duration;

use thoughtgate_approval::{Call, RequestError, State, UnsealError};

use crate::support::{
    AGENT, Slack, approved, call, digest_of, eventually, filed, open, raw, request, settings, view,
};

#[tokio::test]
async fn too_many_open_approvals_are_refused() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.open_per_principal_max = 1;
    settings.open_max = 2;
    let approvals = open(&settings).await;
    let first = request(&approvals, "one").await;
    let busy = RequestError::Busy { open: 1, limit: 1 };
    assert_eq!(approvals.request(call("two")).await, Err(busy));
    approvals
        .request(Call {
            principal: "other",
            ..call("x")
        })
        .await
        .unwrap();
    let third = Call {
        principal: "third",
        ..call("x")
    };
    assert_eq!(
        approvals.request(third).await,
        Err(RequestError::Busy { open: 2, limit: 2 })
    );
    approvals.cancel(first, AGENT);
    request(&approvals, "two").await;
    assert_eq!(approvals.counters().refused_busy, 2);
}

#[tokio::test]
async fn long_names_are_refused_before_anything_is_kept() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let long = "x".repeat(2000);
    let by_tool = call(&long);
    let by_agent = Call {
        principal: &long,
        ..call("tool")
    };
    let by_channel = Call {
        channel: Some(&long),
        ..call("tool")
    };
    for call in [by_tool, by_agent, by_channel] {
        let error = approvals.request(call).await.unwrap_err();
        assert!(matches!(error, RequestError::NameTooLong { .. }), "{error}");
        assert!(error.to_string().contains("at most 1024"), "{error}");
    }
    assert_eq!(approvals.counters().kept, 0);
}

#[tokio::test]
async fn what_is_kept_has_a_limit_in_bytes_and_in_the_file() {
    let (directory, _slack, mut settings) = filed().await;
    settings.kept_bytes_max = 1 << 20;
    let approvals = open(&settings).await;
    let body = vec![b'x'; 100_000];
    let ask = |tool: String| {
        let (approvals, body) = (&approvals, &body);
        async move {
            let body = Some(body.as_slice());
            let call = Call {
                body,
                ..call(&tool)
            };
            approvals.request(call).await
        }
    };
    for index in 0..40 {
        let id = ask(format!("tool-{index}")).await.unwrap();
        approvals.cancel(id, AGENT);
        let counters = approvals.counters();
        assert!(counters.kept_bytes <= 1 << 20, "{counters:?}");
    }
    // One agent's share of what is open.
    ask("one".to_owned()).await.unwrap();
    let refused = ask("two".to_owned()).await.unwrap_err();
    assert!(matches!(refused, RequestError::Full { .. }), "{refused}");
    approvals.close().await;
    let file = std::fs::metadata(directory.path().join("approvals.redb")).unwrap();
    assert!(file.len() < 4 << 20, "{} bytes", file.len());
}

#[tokio::test]
async fn arguments_that_say_two_things_are_refused() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let arguments = raw(r#"{"a":{"id":1,"id":2}}"#);
    let call = Call {
        arguments: Some(&arguments),
        ..call("tool")
    };
    let error = approvals.request(call).await.unwrap_err();
    assert_eq!(error, RequestError::DuplicateKey("id".to_owned()));
    let arguments = raw(r#"{"a":1e999}"#);
    let call = Call {
        arguments: Some(&arguments),
        ..self::call("tool")
    };
    let error = approvals.request(call).await.unwrap_err();
    assert_eq!(error, RequestError::Unreadable);
}

#[tokio::test]
async fn what_is_kept_for_later_is_limited() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.body_bytes_max = 4;
    settings.result_bytes_max = 4;
    let approvals = open(&settings).await;
    let body = Some(b"12345".as_slice());
    let error = approvals
        .request(Call {
            body,
            ..call("tool")
        })
        .await
        .unwrap_err();
    assert_eq!(error, RequestError::TooLarge { bytes: 5, limit: 4 });
    let id = approved(&approvals, &slack, "tool").await;
    let claim = approvals
        .claim(id, AGENT, &digest_of("tool"))
        .await
        .unwrap();
    claim.complete(Some(b"12345".to_vec())).await;
    assert_eq!(view(&approvals, id).state, State::Failed);
    assert!(view(&approvals, id).explain().contains("5 bytes"));
}

#[tokio::test]
async fn ended_approvals_are_forgotten_after_a_while() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.retention = Duration::from_millis(50);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    approvals.cancel(id, AGENT);
    eventually("it is forgotten", || approvals.find(id, AGENT).is_none()).await;
    assert_eq!(approvals.counters().kept, 0);
}

#[tokio::test]
async fn request_state_is_for_its_owner_alone() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    assert_eq!(approvals.seal(id, "somebody", b""), None);
    let state = approvals.seal(id, AGENT, b"").unwrap();
    let sealed = approvals.unseal(&state, AGENT).unwrap();
    assert_eq!((sealed.id, sealed.digest), (id, digest_of("tool")));
    assert_eq!(
        approvals.unseal(&state, "somebody"),
        Err(UnsealError::Invalid)
    );
}
