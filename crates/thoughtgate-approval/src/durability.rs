//! Tests of what must be on disk before something else happens. They hold up the store's writer, as
//! a slow disk would, and observe what happens meanwhile.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::record::Departure;
use crate::{
    Approvals, Call, ChannelSettings, Claim, ClaimError, Digest, Id, RequestError, Secret,
    Settings, SlackSettings, State, StoreLocation, digest,
};

/// Long enough for anything that does not wait for the disk.
const MEANWHILE: Duration = Duration::from_millis(200);
/// Result of a call.
const RESULT: &[u8] = b"result";

async fn open(port: u16) -> Approvals {
    open_in(StoreLocation::Memory, port).await
}

async fn open_in(store: StoreLocation, port: u16) -> Approvals {
    let mut slack = SlackSettings::new(Secret::new("xoxb"), "C1");
    slack.base_url = format!("http://127.0.0.1:{port}");
    slack.approvers = vec!["U1".to_owned()];
    let channel = ChannelSettings::Slack(slack);
    let opened = Approvals::open(Settings::new(store), channel).await;
    opened.unwrap()
}

fn call() -> Call<'static> {
    Call {
        principal: "agent",
        tool: "tool",
        arguments: None,
        channel: None,
        body: None,
        user: None,
        policies: &[],
        generation: 1,
        cancelled_on_drop: false,
    }
}

fn request(approvals: &Approvals) -> impl Future<Output = Result<Id, RequestError>> + use<> {
    let approvals = approvals.clone();
    async move { approvals.request(call()).await }
}

/// An approval that is given, and the digest of its call.
async fn approved(approvals: &Approvals) -> (Id, Digest) {
    let id = request(approvals).await.unwrap();
    approvals.decide(id);
    (id, digest("agent", "tool", None))
}

/// An approval whose call is being made.
async fn claimed(approvals: &Approvals) -> (Id, Claim) {
    let (id, digest) = approved(approvals).await;
    let claim = approvals.claim(id, "agent", &digest).await;
    (id, claim.unwrap())
}

/// Completes the call with [`RESULT`], for which the disk is too slow.
async fn stalled(claim: Claim) -> impl Future<Output = ()> {
    let mut completing = Box::pin(claim.complete(Some(RESULT.to_vec())));
    let told = tokio::time::timeout(MEANWHILE, &mut completing).await;
    assert!(told.is_err());
    completing
}

