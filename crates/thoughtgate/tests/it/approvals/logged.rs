//! Approvals in the log: who asked, who decided, and no argument.

use super::{APPROVER, Scene, held_call};
use crate::logs::line;

#[tokio::test]
async fn each_state_of_an_approval_has_a_line() {
    let scene = Scene::new().with("APPROVAL_HOLD", "20s");
    let proxy = scene.start();
    let call = held_call();
    let (answer, ()) = tokio::join!(call.end(&proxy), scene.approve());
    assert_eq!(answer["id"], 7, "{answer}");
    let requested = line(&proxy, "INFO thoughtgate: approval requested ");
    let (_, facts) = requested.split_once("requested ").unwrap();
    assert!(
        facts.ends_with(" agent=\"alice\" tool=\"deploy\""),
        "{requested}"
    );
    let id = facts.split(' ').next().unwrap();
    let decided = line(&proxy, "approval granted ");
    assert!(
        decided.contains(id) && decided.contains(&format!("decided_by=\"{APPROVER}\"")),
        "{decided}"
    );
    for event in ["approval used: its call is made", "approval done"] {
        assert!(line(&proxy, event).contains(id));
    }
    let log = proxy
        .process
        .output(thoughtgate_test::process::Output::Stderr)
        .join("\n");
    assert!(!log.contains("prod"), "{log}");
}
