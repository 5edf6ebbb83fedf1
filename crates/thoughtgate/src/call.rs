//! A request as an author of policies describes it: agent with its claims, method, name or URI, arguments and
//! time.
//!
//! Only data and its conversion to a query; `cases.rs` and `explain.rs` have it decided.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thoughtgate_policy::{
    Claims, Datetime, Declared, Plain, Principal, Query, StatedError, Target,
};

/// A request to decide.
#[derive(Debug)]
pub struct Call {
    /// Id of the agent.
    pub agent: String,
    /// The claims of its token; `None` if none are declared.
    pub claims: Option<Claims>,
    /// The request.
    pub asked: Asked,
    /// The arguments of a `tools/call`, as JSON.
    pub arguments: Option<Box<RawValue>>,
    /// The time of the request; the present if there is none.
    pub at: Option<SystemTime>,
}

/// The facts about agents that the configuration has.
#[derive(Debug)]
pub struct Agents<'c> {
    /// The agent that all requests are attributed to; `None` if they bring their own.
    pub fixed: Option<&'c str>,
    /// The claims that policies may read.
    pub declared: Declared,
}

impl Agents<'_> {
    /// The claims of an agent's token that an author states by their declared names; `None` if none are
    /// declared. The errors are all mistakes in them.
    pub fn claims(&self, stated: &Map<String, Value>) -> Result<Option<Claims>, Vec<StatedError>> {
        let claims = Claims::stated(&self.declared, stated)?;
        Ok((!self.declared.is_empty()).then_some(claims))
    }
}

/// Method of a request, with the name or URI that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// `tools/call` of the tool with this name.
    Tool(String),
    /// `prompts/get` of the prompt with this name.
    Prompt(String),
    /// A method of the `resources/…` that has a URI.
    Resource {
        /// The method.
        method: String,
        /// The URI.
        uri: String,
    },
    /// Any other method, or `GET` or `DELETE` for requests without a message.
    Method(String),
}

impl Asked {
    /// The request of this method for this name or URI. The error says what is missing or too much.
    pub fn of(method: &str, subject: Option<&str>) -> Result<Asked, &'static str> {
        match (Target::of_request(method, subject, subject), subject) {
            (Target::Tool(name), Some(_)) => Ok(Asked::Tool(name.to_owned())),
            (Target::Prompt(name), Some(_)) => Ok(Asked::Prompt(name.to_owned())),
            (Target::Resource { method, uri }, Some(_)) => Ok(Asked::Resource {
                method: method.to_owned(),
                uri: uri.to_owned(),
            }),
            (Target::Tool(_), None) => Err("`tools/call` needs the name of a tool"),
            (Target::Prompt(_), None) => Err("`prompts/get` needs the name of a prompt"),
            (Target::Resource { .. }, None) => Err("this method needs the URI of a resource"),
            (_, None) => Ok(Asked::Method(method.to_owned())),
            (_, Some(_)) => Err("this method has no name or URI that policies see"),
        }
    }

    fn target(&self) -> Target<'_> {
        match self {
            Asked::Tool(name) => Target::Tool(name),
            Asked::Prompt(name) => Target::Prompt(name),
            Asked::Resource { method, uri } => Target::Resource { method, uri },
            Asked::Method(method) => match method.as_str() {
                "GET" => Target::Plain(Plain::Stream),
                "DELETE" => Target::Plain(Plain::SessionDelete),
                method if method.starts_with("notifications/") => {
                    Target::Plain(Plain::Notification)
                }
                method => Target::Method(method),
            },
        }
    }

    /// The request in words, such as "a call of `deploy`".
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Asked::Tool(name) => format!("a call of the tool `{name}`"),
            Asked::Prompt(name) => format!("`prompts/get` of `{name}`"),
            Asked::Resource { method, uri } => format!("`{method}` of `{uri}`"),
            Asked::Method(method) => format!("`{method}`"),
        }
    }
}

impl Call {
    /// The query for the engine.
    pub fn query(&self) -> Query<'_> {
        Query {
            principal: Principal {
                id: &self.agent,
                claims: self.claims.as_ref(),
            },
            target: self.asked.target(),
            arguments: self.arguments.as_deref().map(Into::into),
            now: self.at.unwrap_or_else(SystemTime::now),
        }
    }
}

/// The time that `text` gives in RFC 3339. The error says which form is expected.
pub fn time(text: &str) -> Result<SystemTime, &'static str> {
    // The short forms, such as one with a blank for the `T`, are UTC.
    let time = match Datetime::of(text) {
        Some(parts) => at(&parts),
        None => humantime::parse_rfc3339_weak(text).ok(),
    };
    time.ok_or(
        "not a valid time; expected RFC 3339, as in 2026-01-05T23:00:00Z or \
         2026-01-06T00:00:00+01:00, not before 1970",
    )
}

fn at(parts: &Datetime<'_>) -> Option<SystemTime> {
    let local = humantime::parse_rfc3339_weak(&parts.local()).ok()?;
    let offset = parts.offset_minutes()?;
    let minutes = Duration::from_secs(u64::from(offset.unsigned_abs()) * 60);
    let time = if offset < 0 {
        local.checked_add(minutes)
    } else {
        local.checked_sub(minutes)
    };
    time.filter(|time| *time >= SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_the_subject_that_it_needs_and_no_other() {
        let resource = |method: &str| Asked::Resource {
            method: method.to_owned(),
            uri: "x".to_owned(),
        };
        for (method, expected) in [
            ("tools/call", Asked::Tool("x".to_owned())),
            ("prompts/get", Asked::Prompt("x".to_owned())),
            ("resources/read", resource("resources/read")),
            ("resources/subscribe", resource("resources/subscribe")),
        ] {
            assert_eq!(Asked::of(method, Some("x")), Ok(expected));
            assert!(Asked::of(method, None).is_err(), "{method}");
        }
        assert!(Asked::of("tools/list", Some("x")).is_err());
        let list = Asked::of("tools/list", None).unwrap();
        assert_eq!(list.target(), Target::Method("tools/list"));
        for (method, plain) in [
            ("GET", Plain::Stream),
            ("DELETE", Plain::SessionDelete),
            ("notifications/initialized", Plain::Notification),
        ] {
            let asked = Asked::of(method, None).unwrap();
            assert_eq!(asked.target(), Target::Plain(plain));
        }
    }

    #[test]
    fn a_time_has_its_offset() {
        let utc = time("2026-01-05T23:00:00Z");
        assert!(utc.is_ok());
        for text in [
            "2026-01-06T00:00:00+01:00",
            "2026-01-05T17:30:00-05:30",
            "2026-01-05t23:00:00.000000z",
            "2026-01-05 23:00:00",
        ] {
            assert_eq!(time(text), utc, "{text}");
        }
        for text in [
            "2026-01-05",
            "23:00",
            "2026-01-05T23:00:00+24:00",
            "2026-02-30T23:00:00+01:00",
            "1970-01-01T00:00:00+01:00",
            "soon",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
