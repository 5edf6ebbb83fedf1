//! Probes the upstream at intervals, so that `/ready` need not, and logs faults of the upstream and the
//! approval store when they change; `thoughtgate-approval` logs those of its channel.
//!
//! A listener that is no MCP server, or one that hangs, is not ready. A probe is a GET if that suffices, since
//! some servers take any POST for a call. Reasons go to the log alone, because agents can read `/ready`; that
//! has their kind and a status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thoughtgate_approval::chain;

use crate::reported::Reported;
use crate::settings::Settings;
use crate::state::{Reachability, Shared};
use course::Course;
use judge::{COMPRESSES, Found, NotMcp};

mod ask;
mod course;
mod judge;

/// First pause after a failed probe. Short, so that an upstream that starts together with the sidecar is
/// noticed soon; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(5);
/// Longest pause after a failed probe.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Shortest pause after a successful probe, when requests to the upstream fail.
const SUSPECT_MIN: Duration = Duration::from_secs(1);
/// Interval at which the health of approvals, which is known already, is looked at.
const APPROVALS_INTERVAL: Duration = Duration::from_secs(1);

/// Probes until the task is dropped; the first probe is made at once.
pub async fn run(shared: Arc<Shared>) {
    tokio::join!(upstream(&shared), approvals(&shared));
}

/// Sends the upstream one `ping`; a warning, if it answers in a way that not all requests work with.
///
/// # Errors
/// The reason why it does not count as an MCP server, in words.
pub async fn check(settings: &Settings) -> Result<Option<&'static str>, String> {
    let found = ask::ping(&settings.upstream, settings.connect_timeout).await;
    let found = found.map_err(|error| {
        let reason = chain(&error);
        match error {
            NotMcp::Unreachable(_) => format!(
                "{reason}; check that the server runs, and the scheme, host and port of `upstream.url`"
            ),
            _ => reason,
        }
    });
    let found = found?;
    if let Some(session) = found.session {
        ask::end(&settings.upstream, settings.connect_timeout, session).await;
    }
    Ok(found.compresses.then_some(COMPRESSES))
}

async fn upstream(shared: &Shared) {
    let settings = &shared.settings;
    let interval = settings.probe_interval;
    let mut retry = RETRY_FIRST;
    let mut course = Course::starting(Instant::now(), interval);
    let mut reachable = Reported::of(
        "the upstream is not reachable",
        "the upstream is reachable again",
    );
    let mut mcp = Reported::of(
        "the upstream does not answer MCP requests",
        "the upstream answers MCP requests again",
    );
    let mut encoding = Reported::of(
        "the upstream's answers cannot be read",
        "the upstream's answers can be read again",
    );
    loop {
        if shared.seen.has_list() {
            course.answered();
        }
        let found = probe(settings, course).await;
        course.found(&found);
        if found.as_ref().map_or(true, |found| found.is_of_ping) {
            let moved = found.as_ref().ok().and_then(|found| found.moved.clone());
            shared.moved.set(moved);
        }
        shared.set_upstream(kind_of(&found));
        let session = match found {
            Ok(found) => {
                reachable.report(None);
                mcp.report(None);
                encoding.report(found.compresses.then(|| COMPRESSES.to_owned()));
                found.session
            }
            Err(NotMcp::Unreachable(error)) => {
                reachable.report(Some(chain(&error)));
                mcp.forget();
                wait_to_retry(&mut retry, interval).await;
                continue;
            }
            Err(error) => {
                reachable.report(None);
                mcp.report(Some(chain(&error)));
                wait_to_retry(&mut retry, interval).await;
                continue;
            }
        };
        retry = RETRY_FIRST;
        if let Some(session) = session {
            ask::end(&settings.upstream, settings.connect_timeout, session).await;
        }
        // A request that fails shows more than the last probe, but one probe a second is enough.
        let at_once = SUSPECT_MIN.min(interval);
        let rest = course
            .pause(Instant::now(), interval)
            .saturating_sub(at_once);
        tokio::time::sleep(at_once).await;
        if tokio::time::timeout(rest, shared.suspected()).await.is_ok() {
            course.failed();
        }
    }
}

async fn probe(settings: &Settings, course: Course) -> Result<Found, NotMcp> {
    let (target, at_most) = (&settings.upstream, settings.connect_timeout);
    if course.needs_ping(Instant::now()) {
        ask::ping(target, at_most).await
    } else {
        ask::listen(target, at_most).await
    }
}

async fn wait_to_retry(retry: &mut Duration, interval: Duration) {
    *retry = (*retry * 2).min(interval).min(RETRY_MAX);
    tokio::time::sleep(*retry).await;
}

fn kind_of(found: &Result<Found, NotMcp>) -> Reachability {
    match found {
        Ok(found) if found.compresses => Reachability::Compresses,
        Ok(_) => Reachability::Up,
        Err(NotMcp::Unreachable(_)) => Reachability::Down,
        Err(NotMcp::Silent | NotMcp::BrokeOff) => Reachability::Silent,
        Err(NotMcp::Redirected(_)) => Reachability::Redirects,
        Err(NotMcp::Status(status) | NotMcp::Encoded(status) | NotMcp::NoChallenge(status)) => {
            Reachability::NotMcp(*status)
        }
    }
}

async fn approvals(shared: &Shared) {
    let mut store = Reported::of(
        "the approval store cannot be written",
        "the approval store can be written again",
    );
    loop {
        if let Some(approvals) = shared.approvals() {
            store.report(approvals.health().store);
        }
        tokio::time::sleep(APPROVALS_INTERVAL).await;
    }
}
