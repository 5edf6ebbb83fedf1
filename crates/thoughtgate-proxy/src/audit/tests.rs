//! The bodies that lines are made of: how long they wait for the writer, and the room that they take.

use std::time::SystemTime;

use prometheus_client::registry::Registry;
use thoughtgate_policy::Decision;

use super::room::LINE_BYTES;
use super::*;

/// The queued subject of a call with `arguments`, and the room that its line holds.
async fn queued(arguments: &str, is_crowded: bool) -> (Asked, usize) {
    let settings = AuditSettings {
        sink: Sink::Stdout,
        wait: Duration::ZERO,
        when_full: WhenFull::Refuse,
        arguments: Chosen::default(),
    };
    let figures = Figures::registered(&mut Registry::default());
    let (audit, messages, _ending) = Audit::new(&settings, String::new(), 1024 * 1024, figures);
    let place = audit.place().await.unwrap().unwrap();
    while is_crowded && audit.room.take_line() {}
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}"#
    );
    let record = Record {
        time: SystemTime::now(),
        principal: "a".repeat(4096),
        caller: Caller::default(),
        asked: Asked::Message(body.into()),
        decision: Decision::error(&"e".repeat(4096)),
        observed: false,
        generation: 1,
        policies_sha256: None,
    };
    drop(place.trail(record, Instant::now()));
    let Ok(Message::Decision(line)) = messages.try_recv() else {
        panic!("nothing was queued");
    };
    assert!(line.record.principal.len() < 300);
    assert!(line.record.decision.error.unwrap().len() < 600);
    (line.record.asked, line.held)
}

#[tokio::test]
async fn a_body_waits_only_while_it_is_small_and_there_is_room_to_spare() {
    let (asked, held) = queued("{}", false).await;
    let Asked::Message(body) = asked else {
        panic!("digested at once");
    };
    assert_eq!(held, LINE_BYTES + body.len());
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(LATER_BYTES));
    for (arguments, is_crowded) in [(large.as_str(), false), ("{}", true)] {
        let (asked, held) = queued(arguments, is_crowded).await;
        let Asked::Known(subject) = asked else {
            panic!("a body of {} bytes waits", arguments.len());
        };
        assert!(subject.digest.is_some() && subject.method == "tools/call");
        assert_eq!(held, LINE_BYTES);
    }
}
