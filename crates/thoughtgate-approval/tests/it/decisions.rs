//! Votes by reaction and by button, from approvers and from others.

use std::time::{Duration, SystemTime};

use thoughtgate_approval::{InteractionError, InteractionOutcome, Secret, State};

use crate::support::{
    APPROVER, BOT_USER, POLL, Slack, UNAVAILABLE, decision, eventually, interaction, open, request,
    settings, view,
};

const NON_APPROVER: &str = "U0MALLORY";

#[tokio::test]
async fn a_denial_is_a_clear_no() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(APPROVER, "x")]).await;
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Rejected);
    assert_eq!(
        view.explain(),
        format!("the call to `tool` was rejected by {APPROVER}")
    );
    eventually("the message says so", || {
        slack.text(id).contains("Rejected by")
    })
    .await;
}

#[tokio::test]
async fn deny_beats_approve() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.approvers.push("U0BOB".to_owned());
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    slack
        .react_to(id, &[(APPROVER, "+1"), ("U0BOB", "-1")])
        .await;
    let view = decision(&approvals, id).await;
    assert_eq!(
        (view.state, view.decided_by.as_deref()),
        (State::Rejected, Some("U0BOB"))
    );
}

#[tokio::test]
async fn people_who_may_not_approve_are_told_once_and_do_not_count() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    slack
        .react_to(id, &[(NON_APPROVER, "+1"), (NON_APPROVER, "x")])
        .await;
    eventually("they are told", || {
        slack.text(id).contains("not an approver: <@U0MALLORY>")
    })
    .await;
    tokio::time::sleep(POLL * 5).await;
    assert_eq!(slack.calls("chat.update"), 1);
    let pending = view(&approvals, id);
    assert_eq!((pending.state, pending.refused_voters), (State::Pending, 1));
    assert!(
        pending
            .explain()
            .contains("votes of 1 person who is not an approver were ignored")
    );
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    assert_eq!(approvals.counters().refused_voters, 1);
}

#[tokio::test]
async fn the_bot_cannot_approve_for_itself() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.approvers.push(BOT_USER.to_owned());
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(BOT_USER, "+1")]).await;
    eventually("it is read", || approvals.counters().polls > 3).await;
    let view = view(&approvals, id);
    assert_eq!((view.state, view.refused_voters), (State::Pending, 0));
}

#[tokio::test]
async fn members_of_a_group_may_approve() {
    let slack = Slack::start();
    slack.set_group(&["U0CAROL"]);
    let mut settings = settings(&slack);
    settings.slack.approvers = vec!["S0OPS".to_owned()];
    let approvals = open(&settings).await;
    for tool in ["one", "two"] {
        let id = request(&approvals, tool).await;
        slack
            .react_to(id, &[(NON_APPROVER, "x"), ("U0CAROL", "+1")])
            .await;
        assert_eq!(decision(&approvals, id).await.state, State::Approved);
    }
    assert_eq!(slack.calls("usergroups.users.list"), 1);
}

#[tokio::test]
async fn while_it_is_unknown_whether_a_denial_counts_nothing_is_approved() {
    let slack = Slack::start();
    slack.set_group(&["U0CAROL"]);
    slack.fail("usergroups.users.list", vec![UNAVAILABLE; 3]);
    let mut settings = settings(&slack);
    settings.slack.approvers.push("S0OPS".to_owned());
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    slack
        .react_to(id, &[(APPROVER, "+1"), ("U0CAROL", "x")])
        .await;
    assert_eq!(decision(&approvals, id).await.state, State::Rejected);
}

#[tokio::test]
async fn buttons_follow_the_same_rules() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.signing_secret = Some(Secret::new("signing"));
    settings.slack.poll_interval = Duration::from_secs(3600);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    eventually("approvers are asked", || {
        slack.text(id).contains("thoughtgate_approve")
    })
    .await;
    eventually("the post is counted", || approvals.counters().posted == 1).await;

    let not_allowed =
        interaction(&approvals, &slack, id, NON_APPROVER, "thoughtgate_approve").unwrap();
    let elsewhere = thoughtgate_approval::Interaction {
        ts: "1.0".to_owned(),
        ..not_allowed.clone()
    };
    assert_eq!(
        approvals.interact(not_allowed).await,
        InteractionOutcome::NotAllowed
    );
    assert_eq!(
        approvals.interact(elsewhere).await,
        InteractionOutcome::Unknown
    );
    let other = request(&approvals, "other").await;
    eventually("they are asked again", || approvals.counters().posted == 2).await;
    let deny = interaction(&approvals, &slack, id, APPROVER, "thoughtgate_deny").unwrap();
    let of_another_team = thoughtgate_approval::Interaction {
        team: Some("T0OTHER".to_owned()),
        ..deny.clone()
    };
    let of_another_approval = thoughtgate_approval::Interaction {
        id: other,
        ..deny.clone()
    };
    for wrong in [of_another_team, of_another_approval] {
        let outcome = approvals.interact(wrong).await;
        assert_eq!(outcome, InteractionOutcome::Unknown);
    }
    let outcome = approvals.interact(deny).await;
    assert!(matches!(outcome, InteractionOutcome::Decided(view) if view.state == State::Rejected));
    let late = interaction(&approvals, &slack, id, APPROVER, "thoughtgate_approve").unwrap();
    let outcome = approvals.interact(late).await;
    assert!(matches!(outcome, InteractionOutcome::TooLate(view) if view.state == State::Rejected));
    eventually("the buttons are gone", || {
        !slack.text(id).contains("thoughtgate_approve")
    })
    .await;
}

#[tokio::test]
async fn without_a_secret_no_button_counts() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let result = approvals.verify(|_| Some("0"), b"", SystemTime::now());
    assert_eq!(result, Err(InteractionError::Disabled));
}
