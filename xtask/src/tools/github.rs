//! GitHub's REST API, as far as a report needs it: pull requests and their comments.
//!
//! Bounded in time, attempts and bytes. The token is sent in a header and is in no message.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::interrupt;

/// For one answer, its body included.
const ANSWER: Duration = Duration::from_secs(20);
/// How often a request is sent that was not answered, or answered with "later".
const ATTEMPTS: u32 = 3;
/// Before the second attempt; twice that before the third.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that GitHub is granted when it names one.
const PAUSE_MAX: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Comments that are looked through for ours: ten pages.
const PAGES_MAX: usize = 10;
const PAGE: usize = 100;
/// GitHub refuses longer comments.
pub const COMMENT_CHARACTERS_MAX: usize = 65_536;

/// A repository, and the right to speak in it.
pub struct GitHub {
    agent: ureq::Agent,
    api: String,
    repository: String,
    token: String,
}

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commented {
    /// There was none yet.
    Created,
    /// The earlier one has the new text.
    Updated,
}

/// A pull request, as far as it is of interest.
#[derive(Debug, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its last commit.
    pub head: End,
    /// What it is to be merged into.
    pub base: End,
}

/// One end of a pull request.
#[derive(Debug, Deserialize)]
pub struct End {
    /// Its commit.
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
    /// From the variables of a job; none when it was given no token.
    ///
    /// # Errors
    /// A token without the name of a repository, or with one that is not `OWNER/NAME`.
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
            "GITHUB_REPOSITORY is not `OWNER/NAME`"
        );
        ensure!(
            token.bytes().all(|byte| byte.is_ascii_graphic()),
            "GITHUB_TOKEN has characters that no token has"
        );
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .http_status_as_error(false)
            // Where it leads is not where the token was given for.
            .max_redirects(0)
            .build();
        Ok(GitHub {
            agent: agent.into(),
            api: api.trim_end_matches('/').to_owned(),
            repository: repository.to_owned(),
            token: token.to_owned(),
        })
    }

    /// The pull request with a number.
    pub fn pull_request(&self, number: u64) -> anyhow::Result<PullRequest> {
        self.get(&format!("pulls/{number}"))
    }

    /// The pull requests that brought a commit, the merged one first if there is one.
    pub fn pull_requests_of(&self, commit: &str) -> anyhow::Result<Vec<PullRequest>> {
        self.get(&format!("commits/{commit}/pulls"))
    }

    /// Puts `body` under a pull request: in place of the earlier comment that begins with `marker`,
    /// which `body` must begin with too, else as a new one.
    pub fn comment(&self, number: u64, marker: &str, body: &str) -> anyhow::Result<Commented> {
        let body = json!({ "body": body });
        if let Some(id) = self.comment_with(number, marker)? {
            let path = format!("issues/comments/{id}");
            self.send("PATCH", &path, Some(&body))?;
            return Ok(Commented::Updated);
        }
        self.send("POST", &format!("issues/{number}/comments"), Some(&body))?;
        Ok(Commented::Created)
    }

    /// Our comment. Anybody can write the marker; only an app's comments can be ours.
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
        serde_json::from_str(&text).with_context(|| {
            format!("GitHub answered `GET {path}` with something else than expected")
        })
    }

    /// The body of a successful answer.
    fn send(&self, method: &str, path: &str, body: Option<&Json>) -> anyhow::Result<String> {
        let mut pause = PAUSE;
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
                attempt < ATTEMPTS,
                "GitHub did not answer `{method} {path}` in {ATTEMPTS} attempts, the last: {why}"
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
    /// Whether a limit on requests is the reason.
    is_limited: bool,
    text: String,
}

impl Answer {
    /// Whether it would be the same the next time.
    fn is_final(&self) -> bool {
        !(self.status >= 500 || self.status == 429 || self.status == 403 && self.is_limited)
    }

    /// The reason that GitHub gives, if it is one.
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

/// Whether a text is `OWNER/NAME`, and so harmless in a URL.
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
