//! Test bed of a block: a fresh upstream double behind a fresh proxy, and the proof that every call
//! took the way it should.

use std::time::Duration;

use super::super::context::Context;
use super::super::subject::Subject;
use super::SubjectFiles;
use crate::tools::subject::{Proxy, Upstream};

/// Both processes; dropping it ends them.
#[derive(Debug)]
pub struct TestBed {
    /// The measured proxy. Declared first, so that it is dropped before its upstream.
    pub proxy: Proxy,
    pub upstream: Upstream,
    /// Calls that reached the upstream without the proxy, and were checked separately.
    pub beside: u64,
}

/// Largest accepted deviation of the wall clock, by which generators report their windows, from the
/// monotonic one during a block: adjustments by NTP stay far below.
const CLOCK_DRIFT_MAX_MS: f64 = 20.0;

/// The reason why the figures of a window are void, if the system clock was set meanwhile.
pub fn clock_fault(drift_ms: f64) -> Option<String> {
    (drift_ms.abs() > CLOCK_DRIFT_MAX_MS)
        .then(|| format!("the system clock was changed by {drift_ms:.0} ms during the block"))
}

/// Calls that were counted up to one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// By the upstream.
    pub upstream: u64,
    /// By the proxy, as forwarded.
    pub forwarded: u64,
}

impl TestBed {
    /// Starts both and waits until the proxy is ready.
    pub fn start(
        context: &Context<'_>,
        subject: &Subject,
        files: &SubjectFiles,
        service_time: Duration,
    ) -> anyhow::Result<TestBed> {
        // The upstream first: the proxy is started with its address.
        let upstream = Upstream::start(&context.release_dir, service_time)?;
        let proxy = Proxy::start(&files.setup(subject, &upstream))?;
        Ok(TestBed {
            proxy,
            upstream,
            beside: 0,
        })
    }

    /// An error with the last output of the process, if one of them has died.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.proxy.check_running()?;
        self.upstream.check_running()
    }

    /// The counts of both, without the calls that bypassed the proxy.
    pub fn seen(&mut self) -> anyhow::Result<Seen> {
        Ok(Seen {
            upstream: self.upstream.counts()?.tool_calls - self.beside,
            forwarded: self.proxy.forwarded()?,
        })
    }
}

impl Seen {
    pub fn since(self, before: Seen) -> Seen {
        Seen {
            upstream: self.upstream - before.upstream,
            forwarded: self.forwarded - before.forwarded,
        }
    }

    /// The difference from what the generator reports as `sent`; none when the counts agree.
    pub fn fault(self, sent: Seen) -> Option<String> {
        if self == sent {
            return None;
        }
        Some(format!(
            "count mismatch: the generator sent {} calls, {} of them through the proxy; the \
             upstream received {} and the proxy forwarded {}",
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
            "the system clock was changed by -3600000 ms during the block"
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
            "count mismatch: the generator sent 8 calls, 4 of them through the proxy; the \
             upstream received 7 and the proxy forwarded 3"
        );
    }
}
