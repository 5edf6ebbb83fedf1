//! GitHub's REST API, as far as reports need it: pull requests and their comments.
//!
//! Time, attempts and bytes are limited. The token is sent in a header, and is in no message.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::interrupt;

/// Time limit of one response, its body included.
const ANSWER: Duration = Duration::from_secs(20);
/// Attempts of a request that gets no response, or one that asks to try later.
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_secs(1);
/// Limit on the pause that a `retry-after` header asks for.
const PAUSE_MAX: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Pages of comments that are searched for that of an earlier run.
const PAGES_MAX: usize = 10;
// The largest page that GitHub returns.
const PAGE: usize = 100;
/// GitHub rejects longer comments.
pub const COMMENT_CHARACTERS_MAX: usize = 65_536;

/// A repository, with a token for it.
pub struct GitHub {
    agent: ureq::Agent,
    api: String,
    repository: String,
    token: String,
}

/// Result of posting a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commented {
    /// A new comment was posted.
    Created,
    /// The comment of an earlier run has the new text.
    Updated,
}

/// A pull request; only the fields that are used.
#[derive(Debug, Deserialize)]
pub struct PullRequest {
    /// `open` or `closed`.
    pub state: Option<String>,
    pub number: u64,
    pub head: End,
    /// The branch that it is to be merged into.
    pub base: End,
}

/// One end of a pull request.
#[derive(Debug, Deserialize)]
pub struct End {
    /// The last commit.
    pub sha: String,
}

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(rename = "type")]
    kind: String,
}

