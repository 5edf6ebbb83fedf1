//! Accepted messages, and refused ones with the reason.

use super::*;

fn read(body: &str) -> Result<String, String> {
    let limits = Limits { depth: 8 };
    match parse(body.as_bytes(), &limits) {
        Ok(envelope) => Ok(format!(
            "{:?} {} {}",
            envelope.kind,
            envelope.method,
            envelope.params.name.unwrap_or_default()
        )),
        Err(refusal) => Err(format!(
            "{} {} {} {}",
            refusal.status,
            refusal.code,
            refusal.id.as_ref().map_or("-", |id| id.get()),
            refusal.message
        )),
    }
}

#[test]
fn messages_are_told_apart() {
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#,
            "Request tools/call x",
        ),
        (
            r#" {"id":"a","params":{"n\u0061me":"\u0078"},"method":"tools\/call","jsonrpc":"2.0","extra":[1]} "#,
            "Request tools/call x",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            "Notification notifications/initialized ",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}"#,
            "Notification tools/call x",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "Response  "),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#,
            "Response  ",
        ),
    ] {
        assert_eq!(read(body).as_deref(), Ok(expected), "{body}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn everything_else_is_refused_with_the_id_where_it_is_known() {
    for (body, expected) in [
        ("", "400 -32700 - "),
        ("{", "400 -32700 - "),
        ("{} {}", "400 -32700 - "),
        ("{}\0", "400 -32700 - "),
        ("\u{feff}{}", "400 -32700 - "),
        ("[]", "400 -32600 - batches"),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            "400 -32600 - batches",
        ),
        ("3", "400 -32600 - the message must be an object"),
        ("{}", "400 -32600 - `jsonrpc`"),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            "400 -32600 1 `jsonrpc`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1}"#,
            "400 -32600 1 the message has neither",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":3}"#,
            "400 -32600 1 `method`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            "400 -32600 - `id`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            "400 -32600 - `id`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            "400 -32600 - `id`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            "400 -32600 1 a message has either",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
            "400 -32600 - the message has the duplicate key `method`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"x"}"#,
            "400 -32600 - the message has the duplicate key `method`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
            "400 -32600 - the message has the key `Method`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#,
            "400 -32600 - the message has the key `paramſ`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            "400 -32600 1 params must be an object",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            "400 -32600 1 params has the duplicate key `name`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
            "400 -32600 1 params has the key `Name`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"a":1,"a":2},"name":"a"}}"#,
            "400 -32600 1 params._meta has the duplicate key `a`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{}}"#,
            "400 -32602 \"q\" `tools/call` needs",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call"}"#,
            "400 -32602 2 `tools/call` needs",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":1}}"#,
            "400 -32602 2 params.name must be a string",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"\ud800"}}"#,
            "400 -32602 2 params.name must be a string",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":{"_meta":{"progressToken":"\ud800"}}}"#,
            "400 -32602 2 params._meta.progressToken must be a string or a number",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":{"_meta":{"progressToken":[1]}}}"#,
            "400 -32602 2 params._meta.progressToken must be a string or a number",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":{"a":[[[[[[[1]]]]]]]}}"#,
            "400 -32600 - the body is nested deeper",
        ),
    ] {
        let Err(refused) = read(body) else {
            panic!("accepted: {body}")
        };
        assert!(
            refused.starts_with(expected),
            "{body}\n{refused}\n{expected}"
        );
    }
}

#[test]
fn a_progress_token_keeps_its_spelling() {
    for (token, kept) in [
        ("1e999", Some("1e999")),
        ("-1E400", Some("-1E400")),
        ("12345678901234567890123", Some("12345678901234567890123")),
        ("1.0", Some("1.0")),
        (r#""\u0061""#, Some(r#""\u0061""#)),
        ("null", None),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{{"progressToken":{token}}}}}}}"#
        );
        let envelope = parse(body.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(envelope.params.progress_token.map(JsonText::get), kept);
    }
}

