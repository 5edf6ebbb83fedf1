//! The keys of an issuer that are in force: replaced as a whole when they have been fetched again.
//!
//! Fetches nothing: [`crate::jwks`] does, and is asked here to do it before its time when a token names a key
//! that is not among them. However many such tokens come, it is asked at most once per [`ASK_INTERVAL`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use http::Uri;
use http::uri::Scheme;
use thoughtgate_panic::lock;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::jwk::Published;
use crate::guard::is_loopback_name;
use crate::upstream::{BadTarget, Target};

/// Shortest interval between two fetches because of unknown keys: whoever can send a token can ask for one.
const ASK_INTERVAL: Duration = Duration::from_secs(30);
/// Time limit for a request that waits for a fetch; a little more than the fetch's own.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// The keys of one issuer.
pub struct KeySet {
    uri: Uri,
    target: Target,
    /// `None` until they have been fetched, when the last ones are too old, and when their issuer has none.
    held: ArcSwapOption<Vec<Published>>,
    failed: AtomicBool,
    pace: Mutex<Pace>,
    asked: Notify,
    ended: watch::Sender<()>,
}

/// State of the fetches.
#[derive(Debug, Default)]
struct Pace {
    is_fetching: bool,
    /// The last time that one was asked for.
    asked: Option<Instant>,
}

/// Reason why no keys can be fetched from a URL.
#[derive(Debug, thiserror::Error)]
pub enum BadKeysUrl {
    /// No URL with a scheme.
    #[error("it is not a URL, such as https://idp.example/jwks.json")]
    Form,
    /// Whoever can change the answer on its way can sign tokens.
    #[error("it must be an https:// URL; http:// is accepted for loopback addresses alone")]
    Scheme,
    /// No host, a password in it, or no certificates on this system.
    #[error(transparent)]
    Target(#[from] BadTarget),
}

impl KeySet {
    /// The set at this URL, of which nothing is known yet.
    pub fn new(url: &str) -> Result<Arc<KeySet>, BadKeysUrl> {
        let uri: Uri = url.parse().map_err(|_| BadKeysUrl::Form)?;
        let is_http = uri.scheme().ok_or(BadKeysUrl::Form)? == &Scheme::HTTP;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_local = is_loopback_name(host);
        if is_http && !is_local || !is_http && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(BadKeysUrl::Scheme);
        }
        Ok(Arc::new(KeySet {
            target: Target::new(&uri)?,
            uri,
            held: ArcSwapOption::empty(),
            failed: AtomicBool::new(false),
            pace: Mutex::default(),
            asked: Notify::new(),
            ended: watch::Sender::new(()),
        }))
    }

    /// Address at which the keys are fetched. Its debug form leaves the path out.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether `other` is fetched from the same URL.
    #[must_use]
    pub fn is_at(&self, other: &KeySet) -> bool {
        self.uri == other.uri
    }

    /// The keys in force.
    #[must_use]
    pub fn held(&self) -> Guard<Option<Arc<Vec<Published>>>> {
        self.held.load()
    }

    /// Number of the keys in force.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held().as_ref().map_or(0, |keys| keys.len())
    }

    /// Whether the last fetch failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Puts fetched keys in force; `None` leaves no key in force.
    pub fn put(&self, keys: Option<Vec<Published>>) {
        // Without any, no token is at fault: its client should not log in again.
        let keys = keys.filter(|keys| !keys.is_empty());
        self.held.store(keys.map(Arc::new));
    }

    /// Records that a fetch begins.
    pub fn began(&self) {
        lock(&self.pace).is_fetching = true;
    }

    /// Records that a fetch has ended, its keys in force.
    pub fn ended(&self, failed: bool) {
        self.failed.store(failed, Ordering::Relaxed);
        lock(&self.pace).is_fetching = false;
        self.ended.send_replace(());
    }

    /// Resolves when a fetch is asked for.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Asks for a fetch and waits for its end, or for that of the one that is running. Returns at once if one
    /// was asked for a short time ago: then what was fetched is all that there is.
    pub async fn renewed(&self) {
        let mut ended = self.ended.subscribe();
        if self.ask() {
            let _ = tokio::time::timeout(WAIT_MAX, ended.changed()).await;
        }
    }

    /// Returns whether a fetch is running or about to.
    fn ask(&self) -> bool {
        let mut pace = lock(&self.pace);
        if pace.is_fetching {
            return true;
        }
        if pace.asked.is_some_and(|at| at.elapsed() < ASK_INTERVAL) {
            return false;
        }
        pace.asked = Some(Instant::now());
        pace.is_fetching = true;
        self.asked.notify_one();
        true
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} keys of {:?}", self.count(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_or_from_this_machine() {
        for (url, good) in [
            ("https://idp.example/keys?a=1", true),
            ("http://127.0.0.1:1/keys", true),
            ("http://[::1]:1/keys", true),
            ("http://localhost/keys", true),
            ("http://idp.example/keys", false),
            ("http://127.0.0.1.evil.example/keys", false),
            ("http://localhost.evil.example/keys", false),
            ("https://user:secret@idp.example/keys", false),
            ("ftp://127.0.0.1/keys", false),
            ("idp.example/keys", false),
            ("/keys", false),
        ] {
            let error = KeySet::new(url).err().map(|error| error.to_string());
            assert_eq!(error.is_none(), good, "{url}: {error:?}");
            assert!(!error.unwrap_or_default().contains("secret"), "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_ask_for_one_fetch_per_interval() {
        let keys = KeySet::new("http://127.0.0.1/").unwrap();
        assert!(keys.ask());
        // Those that come meanwhile wait for the same one.
        assert!(keys.ask());
        keys.asked().await;
        keys.began();
        keys.ended(false);
        for _ in 0..3 {
            tokio::time::advance(ASK_INTERVAL / 4).await;
            assert!(!keys.ask());
        }
        tokio::time::advance(ASK_INTERVAL / 4).await;
        assert!(keys.ask());
        keys.asked().await;
        // No request waits for ever for a fetch that never ends.
        keys.renewed().await;
    }
}
