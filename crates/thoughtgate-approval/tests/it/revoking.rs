//! Approvals that are withdrawn before the call is made: by a denial, by removing the reaction, by a
//! change of the approvers, while the proxy is down; and denials that come too late.

use std::time::Duration;

use thoughtgate_approval::{
    Approvals, ClaimError, Id, InteractionOutcome, Secret, State, View, chain,
};
use thoughtgate_test::mock_slack::Fault;

use crate::support::{
    AGENT, APPROVER, Slack, UNAVAILABLE, approved, decision, digest_of, eventually, filed,
    interaction, open, request, settings, view,
};

const BOB: &str = "U0BOB";
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Waits until the approval of `tool` is rejected, and makes sure that nobody can claim it.
async fn rejected(approvals: &Approvals, slack: &Slack, id: Id) -> View {
    eventually("it is withdrawn", || {
        view(approvals, id).state == State::Rejected
    })
    .await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    assert_eq!(claim.map(drop), Err(ClaimError::Rejected));
    eventually("the message says so", || {
        slack.text(id).contains("Rejected")
    })
    .await;
    view(approvals, id)
}

#[tokio::test]
async fn a_no_after_a_yes_takes_it_back() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.approvers.push(BOB.to_owned());
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    slack.react_to(id, &[(BOB, "x")]).await;
    let view = rejected(&approvals, &slack, id).await;
    assert_eq!(
        view.explain(),
        format!(
            "the call to `tool` was rejected by {BOB}: the approval by {APPROVER} was withdrawn before the call was made"
        )
    );
}

#[tokio::test]
async fn a_non_approver_takes_nothing_back() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    slack.react_to(id, &[("U0MALLORY", "x")]).await;
    eventually("it is noted", || view(&approvals, id).refused_voters == 1).await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    claim.unwrap().complete(None).await;
}

#[tokio::test]
async fn the_removal_of_the_last_yes_takes_it_back() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.approvers.push(BOB.to_owned());
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    slack.react_to(id, &[(BOB, "+1")]).await;
    slack.unreact_all(id, APPROVER);
    let polls = approvals.counters().polls;
    eventually("it is read", || approvals.counters().polls > polls + 2).await;
    assert_eq!(view(&approvals, id).state, State::Approved);
    slack.unreact_all(id, BOB);
    let view = rejected(&approvals, &slack, id).await;
    assert_eq!(view.decided_by.as_deref(), Some(APPROVER));
}

#[tokio::test]
async fn a_no_by_button_takes_a_yes_by_reaction_back() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.signing_secret = Some(Secret::new("signing"));
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    let no = interaction(&approvals, &slack, id, APPROVER, "thoughtgate_deny").unwrap();
    let outcome = approvals.interact(no).await;
    assert!(matches!(outcome, InteractionOutcome::Decided(view) if view.state == State::Rejected));
    rejected(&approvals, &slack, id).await;
}

#[tokio::test]
async fn a_yes_by_button_needs_no_reaction_and_a_no_by_reaction_takes_it_back() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.signing_secret = Some(Secret::new("signing"));
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    eventually("it is asked", || approvals.counters().posted == 1).await;
    let yes = interaction(&approvals, &slack, id, APPROVER, "thoughtgate_approve").unwrap();
    approvals.interact(yes).await;
    let polls = approvals.counters().polls;
    eventually("it is read", || approvals.counters().polls > polls + 2).await;
    assert_eq!(view(&approvals, id).state, State::Approved);
    slack.react_to(id, &[(APPROVER, "-1")]).await;
    rejected(&approvals, &slack, id).await;
}

#[tokio::test]
async fn a_deleted_message_takes_it_back() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    slack.delete_about(id);
    eventually("it is withdrawn", || {
        view(&approvals, id).state == State::Rejected
    })
    .await;
    assert!(view(&approvals, id).explain().contains("was deleted"));
}

#[tokio::test]
async fn what_happened_while_the_proxy_was_away_is_read_before_the_claim() {
    let (_directory, slack, mut settings) = filed().await;
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    approvals.close().await;
    slack.react_to(id, &[(APPROVER, "x")]).await;
    // No poll comes before the claim.
    settings.slack.poll_interval = AN_HOUR;
    let approvals = open(&settings).await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    assert_eq!(claim.map(drop), Err(ClaimError::Rejected));
    approvals.close().await;
}

#[tokio::test]
async fn approvers_who_were_removed_from_the_settings_do_not_count_any_more() {
    let (_directory, slack, mut settings) = filed().await;
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    approvals.close().await;
    settings.slack.approvers = vec![BOB.to_owned()];
    let approvals = open(&settings).await;
    let view = rejected(&approvals, &slack, id).await;
    assert!(view.explain().contains("is no longer an approver"));
    approvals.close().await;
}

#[tokio::test]
async fn nothing_is_claimed_while_the_votes_cannot_be_read() {
    let (_directory, slack, mut settings) = filed().await;
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    approvals.close().await;
    settings.slack.poll_interval = AN_HOUR;
    slack.fail(
        "reactions.get",
        [Fault::Refused("not_in_channel".to_owned())],
    );
    let approvals = open(&settings).await;
    let digest = digest_of("tool");
    let claim = approvals.claim(id, AGENT, &digest).await.map(drop);
    let Err(error @ ClaimError::Unconfirmed(_)) = claim else {
        panic!("{claim:?}");
    };
    assert_eq!(
        chain(&error),
        "failed to check whether the approval still holds: Slack refused: not_in_channel; invite the app to the channel (/invite)"
    );
    assert_eq!(view(&approvals, id).state, State::Approved);
    // A failure that passes is waited out.
    slack.fail("reactions.get", [UNAVAILABLE]);
    let claim = approvals.claim(id, AGENT, &digest).await;
    claim.unwrap().complete(None).await;
    approvals.close().await;
}

#[tokio::test]
async fn a_no_after_the_claim_comes_too_late_and_that_is_told() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.signing_secret = Some(Secret::new("signing"));
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    let no = interaction(&approvals, &slack, id, APPROVER, "thoughtgate_deny").unwrap();
    let outcome = approvals.interact(no).await;
    assert!(matches!(outcome, InteractionOutcome::TooLate(_)));
    claim.unwrap().complete(None).await;
    assert_eq!(view(&approvals, id).state, State::Done);
    eventually("the approver is told", || {
        slack.text(id).contains("Too late: <@U0ALICE>")
    })
    .await;
}

#[tokio::test]
async fn members_who_leave_the_group_do_not_count_any_more() {
    let (_directory, slack, mut settings) = filed().await;
    slack.set_group(&[APPROVER]);
    settings.slack.approvers = vec!["S0OPS".to_owned()];
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    // Members are cached for a while; a new process has cached none.
    approvals.close().await;
    slack.set_group(&[BOB]);
    let approvals = open(&settings).await;
    rejected(&approvals, &slack, id).await;
    let id = request(&approvals, "other").await;
    slack.react_to(id, &[(BOB, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    approvals.close().await;
}
