//! Approved calls of the session era that outlast their clients: the same call, sent again, gets the result, and
//! nothing is made twice.

use serde_json::{Value, json};
use thoughtgate_test::mock_mcp::{Fault, Hold};

use super::leaving::{asking, patient};
use super::{APPROVER, Message, Scene, held_call, log, repeated_call, retried_call};
use crate::support::{PATIENCE, Proxy, is_permitted, refusal, told};

const RUNNING: i64 = 42502;

/// Lets `call` be approved, and its client go away while it runs.
async fn abandon(scene: &Scene, proxy: &Proxy, call: Message) {
    let client = asking(proxy, call);
    scene.approve().await;
    scene.upstream.wait_for(|stats| stats.tool_calls == 1).await;
    client.abort();
    proxy.metric_is("thoughtgate_approvals_held", 0.0).await;
}

fn renamed(mut call: Message, id: &str) -> Message {
    call.body["id"] = json!(id);
    call
}

/// Checks that `call` gets the result, with its own id.
async fn collect(proxy: &Proxy, call: Message) {
    let end = renamed(call, "mine").end(proxy).await;
    assert!(is_permitted(&end), "{end}");
    assert_eq!(end["id"], "mine", "{end}");
}

async fn asks_anew(proxy: &Proxy) {
    let next = repeated_call().send(proxy).await.json();
    assert_eq!(refusal(&next)["state"], "pending", "{next}");
}

