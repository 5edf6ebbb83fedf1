//! The answers to refused calls: results of tools, which a model can read, and errors where those are
//! asked for.

use serde_json::{Value, json};
use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::{self, MockMcp};

use crate::support::{
    Proxy, before, borrowed, call, is_permitted, modern_call, pair, policy, refusal, told,
};

const POLICIES: &str = r#"
    permit (principal, action == Action::"tools/call", resource in ToolGroup::"known");
    @id("no rm") @reason("files are restored by hand.")
    forbid (principal, action == Action::"tools/call", resource == Tool::"rm");
    @id("small") @reason("more than ten at once overload the server")
    forbid (principal, action == Action::"tools/call", resource == Tool::"many")
        when { context.arguments has n && context.arguments.n > 10 };
    @id("office hours")
    forbid (principal, action == Action::"tools/call", resource == Tool::"late")
        when { context.now > datetime("2000-01-01") };
    @id("product") @reason("two are enough")
    forbid (principal, action == Action::"tools/call", resource == Tool::"times")
        when { context.arguments has n && context.arguments.n * 9223372036854775807 > 0 };
    @id("srv") permit (principal, action == Action::"tools/call", resource == Tool::"read")
        when { context.arguments has path && context.arguments.path like "/srv/*" };
"#;

fn start(environment: &[(&str, &str)]) -> (MockMcp, Proxy) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(POLICIES);
    let url = upstream.url();
    let groups = ("THOUGHTGATE_TOOL_GROUPS", "{known: [rm, many, late]}");
    let environment = [&[groups], environment].concat();
    let proxy = Proxy::with(&before(&url, file.path()), &environment);
    (upstream, proxy)
}

