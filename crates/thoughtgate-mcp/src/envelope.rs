//! One JSON-RPC message, parsed as far as a gateway must and borrowed from the body.
//!
//! What two readers could read differently is refused: duplicate keys, keys that differ in case, a
//! message that is request and response at once.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::codes;
use crate::fold::folds_to_one_of;
use crate::members::{Object, Unclear, has_nul, string};
use crate::params::{Params, invalid};
use crate::refusal::Refusal;
use crate::scan::{self, Limits};

const GOVERNED: [&str; 6] = ["error", "id", "jsonrpc", "method", "params", "result"];
/// Methods that are decided by a name in them, or whose answers are read.
const METHODS: [&str; 13] = [
    "tools/call",
    "tools/list",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "notifications/cancelled",
    "tasks/get",
    "tasks/list",
    "tasks/update",
    "tasks/cancel",
    "tasks/result",
];
/// The objects whose members are governed, each in the one before.
const PATH: [&str; 2] = ["params", "_meta"];

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result or an error.
    Response,
}

/// One message.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// What kind of message it is.
    pub kind: Kind,
    /// The id as raw JSON; none for a notification.
    pub id: Option<&'a RawValue>,
    /// The method; empty for a response.
    pub method: Cow<'a, str>,
    /// The governed part of `params`.
    pub params: Params<'a>,
}

/// Reads one message, or says why it is refused.
pub fn parse<'a>(body: &'a [u8], limits: &Limits) -> Result<Envelope<'a>, Refusal> {
    let text = scan::text(body, *limits)?;
    // What is not as it should be is read again member by member, to be refused for the right reason.
    let object = Object::read(text, &PATH).or_else(|_| Object::read(text, &[]));
    Parts::of(object.map_err(|_| unreadable(text))?)?.envelope()
}

/// Why `text` is not an object, which takes a reading of its own to tell.
fn unreadable(text: &str) -> Refusal {
    let refuse = |code: i64, message: String| Refusal::bad_request(code, message, None);
    match serde_json::from_str::<&RawValue>(text) {
        Err(error) => refuse(codes::PARSE_ERROR, format!("the body is not JSON: {error}")),
        Ok(raw) if raw.get().starts_with('[') => refuse(
            codes::INVALID_REQUEST,
            "batches are not supported; send one message a request".to_owned(),
        ),
        Ok(_) => {
            let (code, message) = invalid("the message", &Unclear::NotAnObject);
            refuse(code, message)
        }
    }
}

/// The members of the envelope, before they are judged together.
#[derive(Default)]
struct Parts<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    /// The members of `params`, where they are known already.
    inner: Option<Box<Object<'a>>>,
    answer: bool,
}

impl<'a> Parts<'a> {
    fn of(object: Object<'a>) -> Result<Parts<'a>, Refusal> {
        object.check(GOVERNED).map_err(|unclear| {
            let (code, message) = invalid("the message", &unclear);
            Refusal::bad_request(code, message, None)
        })?;
        let mut parts = Parts {
            inner: object.inner,
            ..Parts::default()
        };
        for (key, value) in object.members {
            match key.as_ref() {
                "jsonrpc" => parts.jsonrpc = Some(value),
                "id" => parts.id = Some(value),
                "method" => parts.method = Some(value),
                "params" => parts.params = Some(value),
                "result" | "error" => parts.answer = true,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn envelope(self) -> Result<Envelope<'a>, Refusal> {
        let id = self.id.filter(|id| is_id(id));
        let refuse = |code: i64, message: String| Refusal::bad_request(code, message, id);
        let invalid = |message: &str| refuse(codes::INVALID_REQUEST, message.to_owned());
        if self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return Err(invalid("`jsonrpc` must be \"2.0\""));
        }
        if self.id.is_some()
            && id.is_none()
            && !(self.answer && self.id.is_some_and(|id| id.get() == "null"))
        {
            return Err(invalid("`id` must be a string or an integer"));
        }
        if self.answer {
            if self.method.is_some() {
                return Err(invalid(
                    "a message has either a method or a result, not both",
                ));
            }
            return Ok(Envelope {
                kind: Kind::Response,
                id,
                method: Cow::Borrowed(""),
                params: Params::default(),
            });
        }
        let Some(method) = self.method else {
            return Err(invalid("the message has neither a method nor a result"));
        };
        let Some(method) = string(method) else {
            return Err(invalid("`method` must be a string"));
        };
        if let Some(message) = is_lookalike(&method) {
            return Err(invalid(message));
        }
        let params = match self.params {
            Some(params) => {
                Params::read(params, self.inner).map_err(|(code, message)| refuse(code, message))?
            }
            None => Params::default(),
        };
        if method == "tools/call" && params.name.is_none() {
            // Without a name there is nothing to decide on; what else may lack is the server's to say.
            return Err(refuse(
                codes::INVALID_PARAMS,
                "`tools/call` needs `params.name`".to_owned(),
            ));
        }
        let kind = if self.id.is_some() {
            Kind::Request
        } else {
            Kind::Notification
        };
        Ok(Envelope {
            kind,
            id,
            method,
            params,
        })
    }
}

/// Why some server may take a method for another one that is decided by its name.
fn is_lookalike(method: &str) -> Option<&'static str> {
    if has_nul(method) {
        return Some("`method` contains U+0000, where some servers end a string");
    }
    if METHODS.contains(&method) || folds_to_one_of(method, METHODS).is_none() {
        return None;
    }
    Some("`method` differs only in case, width or hidden characters from one that is governed")
}

/// MCP's ids are strings or integers; a fraction could be rounded into another id.
fn is_id(raw: &RawValue) -> bool {
    let text = raw.get();
    text.starts_with('"')
        || text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
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
                "400 -32600 - the message has the key `method` twice",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"x"}"#,
                "400 -32600 - the message has the key `method` twice",
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
                "400 -32600 1 params has the key `name` twice",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
                "400 -32600 1 params has the key `Name`",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"a":1,"a":2},"name":"a"}}"#,
                "400 -32600 1 params._meta has the key `a` twice",
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
            assert_eq!(envelope.params.progress_token.map(RawValue::get), kept);
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
        // A byte left out, said twice, or in another's place makes every kind of half-broken message.
        for at in 0..whole.len() {
            for put in ["", "\"", "{", "}", "[", ",", ":", "\\", "1", "_", "P"] {
                for left_out in [0, 1, 8] {
                    let end = whole.len().min(at + left_out);
                    let text = format!("{}{put}{}", &whole[..at], &whole[end..]);
                    let one = Object::read(&text, &PATH).or_else(|_| Object::read(&text, &[]));
                    let several = Object::read(&text, &[]);
                    let told = |object: Result<Object<'_>, Unclear>| {
                        let parts = object.map_err(|_| unreadable(&text)).and_then(Parts::of);
                        format!("{:?}", parts.and_then(Parts::envelope))
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
        assert!(read(&twice).unwrap_err().contains("`k7` twice"));
        let refusal = parse(
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
            &Limits { depth: 8 },
        )
        .unwrap_err();
        assert_eq!((refusal.status, refusal.code), (400, codes::PARSE_ERROR));
    }
}