#[tokio::test]
async fn nobody_is_asked_about_what_is_not_on_disk() {
    let slack = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let approvals = open(slack.local_addr().unwrap().port()).await;
    let slow_disk = approvals.stall();
    let request = tokio::spawn(request(&approvals));
    assert!(
        tokio::time::timeout(MEANWHILE, slack.accept())
            .await
            .is_err()
    );
    assert!(!request.is_finished());
    drop(slow_disk);
    slack.accept().await.unwrap();
    request.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_disk_is_done_is_asked_for_all_the_same() {
    let slack = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let approvals = open(slack.local_addr().unwrap().port()).await;
    let slow_disk = approvals.stall();
    let gone = tokio::time::timeout(MEANWHILE, request(&approvals)).await;
    assert!(gone.is_err());
    drop(slow_disk);
    slack.accept().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_cancels_by_leaving_is_noticed_before_the_disk_is_done_too() {
    let approvals = open(1).await;
    let slow_disk = approvals.stall();
    let leaves = Call {
        cancelled_on_drop: true,
        ..call()
    };
    let gone = tokio::time::timeout(MEANWHILE, approvals.request(leaves)).await;
    assert!(gone.is_err());
    drop(slow_disk);
    let table = approvals.ledger.table();
    let deadlines: Vec<bool> = table
        .records()
        .map(|record| matches!(record.departure, Departure::Withdraws(_)))
        .collect();
    assert_eq!(deadlines, [true]);
}

#[tokio::test]
async fn a_claim_waits_for_the_disk_and_comes_back_to_nobody() {
    let approvals = open(1).await;
    let (id, digest) = approved(&approvals).await;
    let slow_disk = approvals.stall();
    let claim = tokio::time::timeout(MEANWHILE, approvals.claim(id, "agent", &digest)).await;
    assert!(claim.is_err());
    assert_eq!(approvals.find(id, "agent").unwrap().state, State::Approved);
    drop(slow_disk);
    let claim = approvals.claim(id, "agent", &digest).await.unwrap();
    claim.complete(None).await;
}

#[tokio::test]
async fn a_no_during_a_claim_that_comes_back_counts() {
    let approvals = open(1).await;
    let (id, digest) = approved(&approvals).await;
    let expires_ms = || {
        let table = approvals.ledger.table();
        table.get(id).unwrap().record.expires_ms
    };
    let until = expires_ms();
    let slow_disk = approvals.stall();
    let claiming = approvals.claim(id, "agent", &digest);
    assert!(tokio::time::timeout(MEANWHILE, claiming).await.is_err());
    // A claim that is given back does not make the approval last longer.
    assert_eq!(expires_ms(), until);
    let claiming = approvals.claim(id, "agent", &digest);
    let no = async {
        tokio::time::sleep(MEANWHILE / 4).await;
        assert!(approvals.deny(id).is_none());
        tokio::time::sleep(MEANWHILE).await;
    };
    tokio::select! {
        _ = claiming => panic!("the disk is slow"),
        () = no => {}
    }
    assert_eq!(approvals.find(id, "agent").unwrap().state, State::Rejected);
    drop(slow_disk);
}

#[tokio::test]
async fn a_result_is_on_disk_before_anyone_is_told() {
    let approvals = open(1).await;
    let (id, claim) = claimed(&approvals).await;
    let slow_disk = approvals.stall();
    let completing = stalled(claim).await;
    assert_eq!(approvals.find(id, "agent").unwrap().state, State::Executing);
    // Whoever made the call may go away: it ran.
    drop(completing);
    assert_eq!(approvals.find(id, "agent").unwrap().state, State::Done);
    assert_eq!(approvals.result(id, "agent").as_deref(), Some(RESULT));
    drop(slow_disk);
}

#[tokio::test]
async fn a_change_beside_a_result_does_not_take_it_back_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("approvals.redb");
    let approvals = open_in(StoreLocation::File(path.clone()), 1).await;
    let (id, claim) = claimed(&approvals).await;
    let slow_disk = approvals.stall();
    let completing = stalled(claim).await;
    // As when the message in Slack is updated while the result is on its way to the disk.
    approvals.ledger.refuse_voters(id, &["U9".to_owned()]);
    drop(slow_disk);
    let written = approvals.ledger.store.submit(Vec::new());
    written.done().await.unwrap();
    // What a kill would leave: the copy is made before memory hears of the result.
    let copy = directory.path().join("copy.redb");
    std::fs::copy(path, &copy).unwrap();
    drop(completing);
    let next = open_in(StoreLocation::File(copy), 1).await;
    assert_eq!(next.find(id, "agent").unwrap().state, State::Done);
    assert_eq!(next.result(id, "agent").as_deref(), Some(RESULT));
    next.close().await;
    approvals.close().await;
}

/// Waits until the store can be written again, which the writer tries by itself.
async fn recovered(approvals: &Approvals) {
    while approvals.health().store.is_some() {
        tokio::time::sleep(MEANWHILE / 10).await;
    }
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_loses_nothing_and_lets_nothing_through() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::File(directory.path().join("approvals.redb"));
    let approvals = open_in(location.clone(), 1).await;
    let kept = request(&approvals).await.unwrap();
    let digest = digest("agent", "tool", None);
    approvals.fail_writes(true);
    // In memory, and on disk as soon as that is possible.
    approvals.decide(kept);
    while approvals.health().store.is_none() {
        tokio::time::sleep(MEANWHILE / 10).await;
    }
    let claim = approvals.claim(kept, "agent", &digest).await.map(drop);
    assert!(matches!(claim, Err(ClaimError::Store(_))), "{claim:?}");
    let mut other = call();
    other.tool = "other";
    let asked = approvals.request(other).await;
    assert!(matches!(asked, Err(RequestError::Store(_))), "{asked:?}");
    assert_eq!(approvals.list("agent").len(), 1);

    approvals.fail_writes(false);
    recovered(&approvals).await;
    approvals.request(other).await.unwrap();
    approvals.close().await;
    let approvals = open_in(location, 1).await;
    assert_eq!(
        approvals.find(kept, "agent").unwrap().state,
        State::Approved
    );
    assert_eq!(approvals.list("agent").len(), 2);
    approvals.close().await;
}

#[tokio::test]
async fn a_claim_that_the_disk_does_not_take_is_used_up_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::File(directory.path().join("approvals.redb"));
    let approvals = open_in(location.clone(), 1).await;
    let (id, digest) = approved(&approvals).await;
    approvals.fail_writes(true);
    let claim = approvals.claim(id, "agent", &digest).await.map(drop);
    assert!(matches!(claim, Err(ClaimError::Store(_))), "{claim:?}");
    approvals.fail_writes(false);
    recovered(&approvals).await;
    approvals.close().await;
    let approvals = open_in(location, 1).await;
    let view = approvals.find(id, "agent").unwrap();
    assert_eq!(view.state, State::Failed);
    assert!(
        view.explain().contains("the call was not made"),
        "{}",
        view.explain()
    );
    approvals.close().await;
}

#[tokio::test]
async fn a_result_outlasts_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::File(directory.path().join("approvals.redb"));
    let approvals = open_in(location.clone(), 1).await;
    let (id, claim) = claimed(&approvals).await;
    approvals.fail_writes(true);
    claim.complete(Some(RESULT.to_vec())).await;
    assert_eq!(approvals.result(id, "agent").as_deref(), Some(RESULT));
    approvals.fail_writes(false);
    recovered(&approvals).await;
    approvals.close().await;
    let approvals = open_in(location, 1).await;
    assert_eq!(approvals.result(id, "agent").as_deref(), Some(RESULT));
    approvals.close().await;
}