#[tokio::test]
async fn a_client_whose_call_outlasts_its_wait_is_told_to_come_back_for_the_result() {
    let scene = Scene::new().audited();
    scene.upstream.hold(Hold::Answer);
    let mut proxy = scene.start();
    let first = repeated_call().send(&proxy).await.json();
    assert_eq!(refusal(&first)["state"], "pending", "{first}");
    scene.approve().await;
    scene.message_says("Approved").await;
    for _ in 0..2 {
        let end = repeated_call().send(&proxy).await.json();
        let facts = refusal(&end);
        assert_eq!(
            (&facts["code"], &facts["retry"]),
            (&json!(RUNNING), &json!(true))
        );
        assert_eq!(facts["approval"], refusal(&first)["approval"]);
        let text = told(&end);
        for part in [
            "was approved: it is running, but not finished yet",
            "Send the same call again, with the same arguments, to get its result",
            "not executed again",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    scene.upstream.release();
    log(&proxy, "is kept until the call is sent again");
    collect(&proxy, repeated_call()).await;
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
    asks_anew(&proxy).await;
    assert_eq!(scene.calls(), 1);

    let lines = scene.audit(&mut proxy);
    let of = |decision: &str| {
        lines
            .iter()
            .filter(|line| line["decision"] == decision)
            .count()
    };
    assert_eq!((of("executing"), of("done"), of("failed")), (1, 1, 0));
    let collected = lines.iter().filter(|line| line["collected"] == true);
    let used = &refusal(&first)["approval"];
    let collected: Vec<_> = collected.map(|line| &line["approval"]).collect();
    assert_eq!(collected, [used]);
}

#[tokio::test]
async fn a_client_that_goes_away_finds_the_result_of_its_call() {
    for (call, sse) in [
        (repeated_call(), false),
        (repeated_call(), true),
        (held_call(), false),
        (held_call(), true),
    ] {
        let scene = patient();
        scene.upstream.turn(|knobs| knobs.sse = sse);
        scene.upstream.hold(Hold::Answer);
        let proxy = scene.start();
        abandon(&scene, &proxy, call.clone()).await;
        scene.upstream.release();
        log(
            &proxy,
            "is kept until the call is sent again: its client went away",
        );
        collect(&proxy, call).await;
        log(&proxy, "is collected");
        assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
    }
}

#[tokio::test]
async fn one_that_goes_away_within_the_answer_finds_all_of_it() {
    let scene = patient();
    scene.upstream.turn(|knobs| {
        (knobs.sse, knobs.sse_events) = (true, 1);
        knobs.hold = Hold::Stream;
    });
    let proxy = scene.start();
    let (open, ()) = {
        let call = repeated_call();
        tokio::join!(async { call.open(&proxy).await }, scene.approve())
    };
    let mut open = open;
    let first = open.next_data().await.unwrap().json();
    assert!(!first["method"].is_null(), "{first}");
    drop(open);
    proxy.metric_is("thoughtgate_connections", 1.0).await;
    log(
        &proxy,
        "is kept until the call is sent again: its client went away",
    );
    let again = renamed(repeated_call(), "mine");
    let mut again = again.open(&proxy).await;
    assert_eq!(again.next_data().await.unwrap().json(), first);
    scene.upstream.release();
    let end = super::answer(&mut again).await;
    assert!(is_permitted(&end) && end["id"] == "mine", "{end}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn the_same_call_waits_for_one_that_runs_and_one_of_several_gets_the_result() {
    let scene = patient();
    scene.upstream.hold(Hold::Answer);
    let proxy = scene.start();
    abandon(&scene, &proxy, repeated_call()).await;
    let calls = ["one", "two", "three"].map(|id| renamed(repeated_call(), id));
    let all = async {
        let [one, two, three] = &calls;
        tokio::join!(one.send(&proxy), two.send(&proxy), three.send(&proxy))
    };
    let release = async {
        proxy.metric_is("thoughtgate_requests_in_flight", 3.0).await;
        scene.upstream.release();
    };
    let ((one, two, three), ()) = tokio::join!(all, release);
    let ends = [one.json(), two.json(), three.json()];
    let got = ends.iter().filter(|end| is_permitted(end)).count();
    let not = |end: &&Value| !is_permitted(end) && refusal(end)["code"] == 40901;
    assert_eq!((got, ends.iter().filter(not).count()), (1, 2), "{ends:?}");
    assert_eq!(
        (&ends[0]["id"], &ends[2]["id"]),
        (&json!("one"), &json!("three"))
    );
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn only_the_same_user_of_the_same_era_joins_it() {
    let scene = Scene::new();
    scene.upstream.hold(Hold::Answer);
    let proxy = scene.start();
    let by = |call: Message, user| call.header("authorization", user);
    asks_anew(&proxy).await;
    scene.approve().await;
    scene.message_says("Approved").await;
    let end = by(repeated_call(), "Bearer ann").send(&proxy).await.json();
    assert_eq!(refusal(&end)["code"], RUNNING, "{end}");
    let end = by(retried_call(), "Bearer ann").send(&proxy).await.json();
    assert_eq!(refusal(&end)["code"], 40901, "{end}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
    let end = by(repeated_call(), "Bearer ben").send(&proxy).await.json();
    assert_eq!(refusal(&end)["state"], "pending", "{end}");
    scene.react(2, APPROVER, "x").await;
    scene.upstream.release();
    log(&proxy, "is kept until the call is sent again");
    collect(&proxy, by(repeated_call(), "Bearer ann")).await;
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_failure_is_kept_as_well() {
    let scene = patient();
    scene
        .upstream
        .turn(|knobs| knobs.fault = Fault::CloseBeforeAnswer);
    scene.upstream.hold(Hold::Answer);
    let proxy = scene.start();
    abandon(&scene, &proxy, repeated_call()).await;
    scene.upstream.release();
    log(
        &proxy,
        "is kept until the call is sent again: its client went away",
    );
    let end = renamed(repeated_call(), "mine").send(&proxy).await.json();
    assert_eq!(
        (&end["error"]["code"], &end["id"]),
        (&json!(50201), &json!("mine"))
    );
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn a_result_that_nobody_collects_is_dropped() {
    let scene = patient().with("APPROVAL_APPROVED_FOR", "1s");
    scene.upstream.hold(Hold::Answer);
    let proxy = scene.start();
    abandon(&scene, &proxy, repeated_call()).await;
    scene.upstream.release();
    log(&proxy, "is lost: the call was not sent again in time");
    let _anew = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(2).await;
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_call_and_not_for_its_client() {
    let scene = patient();
    scene.upstream.hold(Hold::Answer);
    let mut proxy = scene.start();
    abandon(&scene, &proxy, repeated_call()).await;
    proxy.process.terminate().unwrap();
    log(&proxy, "thoughtgate: stopping");
    scene.upstream.release();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    log(&proxy, "approval done");
}

#[tokio::test]
async fn of_two_clients_that_wait_for_one_approval_one_gets_the_result_and_the_other_is_told() {
    let scene = patient();
    let proxy = scene.start();
    let approve = async {
        proxy.metric_is("thoughtgate_approvals_held", 2.0).await;
        scene.approve().await;
    };
    let (one, other) = (repeated_call(), renamed(repeated_call(), "other"));
    let (one, other, ()) = tokio::join!(one.send(&proxy), other.send(&proxy), approve);
    let ends = [one.json(), other.json()];
    let (got, told_only): (Vec<_>, Vec<_>) = ends.iter().partition(|end| is_permitted(end));
    assert_eq!((got.len(), told_only.len()), (1, 1), "{ends:?}");
    let text = told(told_only[0]);
    assert!(
        text.contains("another request of the same call has got its result"),
        "{text}"
    );
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}
