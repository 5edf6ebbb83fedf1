//! What a block stands on: a fresh upstream double and a fresh proxy before it, and the proof
//! that all that was sent went the way it should.

use std::time::Duration;

use super::super::context::Context;
use super::super::subject::Subject;
use super::SubjectFiles;
use crate::tools::subject::{Proxy, Upstream};

/// Both processes; dropping it ends them.
#[derive(Debug)]
pub struct Bench {
    /// The measured proxy. Declared first: it goes before what it depends on.
    pub proxy: Proxy,
    /// Its upstream.
    pub upstream: Upstream,
    /// Calls that reached the upstream by another way, and were checked there.
    pub beside: u64,
}

/// How far the wall clock, by which generators report their windows, may run from the monotonic one
/// during a block: slewed by NTP it stays far below.
const CLOCK_DRIFT_MAX_MS: f64 = 20.0;

/// Why figures of a window do not count, when the clock of the machine was set meanwhile.
pub fn clock_fault(drift_ms: f64) -> Option<String> {
    (drift_ms.abs() > CLOCK_DRIFT_MAX_MS)
        .then(|| format!("the clock of the machine was set by {drift_ms:.0} ms meanwhile"))
}

/// Calls that were seen at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// By the upstream.
    pub upstream: u64,
    /// By the proxy, which let them through.
    pub forwarded: u64,
}

impl Bench {
    /// Starts both and waits until the proxy is ready.
    pub fn start(
        context: &Context<'_>,
        subject: &Subject,
        files: &SubjectFiles,
        service_time: Duration,
    ) -> anyhow::Result<Bench> {
        let upstream = Upstream::start(&context.release_dir, service_time)?;
        let proxy = Proxy::start(&files.setup(subject, &upstream))?;
        Ok(Bench {
            proxy,
            upstream,
            beside: 0,
        })
    }

    /// An error with its last words when one of them has died.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.proxy.check_running()?;
        self.upstream.check_running()
    }

    /// What both have counted, calls beside the proxy left out.
    pub fn seen(&mut self) -> anyhow::Result<Seen> {
        Ok(Seen {
            upstream: self.upstream.counts()?.tool_calls - self.beside,
            forwarded: self.proxy.forwarded()?,
        })
    }
}

impl Seen {
    /// What was seen since `before`.
    pub fn since(self, before: Seen) -> Seen {
        Seen {
            upstream: self.upstream - before.upstream,
            forwarded: self.forwarded - before.forwarded,
        }
    }

    /// How this differs from what the generator says that it `sent`; none when it does not.
    pub fn fault(self, sent: Seen) -> Option<String> {
        if self == sent {
            return None;
        }
        Some(format!(
            "the counts disagree: the generator sent {} calls, {} of them through the proxy; the \
             upstream saw {} and the proxy let {} through",
            sent.upstream, sent.forwarded, self.upstream, self.forwarded
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_makes_a_window_worthless() {
        assert_eq!(clock_fault(-19.0), None);
        let fault = clock_fault(-3_600_000.0).unwrap();
        assert_eq!(
            fault,
            "the clock of the machine was set by -3600000 ms meanwhile"
        );
    }

    #[test]
    fn every_call_must_have_gone_its_way() {
        let before = Seen {
            upstream: 10,
            forwarded: 4,
        };
        let sent = Seen {
            upstream: 8,
            forwarded: 4,
        };
        assert_eq!(
            Seen {
                upstream: 18,
                forwarded: 8
            }
            .since(before)
            .fault(sent),
            None
        );
        let fault = Seen {
            upstream: 17,
            forwarded: 7,
        }
        .since(before)
        .fault(sent)
        .unwrap();
        assert_eq!(
            fault,
            "the counts disagree: the generator sent 8 calls, 4 of them through the proxy; the \
             upstream saw 7 and the proxy let 3 through"
        );
    }
}
