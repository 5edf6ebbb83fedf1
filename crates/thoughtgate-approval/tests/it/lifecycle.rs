//! Life of an approval as the proxy sees it: requesting, joining, waiting, claiming, and ending
//! without an approval.

use std::time::Duration;

use thoughtgate_approval::{Approvals, Call, ChannelSettings, ClaimError, State, View, digest};

use crate::support::{
    AGENT, APPROVER, Setup, Slack, approved, call, decision, digest_of, eventually, is_healthy,
    open, policies, raw, request, request_later, settings, view,
};

#[tokio::test]
async fn an_approved_call_runs_once_and_everyone_learns_of_it() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let arguments = raw(r#"{"id":7,"password":"hunter2"}"#);
    let policies = policies(&["ask-before-delete"]);
    let call = Call {
        arguments: Some(&arguments),
        policies: &policies,
        ..call("delete_user")
    };
    let id = approvals.request(call).await.unwrap();
    assert_eq!(view(&approvals, id).state, State::Pending);

    slack.react_to(id, &[(APPROVER, "white_check_mark")]).await;
    let asked = slack.text(id);
    assert!(asked.contains("delete_user") && asked.contains("ask-before-delete"));
    assert!(!asked.contains("hunter2"));
    let decided = decision(&approvals, id).await;
    assert_eq!(
        (decided.state, decided.decided_by.as_deref()),
        (State::Approved, Some(APPROVER))
    );

    let digest = digest(AGENT, "delete_user", Some(&arguments));
    let claim = approvals.claim(id, AGENT, &digest).await.unwrap();
    assert_eq!(view(&approvals, id).state, State::Executing);
    claim.complete(None).await;
    assert_eq!(view(&approvals, id).state, State::Done);
    let again = approvals.claim(id, AGENT, &digest).await.unwrap_err();
    assert_eq!(again, ClaimError::AlreadyExecuted);

    eventually("the message shows the outcome", || {
        slack.text(id).contains("Approved by")
    })
    .await;
    assert_eq!(slack.messages_about(id).len(), 1);
    let counters = approvals.counters();
    assert_eq!(
        (
            counters.requested,
            counters.posted,
            counters.pending,
            counters.open
        ),
        (1, 1, 0, 0)
    );
    assert_eq!(counters.entered(State::Approved), 1);
    assert!(is_healthy(&approvals));
}

#[tokio::test]
async fn only_one_of_many_claims_wins() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    let digest = digest_of("tool");
    let claims = (0..8).map(|_| {
        let approvals = approvals.clone();
        tokio::spawn(async move {
            approvals
                .claim(id, AGENT, &digest)
                .await
                .map(|claim| claim.fail("x"))
        })
    });
    let mut won = 0;
    for claim in claims.collect::<Vec<_>>() {
        won += usize::from(claim.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_claim_must_fit_the_caller_and_the_call() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    let claim = |principal, tool| {
        let (approvals, digest) = (approvals.clone(), digest_of(tool));
        async move { approvals.claim(id, principal, &digest).await.map(drop) }
    };
    assert_eq!(claim("somebody", "tool").await, Err(ClaimError::Unknown));
    assert_eq!(claim(AGENT, "other").await, Err(ClaimError::DigestMismatch));
    assert_eq!(claim(AGENT, "tool").await, Err(ClaimError::Pending));
    assert!(approvals.find(id, "somebody").is_none());
    assert!(
        approvals
            .wait(id, "somebody", Duration::ZERO)
            .await
            .is_none()
    );
    approvals.cancel(id, "somebody");
    assert_eq!(view(&approvals, id).state, State::Pending);
}

#[tokio::test]
async fn a_dropped_claim_is_an_unknown_outcome() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    drop(
        approvals
            .claim(id, AGENT, &digest_of("tool"))
            .await
            .unwrap(),
    );
    let view = view(&approvals, id);
    assert_eq!(view.state, State::Failed);
    assert!(
        view.explain().contains("outcome unknown"),
        "{}",
        view.explain()
    );
}

#[tokio::test]
async fn the_same_call_joins_and_another_does_not() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let first = request(&approvals, "tool").await;
    assert_eq!(request(&approvals, "tool").await, first);
    let other = Call {
        principal: "somebody",
        ..call("tool")
    };
    assert_ne!(approvals.request(other).await.unwrap(), first);
    slack.react_to(first, &[(APPROVER, "+1")]).await;
    decision(&approvals, first).await;
    // Approved and not used yet: asking again would only ask the same thing twice.
    assert_eq!(request(&approvals, "tool").await, first);
    approvals
        .claim(first, AGENT, &digest_of("tool"))
        .await
        .unwrap()
        .complete(None)
        .await;
    assert_ne!(request(&approvals, "tool").await, first);
    assert_eq!(slack.messages_about(first).len(), 1);
    assert_eq!(approvals.counters().joined, 2);
}