fn call_with(tool: &str, arguments: &Value) -> String {
    call(tool).replace(r#""arguments":{}"#, &format!(r#""arguments":{arguments}"#))
}

#[tokio::test]
async fn a_refusal_tells_the_model_who_refused_why_and_what_can_help() {
    let (upstream, proxy) = start(&[]);
    let response = proxy.post(&call("rm")).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.json(),
        json!({"jsonrpc": "2.0", "id": 7, "result": {
            "content": [{"type": "text", "text": "The call of tool `rm` was refused by policy `no rm`. Reason: files are restored by hand. Do not send this call again: it would be refused again."}],
            "isError": true,
            "_meta": {"thoughtgate/refusal": {
                "code": 40301,
                "tool": "rm",
                "policies": ["no rm"],
                "reasons": ["files are restored by hand."],
                "retry": false,
                "advice": "Do not send this call again: it would be refused again.",
            }},
        }})
    );
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn an_error_is_among_the_facts_with_its_policy_and_its_argument() {
    let (_upstream, proxy) = start(&[]);
    for (tool, arguments, policies, argument, error) in [
        (
            "read",
            json!({"path": ["secret"]}),
            json!([]),
            json!("path"),
            "argument `path` is an array, but policies read it as a string",
        ),
        (
            "times",
            json!({"n": 2}),
            json!(["product"]),
            Value::Null,
            "error while evaluating policy `product`, which reads `n`: a calculation overflows",
        ),
    ] {
        let answer = proxy.post(&call_with(tool, &arguments)).await.json();
        let facts = refusal(&answer);
        assert!(told(&answer).contains(error), "{answer}");
        assert_eq!(
            (&facts["error"], &facts["policies"], &facts["argument"]),
            (&json!(error), &policies, &argument)
        );
        // The policy has not refused the call for its reason.
        assert_eq!(facts["reasons"], json!([]));
    }
    let facts = proxy.post(&call("rm")).await.json();
    assert_eq!(refusal(&facts).get("error"), None);
}

#[tokio::test]
async fn arguments_that_are_null_are_absent() {
    let (upstream, proxy) = start(&[]);
    let body = call_with("many", &Value::Null);
    assert!(is_permitted(&proxy.post(&body).await.json()));
    assert_eq!(upstream.stats().requests, 1);
}

#[tokio::test]
async fn a_refusal_says_whether_the_same_call_can_help() {
    let (upstream, proxy) = start(&[]);
    for (tool, arguments, says, advice, helps) in [
        (
            "many",
            json!({"n": 11}),
            "by policy `small`. Reason: more than ten",
            "other arguments",
            false,
        ),
        (
            "late",
            json!({}),
            "by policy `office hours`.",
            "later",
            true,
        ),
        (
            "read",
            json!({"path": "/etc/secret"}),
            ": no policy permits it.",
            "other arguments",
            false,
        ),
        (
            "unknown",
            json!({}),
            ": no policy permits it.",
            "refused again.",
            false,
        ),
        (
            "read",
            json!({"path": ["secret"]}),
            "argument `path` is",
            "other arguments",
            false,
        ),
    ] {
        let answer = proxy.post(&call_with(tool, &arguments)).await.json();
        let facts = refusal(&answer);
        let text = told(&answer);
        assert!(text.contains(says) && !text.contains("secret"), "{text}");
        assert!(
            facts["advice"].as_str().unwrap().contains(advice),
            "{facts}"
        );
        assert_eq!(
            (&facts["tool"], &facts["retry"]),
            (&json!(tool), &json!(helps))
        );
    }
    assert!(is_permitted(
        &proxy
            .post(&call_with("many", &json!({"n": 10})))
            .await
            .json()
    ));
    assert_eq!(upstream.stats().requests, 1);
    let refused = |outcome: &str| format!("thoughtgate_decisions_total{{outcome=\"{outcome}\"}}");
    assert_eq!(proxy.metric(&refused("reject")).await, Some(4.0));
    assert_eq!(proxy.metric(&refused("error")).await, Some(1.0));
}

#[tokio::test]
async fn a_modern_client_gets_a_complete_result() {
    let (_upstream, proxy) = start(&[]);
    let (body, headers) = modern_call("rm");
    let response = client::post_json(&proxy.url(), &borrowed(&headers), body)
        .await
        .unwrap();
    let answer = response.json();
    assert_eq!(refusal(&answer)["code"], 40301);
    assert_eq!(answer["result"]["resultType"], "complete");
}

#[tokio::test]
async fn only_calls_that_expect_a_tools_result_get_one() {
    let (upstream, proxy) = start(&[]);
    let silent = proxy.post(&call("rm").replace(r#""id":7,"#, "")).await;
    assert_eq!(silent.status, 403);
    let plain = proxy.post(&call("rm")).await.json();
    let error = json!({"code": 40301, "message": "refused by policy", "data": refusal(&plain)});
    assert_eq!(silent.json()["error"], error);
    assert_eq!(error["data"]["tool"], "rm");
    for method in ["prompts/get", "resources/read", "made/up"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{"name":"rm","uri":"x:y"}}}}"#
        );
        let answer = proxy.post(&body).await.json();
        assert_eq!(answer["error"]["code"], 40301, "{answer}");
    }
    // In 2025-11-25 a request for a task is answered by a task or an error.
    let task = call("rm").replace(r#""arguments":{}"#, r#""task":{"ttl":1}"#);
    let task = proxy.post(&task).await.json();
    // Its text is for the model as well, with the facts that a result has.
    assert_eq!(task["error"]["code"], 40301, "{task}");
    assert_eq!(task["error"]["message"], told(&plain), "{task}");
    assert_eq!(&task["error"]["data"], refusal(&plain), "{task}");
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn errors_where_they_are_asked_for_have_the_facts_of_a_result() {
    let (_upstream, results) = start(&[]);
    let facts = results.post(&call("rm")).await.json();
    let (_upstream, proxy) = start(&[("THOUGHTGATE_REFUSALS", "error")]);
    let response = proxy.post(&call("rm")).await;
    assert_eq!(response.status, 200);
    let error = json!({"code": 40301, "message": "refused by policy", "data": refusal(&facts)});
    assert_eq!(
        response.json(),
        json!({"jsonrpc": "2.0", "id": 7, "error": error})
    );
}

#[tokio::test]
async fn names_that_could_mislead_a_reader_are_spelled_out() {
    let (_upstream, proxy) = pair("");
    let name = format!("a\\u202e`b{}", "x".repeat(5000));
    let answer = proxy.post(&call(&name)).await.json();
    let shown = refusal(&answer)["tool"].as_str().unwrap();
    assert!(shown.starts_with("a\\u{202e}ˋbxx"), "{shown}");
    assert!(answer.to_string().len() < 1500, "{answer}");
}
