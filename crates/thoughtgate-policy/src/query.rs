//! The input of [`Engine::decide`](crate::Engine::decide): an agent, an action on a resource, and the
//! arguments of the call.
//!
//! Only data; `scope.rs` and `arguments.rs` turn it into Cedar's types.

use std::time::SystemTime;

use thoughtgate_mcp::JsonText;

use crate::claims::Claims;

/// The agent that asks.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// Its id.
    pub id: &'a str,
    /// The declared claims of its token; `None` if it has no token, or none are declared.
    pub claims: Option<&'a Claims>,
}

impl<'a> From<&'a str> for Principal<'a> {
    /// An agent without a token.
    fn from(id: &'a str) -> Principal<'a> {
        Principal { id, claims: None }
    }
}

/// A request to decide.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The agent that asks.
    pub principal: Principal<'a>,
    /// The requested action and resource.
    pub target: Target<'a>,
    /// The arguments of a `tools/call` as received.
    pub arguments: Option<JsonText<'a>>,
    /// The time for `context.now`.
    pub now: SystemTime,
}

/// Action and resource of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// `tools/call` of the tool with this name.
    Tool(&'a str),
    /// `resources/read`, `resources/subscribe` or `resources/unsubscribe`.
    Resource {
        /// The method, which is also the action.
        method: &'a str,
        /// The resource's URI.
        uri: &'a str,
    },
    /// `prompts/get` of the prompt with this name.
    Prompt(&'a str),
    /// Any other method of a request, or of a message without an id whose method does not begin with
    /// `notifications/`.
    Method(&'a str),
    /// A message or HTTP request without an own method.
    Plain(Plain),
}

impl<'a> Target<'a> {
    /// The target of a JSON-RPC request; `name` and `uri` are those of its `params`, and an absent one counts
    /// as empty.
    #[must_use]
    pub fn of_request(method: &'a str, name: Option<&'a str>, uri: Option<&'a str>) -> Target<'a> {
        match method {
            "tools/call" => Target::Tool(name.unwrap_or_default()),
            "prompts/get" => Target::Prompt(name.unwrap_or_default()),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Target::Resource {
                    method,
                    uri: uri.unwrap_or_default(),
                }
            }
            _ => Target::Method(method),
        }
    }
}

/// Messages and HTTP requests whose action is not the name of a JSON-RPC method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// A message `notifications/…` without an id.
    Notification,
    /// A message with a result or an error.
    Response,
    /// GET of the endpoint.
    Stream,
    /// DELETE of the endpoint.
    SessionDelete,
}

impl Plain {
    /// All variants, for checks against the schema.
    pub const ALL: [Plain; 4] = [
        Plain::Notification,
        Plain::Response,
        Plain::Stream,
        Plain::SessionDelete,
    ];

    /// Name of the action in the schema. A JSON-RPC method of this name gets the action `other`.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Plain::Notification => "notifications",
            Plain::Response => "response",
            Plain::Stream => "stream",
            Plain::SessionDelete => "session/delete",
        }
    }
}