#[test]
fn an_optional_member_that_is_null_is_absent() {
    for params in [
        "null",
        r#"{"_meta":null}"#,
        r#"{"task":null,"requestState":null,"inputResponses":null,"_meta":{}}"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params": {params} }}"#);
        let params = parse(body.as_bytes(), &Limits::default()).unwrap().params;
        assert!(params.task.is_none(), "{body}");
        assert!(params.request_state.is_none(), "{body}");
        assert!(params.input_responses.is_none(), "{body}");
        assert!(params.progress_token.is_none(), "{body}");
    }
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#;
    let refused = parse(body, &Limits::default()).unwrap_err();
    assert_eq!(refused.message, "`tools/call` needs `params.name`");
}

#[test]
fn a_cancelled_request_id_keeps_its_spelling() {
    for id in ["7", "\"7\"", r#""\u0037""#, "[1]"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId": {id} }}}}"#
        );
        let envelope = parse(body.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(envelope.params.request_id.map(JsonText::get), Some(id));
    }
}

#[test]
fn what_a_reader_in_c_or_one_that_ignores_case_takes_for_another_is_refused() {
    let nul = "contains U+0000";
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method\u0000":"tools/call","method":"ping"}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","x\u0000y":1}"#,
            nul,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping\u0000"}"#, nul),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\u0000b"}}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name\u0000":"b"}}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a\u0000"}}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"\u0000"}}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","requestState":"\u0000"}}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"a\u0000":1}}}"#,
            nul,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call","method":"ping"}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","re\u017fult":1}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","argument\u017f":{}}}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_META":{}}}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progresstoken":1}}}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"a"}}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tool\u017f/list"}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list\u200b"}"#,
            "differs only in case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","\uff50arams":{}}"#,
            "differs only in case",
        ),
    ] {
        let refused = read(body).unwrap_err();
        assert!(refused.contains(expected), "{body}\n{refused}");
        assert!(!refused.contains('\0'), "{refused:?}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"A b ","arguments":{"a\u0000":"\u0000"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"Ping","params":{"x":"\u0000"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/lists"}"#,
    ] {
        assert!(read(body).is_ok(), "{body}");
    }
}

#[test]
fn one_pass_reads_what_several_do() {
    let whole = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,"b"]},"_meta":{"progressToken":7}}}"#;
    let mut accepted = 0;
    // Bytes left out, inserted or replaced make every kind of half-broken message.
    for at in 0..whole.len() {
        for put in ["", "\"", "{", "}", "[", ",", ":", "\\", "1", "_", "P"] {
            for left_out in [0, 1, 8] {
                let end = whole.len().min(at + left_out);
                let text = format!("{}{put}{}", &whole[..at], &whole[end..]);
                let one = Object::read(&text, &PATH).or_else(|_| Object::read(&text, &[]));
                let several = Object::read(&text, &[]);
                let told = |object: Result<Object<'_>, Unclear>| match object {
                    Ok(object) => {
                        format!("{:?}", Parts::of(object.top()).and_then(Parts::envelope))
                    }
                    Err(_) => format!("{:?}", Err::<Envelope<'_>, _>(unreadable(&text))),
                };
                let one = told(one);
                accepted += u32::from(one.starts_with("Ok"));
                assert_eq!(one, told(several), "{text}");
            }
        }
    }
    assert!(accepted > 300, "{accepted}");
}

#[test]
fn neither_depth_nor_size_nor_bytes_bring_it_down() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&deep).unwrap_err().contains("nested deeper"));
    let many: String =
        (0..50_000).fold(String::new(), |many, key| many + &format!("\"k{key}\":0,"));
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{{many}\"name\":\"x\"}}}}"
    );
    assert_eq!(read(&body).as_deref(), Ok("Request ping x"));
    let twice = body.replace("\"k49999\"", "\"k7\"");
    assert!(read(&twice).unwrap_err().contains("duplicate key `k7`"));
    let refusal = parse(
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
        &Limits { depth: 8 },
    )
    .unwrap_err();
    assert_eq!((refusal.status, refusal.code), (400, codes::PARSE_ERROR));
}
