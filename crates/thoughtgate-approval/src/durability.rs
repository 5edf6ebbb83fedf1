//! Tests of order: what must be on disk before something else happens. They hold up the store's
//! writer, as a slow disk would, and look at what happens meanwhile.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::{Approvals, Call, RequestError, Secret, Settings, SlackSettings, State, StoreLocation};

/// Long enough for anything that does not wait for the disk.
const MEANWHILE: Duration = Duration::from_millis(200);

async fn open(port: u16) -> Approvals {
    let mut slack = SlackSettings::new(Secret::new("xoxb"), "C1");
    slack.base_url = format!("http://127.0.0.1:{port}");
    slack.approvers = vec!["U1".to_owned()];
    Approvals::open(Settings::new(StoreLocation::Memory, slack))
        .await
        .unwrap()
}

fn request(approvals: &Approvals) -> impl Future<Output = Result<crate::Id, RequestError>> + use<> {
    let approvals = approvals.clone();
    async move {
        let call = Call {
            principal: "agent",
            tool: "tool",
            arguments: None,
            channel: None,
            body: None,
            policies: &[],
            generation: 1,
        };
        approvals.request(call).await
    }
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
async fn a_claim_waits_for_the_disk_and_comes_back_to_nobody() {
    let approvals = open(1).await;
    let id = request(&approvals).await.unwrap();
    let digest = crate::digest("agent", "tool", None);
    approvals.decide(id);
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
    let id = request(&approvals).await.unwrap();
    let digest = crate::digest("agent", "tool", None);
    approvals.decide(id);
    let until = approvals.find(id, "agent").unwrap().expires_ms;
    let slow_disk = approvals.stall();
    let claiming = approvals.claim(id, "agent", &digest);
    assert!(tokio::time::timeout(MEANWHILE, claiming).await.is_err());
    // A claim that is given back does not make the approval last longer.
    assert_eq!(approvals.find(id, "agent").unwrap().expires_ms, until);
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
async fn a_result_can_be_read_before_the_disk_has_it() {
    let approvals = open(1).await;
    let id = request(&approvals).await.unwrap();
    approvals.decide(id);
    let digest = crate::digest("agent", "tool", None);
    let claim = approvals.claim(id, "agent", &digest).await.unwrap();
    let slow_disk = approvals.stall();
    let told = tokio::time::timeout(MEANWHILE, claim.complete(Some(b"result".to_vec()))).await;
    assert!(told.is_err());
    assert_eq!(
        approvals.result(id, "agent").as_deref(),
        Some(b"result".as_slice())
    );
    drop(slow_disk);
}
