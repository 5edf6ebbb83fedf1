//! A redirect of the upstream, and its address as text.
//!
//! Follows nothing; `location.rs` says whether it may be followed.

use http::{Response, StatusCode, header};

use crate::address::without_secrets;
use crate::headers::sole;

/// Limit of the redirects that one request follows.
pub const REDIRECTS_MAX: usize = 3;
/// Longest address that is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 200;
/// Length from which a part of the upstream's path may be a token: hosted servers put tokens into it.
const TOKEN_BYTES_MIN: usize = 16;
/// Text in the place of one.
const HIDDEN: &str = "***";

/// An answer with a status of 3xx.
#[derive(Debug)]
pub struct Redirect {
    pub status: StatusCode,
    /// As the upstream sent it, if it sent exactly one in UTF-8.
    pub location: Option<String>,
    /// Parts of a path that are not shown.
    hidden: Vec<String>,
}

impl Redirect {
    /// Whether the answer has to be followed or refused. 304 is none: it answers a conditional request.
    pub fn is_one<B>(response: &Response<B>) -> bool {
        response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED
    }

    pub fn of<B>(response: &Response<B>) -> Redirect {
        let location = sole(response.headers(), &header::LOCATION);
        Redirect {
            status: response.status(),
            location: location.map(str::to_owned),
            hidden: Vec::new(),
        }
    }

    /// Shows no part of `path`, that of the upstream's URL, which may be a token. A redirect often leads to
    /// the same path with another end.
    #[must_use]
    pub fn hiding(mut self, path: &str) -> Redirect {
        let parts = path.split('/');
        let tokens = parts.filter(|part| part.len() >= TOKEN_BYTES_MIN);
        self.hidden = tokens.map(str::to_owned).collect();
        self
    }

    /// Whether the server asks for the same request, with its method and body, at another address. It has
    /// not executed it then.
    #[must_use]
    pub fn repeats(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        )
    }

    /// The address as text for people: visible ASCII without user info, query, fragment and tokens of the
    /// upstream's own path, which may be secret, and cut.
    #[must_use]
    pub fn shown(&self) -> String {
        let Some(location) = self.location.as_deref() else {
            return "an unknown address".to_owned();
        };
        let location = without_secrets(location);
        if location.is_empty() {
            return "its own path".to_owned();
        }
        let parts = location.split('/').map(|part| {
            let is_hidden = self.hidden.iter().any(|hidden| hidden == part);
            if is_hidden { HIDDEN } else { part }
        });
        let location = parts.collect::<Vec<_>>().join("/");
        let visible = |char: &char| char.is_ascii_graphic();
        let shown = location.chars().filter(visible);
        let mut shown: String = shown.take(SHOWN_BYTES_MAX + 1).collect();
        if shown.len() > SHOWN_BYTES_MAX {
            shown.truncate(SHOWN_BYTES_MAX);
            shown.push_str("...");
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(status: u16, location: &str) -> Redirect {
        let response = Response::builder().status(status);
        let response = response.header(header::LOCATION, location.as_bytes());
        Redirect::of(&response.body(()).unwrap())
    }

    #[test]
    fn an_address_is_shown_without_secrets_and_in_one_line() {
        for (location, expected) in [
            ("http://user:SECRET@host/a?b=SECRET#c", "http://host/a"),
            ("//SECRET@host", "//host"),
            ("http://SECRET@SECRET@host\\@x", "http://host\\@x"),
            ("/a\u{202e}\tb@c", "/ab@c"),
            ("?token=SECRET", "its own path"),
            ("#a", "its own path"),
        ] {
            assert_eq!(redirect(302, location).shown(), expected);
        }
        let long = redirect(302, &format!("/{}", "x".repeat(5000))).shown();
        assert_eq!((long.len(), &long[..2]), (203, "/x"));
        for (location, expected) in [
            ("http://host/0123456789abcdef/mcp/", "http://host/***/mcp/"),
            ("0123456789abcdef/", "***/"),
            ("/0123456789abcdef?0123456789abcdef", "/***"),
            ("/v1/0123456789abcde/mcp", "/v1/0123456789abcde/mcp"),
        ] {
            let hiding = redirect(301, location).hiding("/v1/0123456789abcdef/mcp");
            assert_eq!(hiding.shown(), expected);
        }
        let none = Response::builder().status(302).body(()).unwrap();
        assert_eq!(Redirect::of(&none).shown(), "an unknown address");
    }
}
