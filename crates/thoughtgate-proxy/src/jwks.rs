//! Fetches the keys that verify bearer tokens (`agent.jwt.jwks_url`): at the start, at intervals, and when a
//! token names a key that is not known.
//!
//! No request waits for a fetch, except one whose token cannot be verified without it. Verifies nothing:
//! [`crate::identity`] does. Only the log has the reason of a failure, without the path of the URL, which may
//! hold a secret.

use std::convert::Infallible;
use std::sync::Arc;

use thoughtgate_approval::chain;
use thoughtgate_panic::info;
use tokio::time::Instant;

use crate::identity::KeySet;
use crate::reported::Reported;
use crate::settings::Rules;
use crate::state::Shared;
use fetch::{Fetched, fetch};
use schedule::Schedule;

mod fetch;
mod schedule;

/// Fetches until the task is dropped, for the rules in force at the time.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let keys = shared.key_set();
        match &keys {
            Some(set) => tokio::select! {
                never = refresh(&shared, set) => match never {},
                () = replaced(&shared, Some(set)) => {}
            },
            None => replaced(&shared, None).await,
        }
    }
}

/// Fetches the keys of `rules` once; what was found, in words. `None` if none are to be fetched.
///
/// # Errors
/// The reason, in words.
pub async fn check(rules: &Rules) -> Option<Result<String, String>> {
    let keys = rules.identity.key_set()?;
    let target = keys.target();
    Some(match fetch(target).await {
        Ok(Fetched { keys, .. }) if keys.is_empty() => {
            Err(format!("{target:?}: {}", fetch::NO_KEY))
        }
        Ok(Fetched { keys, .. }) => Ok(format!("{target:?} has {}", counted(keys.len()))),
        Err(error) => Err(format!("{target:?}: {}", chain(&error))),
    })
}

/// Resolves when a reload has put rules with other keys than `before` in force.
async fn replaced(shared: &Shared, before: Option<&Arc<KeySet>>) {
    loop {
        shared.installed().await;
        let is_same = match (shared.key_set(), before) {
            (Some(now), Some(before)) => Arc::ptr_eq(&now, before),
            (now, before) => now.is_none() && before.is_none(),
        };
        if !is_same {
            return;
        }
    }
}

/// Fetches `keys` at the times of a [`Schedule`], or as soon as a request asks for it.
async fn refresh(shared: &Shared, keys: &KeySet) -> Infallible {
    let target = keys.target();
    let mut fault = Reported::of(
        "the keys of bearer tokens cannot be fetched",
        "the keys of bearer tokens can be fetched again",
    );
    let mut schedule = Schedule::default();
    let mut ids = None;
    loop {
        keys.began();
        let fetched = fetch(target).await;
        let failed = fetched.is_err();
        shared.metrics.key_fetch(!failed);
        let pause = match fetched {
            Ok(fetched) => {
                let has_keys = !fetched.keys.is_empty();
                let found: Vec<_> = fetched.keys.iter().map(|key| key.id.clone()).collect();
                let count = counted(found.len());
                // Also if there are none: keys that their issuer has withdrawn must not count any more.
                keys.put(Some(fetched.keys));
                fault.report((!has_keys).then(|| format!("{target:?}: {}", fetch::NO_KEY)));
                if has_keys && ids.as_ref() != Some(&found) {
                    info!("bearer tokens are verified with {count} of {target:?}");
                }
                ids = Some(found);
                schedule.succeeded(Instant::now(), fetched.max_age)
            }
            Err(error) => {
                fault.report(Some(format!("{target:?}: {}", chain(&error))));
                if schedule.is_stale(Instant::now()) {
                    keys.put(None);
                    ids = None;
                }
                schedule.failed()
            }
        };
        keys.ended(failed);
        let _ = tokio::time::timeout(pause, keys.asked()).await;
    }
}

/// `1 key`, or `2 keys`.
fn counted(keys: usize) -> String {
    format!("{keys} {}", if keys == 1 { "key" } else { "keys" })
}