#[tokio::test]
async fn a_body_that_a_joining_call_brings_is_kept() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let held = request(&approvals, "tool").await;
    let body = b"later";
    let later = Call {
        body: Some(body),
        ..call("tool")
    };
    assert_eq!(approvals.request(later).await.unwrap(), held);
    slack.react_to(held, &[(APPROVER, "+1")]).await;
    decision(&approvals, held).await;
    let claim = approvals
        .claim(held, AGENT, &digest_of("tool"))
        .await
        .unwrap();
    let kept = approvals.kept(held).unwrap();
    assert_eq!(kept.body, body);
    assert_eq!(kept.principal, AGENT);
    claim.complete(None).await;
}

#[tokio::test]
async fn nobody_answering_in_time_is_a_clear_no() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.timeout = Duration::from_secs(1);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Expired);
    assert!(view.explain().contains("in time"), "{}", view.explain());
    let claim = approvals
        .claim(id, AGENT, &digest_of("tool"))
        .await
        .map(drop);
    assert_eq!(claim, Err(ClaimError::Expired));
    eventually("the message says so", || {
        slack.text(id).contains("Nobody decided")
    })
    .await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(crate::support::view(&approvals, id).state, State::Expired);
}

#[tokio::test]
async fn an_approval_that_nobody_uses_expires_too() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.approved_for = Duration::from_millis(50);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    eventually("it expires", || {
        view(&approvals, id).state == State::Expired
    })
    .await;
    let claim = approvals
        .claim(id, AGENT, &digest_of("tool"))
        .await
        .map(drop);
    assert_eq!(claim, Err(ClaimError::Expired));
    let view = view(&approvals, id);
    assert!(
        view.explain().contains("not made in time"),
        "{}",
        view.explain()
    );
    // Time ended it, and not the approver.
    assert_eq!(view.decided_by, None);
    eventually("the message says so", || {
        slack.text(id).contains("the call was not made in time")
    })
    .await;
    for told in [view.explain(), slack.text(id)] {
        assert!(!told.contains(APPROVER), "{told}");
    }
}

#[tokio::test]
async fn agents_cancel_and_policies_revoke() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "one").await;
    approvals.cancel(id, AGENT);
    assert_eq!(view(&approvals, id).state, State::Cancelled);
    let id = approved(&approvals, &slack, "two").await;
    approvals.revoke(id, AGENT, "the policy now forbids it");
    let claim = approvals
        .claim(id, AGENT, &digest_of("two"))
        .await
        .map(drop);
    assert_eq!(claim, Err(ClaimError::Rejected));
    assert!(
        view(&approvals, id)
            .explain()
            .contains("the policy now forbids it")
    );
    eventually("the message says so", || {
        slack.text(id).contains("Rejected by policy")
    })
    .await;
}

#[tokio::test]
async fn waiting_works_on_another_runtime() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    let elsewhere = approvals.clone();
    let waiting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(decision(&elsewhere, id)).state
    });
    slack.react_to(id, &[(APPROVER, "-1")]).await;
    eventually("the other thread is done", || waiting.is_finished()).await;
    assert_eq!(waiting.join().unwrap(), State::Rejected);
}

#[tokio::test]
async fn calls_with_a_kept_body_are_announced_when_approved() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let mut ready = approvals.ready();
    let held = approved(&approvals, &slack, "held").await;
    let body = b"later";
    let later = request_later(&approvals, "later", body).await;
    slack.react_to(later, &[(APPROVER, "+1")]).await;
    assert_eq!(ready.recv().await, Some(later));
    assert_eq!(approvals.kept(held), None);
    // A later listener gets it too.
    assert_eq!(approvals.ready().recv().await, Some(later));
    let claim = approvals
        .claim(later, AGENT, &digest_of("later"))
        .await
        .unwrap();
    let kept = approvals.kept(later).unwrap();
    assert_eq!(kept.body, body);
    assert_eq!(kept.principal, AGENT);
    claim.complete(Some(b"result".to_vec())).await;
    let view = approvals
        .wait_end(later, AGENT, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(view.state, State::Done);
    assert_eq!(
        approvals.result(later, AGENT).as_deref(),
        Some(b"result".as_slice())
    );
    assert_eq!(approvals.result(later, "somebody"), None);
    assert_eq!(approvals.list(AGENT).len(), 2);
    assert!(approvals.list("somebody").is_empty());
}

#[tokio::test]
async fn every_state_is_told_with_whose_approval_it_is() {
    let slack = Slack::start();
    let (told, heard) = std::sync::mpsc::channel();
    let observer = Box::new(move |view: &View, principal: &str| {
        told.send((view.state, view.decided_by.clone(), principal.to_owned()))
            .unwrap();
    });
    let Setup { ledger, slack: to } = settings(&slack);
    let channel = ChannelSettings::Slack(to);
    let approvals = Approvals::open_observed(ledger, channel, observer)
        .await
        .unwrap();
    let id = approved(&approvals, &slack, "tool").await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    claim.unwrap().complete(None).await;
    let heard: Vec<_> = heard.try_iter().collect();
    let states: Vec<State> = heard.iter().map(|(state, ..)| *state).collect();
    let expected = [
        State::Pending,
        State::Approved,
        State::Executing,
        State::Done,
    ];
    assert_eq!(states, expected);
    assert_eq!(heard[1].1.as_deref(), Some(APPROVER));
    assert!(heard.iter().all(|(.., principal)| principal == AGENT));
}