impl GitHub {
    /// Reads the variables of a job; `None` without a token.
    ///
    /// # Errors
    /// A token without a repository, or with one that is not `OWNER/NAME`.
    pub fn of_environment() -> anyhow::Result<Option<GitHub>> {
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(token) = named("GITHUB_TOKEN") else {
            return Ok(None);
        };
        let repository = named("GITHUB_REPOSITORY").context("GITHUB_REPOSITORY is not set")?;
        let api = named("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
        GitHub::new(&api, &repository, &token).map(Some)
    }

    fn new(api: &str, repository: &str, token: &str) -> anyhow::Result<GitHub> {
        ensure!(
            is_repository(repository),
            "GITHUB_REPOSITORY is not a valid repository (expected `OWNER/NAME`)"
        );
        ensure!(
            token.bytes().all(|byte| byte.is_ascii_graphic()),
            "GITHUB_TOKEN contains characters that are not valid in a token"
        );
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .http_status_as_error(false)
            // A redirect would send the token to another address.
            .max_redirects(0)
            .build();
        Ok(GitHub {
            agent: agent.into(),
            api: api.trim_end_matches('/').to_owned(),
            repository: repository.to_owned(),
            token: token.to_owned(),
        })
    }

    pub fn pull_request(&self, number: u64) -> anyhow::Result<PullRequest> {
        self.get(&format!("pulls/{number}"))
    }

    /// The pull requests that brought a commit; if one was merged, it comes first.
    pub fn pull_requests_of(&self, commit: &str) -> anyhow::Result<Vec<PullRequest>> {
        self.get(&format!("commits/{commit}/pulls"))
    }

    /// Comments on a pull request. If an earlier run left a comment that begins with `marker`, its text is
    /// replaced. `body` must begin with `marker`, too.
    pub fn comment(&self, number: u64, marker: &str, body: &str) -> anyhow::Result<Commented> {
        let body = json!({ "body": body });
        let mut last = None;
        for _ in 0..ATTEMPTS {
            if let Some(id) = self.comment_with(number, marker)? {
                let path = format!("issues/comments/{id}");
                self.send("PATCH", &path, Some(&body))?;
                return Ok(Commented::Updated);
            }
            // A request whose response was lost may have created the comment: the next round looks for it.
            match self.send("POST", &format!("issues/{number}/comments"), Some(&body)) {
                Ok(_) => return Ok(Commented::Created),
                Err(error) if interrupt::cause(&error).is_some() => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow!("no attempt was made")))
    }

    /// The id of an earlier run's comment. Anybody can write the marker, so only comments of apps count.
    fn comment_with(&self, number: u64, marker: &str) -> anyhow::Result<Option<u64>> {
        for page in 1..=PAGES_MAX {
            let path = format!("issues/{number}/comments?per_page={PAGE}&page={page}");
            let comments: Vec<Comment> = self.get(&path)?;
            let full = comments.len() >= PAGE;
            let ours = comments.into_iter().find(|comment| {
                let text = comment.body.as_deref().unwrap_or_default();
                let is_app = comment.user.as_ref().is_some_and(|user| user.kind == "Bot");
                is_app && text.starts_with(marker)
            });
            if let Some(comment) = ours {
                return Ok(Some(comment.id));
            }
            if !full {
                break;
            }
        }
        Ok(None)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let text = self.send("GET", path, None)?;
        serde_json::from_str(&text)
            .with_context(|| format!("GitHub answered `GET {path}` with an unexpected body"))
    }

    /// The body of a successful response.
    fn send(&self, method: &str, path: &str, body: Option<&Json>) -> anyhow::Result<String> {
        let mut pause = PAUSE;
        // A request that creates something is not sent twice.
        let attempts = if method == "POST" { 1 } else { ATTEMPTS };
        for attempt in 1.. {
            interrupt::check()?;
            let (why, wanted) = match self.once(method, path, body) {
                Ok(Answer {
                    status: 200..=299,
                    text,
                    ..
                }) => return Ok(text),
                Ok(answer) if answer.is_final() => bail!(
                    "GitHub answered `{method} {path}` with status {}{}",
                    answer.status,
                    answer.said()
                ),
                Ok(answer) => (
                    format!("status {}{}", answer.status, answer.said()),
                    answer.retry_after,
                ),
                Err(error) => (format!("{error:#}"), None),
            };
            ensure!(
                attempt < attempts,
                "`{method} {path}` failed at GitHub (attempts: {attempts}): {why}"
            );
            interrupt::rest(wanted.unwrap_or(pause).min(PAUSE_MAX))?;
            pause *= 2;
        }
        unreachable!("the attempts are counted")
    }

    fn once(&self, method: &str, path: &str, body: Option<&Json>) -> anyhow::Result<Answer> {
        let url = format!("{}/repos/{}/{path}", self.api, self.repository);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "application/vnd.github+json")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("user-agent", "thoughtgate-xtask")
            .header("x-github-api-version", "2022-11-28")
            .body(body.map(Json::to_string).unwrap_or_default())?;
        let mut response = self.agent.run(request)?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok()?.parse().ok();
        let (retry_after, remaining) = (header("retry-after"), header("x-ratelimit-remaining"));
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(BODY_BYTES_MAX);
        Ok(Answer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            is_limited: remaining == Some(0_u64) || retry_after.is_some(),
            text: text.read_to_string()?,
        })
    }
}

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    /// Whether a rate limit is the reason.
    is_limited: bool,
    text: String,
}

impl Answer {
    /// Whether a retry would get the same response.
    fn is_final(&self) -> bool {
        // GitHub answers with 403 or 429 when a rate limit is reached.
        !(self.status >= 500 || self.status == 429 || self.status == 403 && self.is_limited)
    }

    /// The reason that GitHub gives, if the body has one.
    fn said(&self) -> String {
        #[derive(Deserialize)]
        struct Reason {
            message: String,
        }
        let reason = serde_json::from_str::<Reason>(&self.text);
        reason.map_or_else(
            |_| String::new(),
            |reason| format!(": {}", reason.message.chars().take(200).collect::<String>()),
        )
    }
}

/// Whether a text is `OWNER/NAME`, and so safe in a URL.
pub fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && part.len() <= 100 && !part.starts_with('.') && part.bytes().all(usual)
    };
    text.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        assert!(is_repository("thoughtgate/thoughtgate.rs"));
        for other in [
            "", "a", "a/", "/b", "a/b/c", "a/../b", "../b", "a/b?x=1", "a/b\n",
        ] {
            assert!(!is_repository(other), "{other}");
        }
        assert!(GitHub::new("http://127.0.0.1:1", "a/b/c", "t").is_err());
        assert!(GitHub::new("http://127.0.0.1:1", "a/b", "t\r\nx: y").is_err());
    }
}
