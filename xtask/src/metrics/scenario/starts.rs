//! Many starts of the proxy with the real configuration and policies, each timed on one clock.

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::{SubjectFiles, attempt, seconds_if_wanted};
use crate::interrupt;
use crate::tools::subject::{Upstream, startup};

const METRICS: [&str; 3] = [
    "startup/to_healthy",
    "startup/to_ready",
    "startup/policy_load",
];
const STARTS: usize = 25;
const STARTS_QUICK: usize = 3;
const SECONDS_EACH: f64 = 0.15;

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    let starts = if quick { STARTS_QUICK } else { STARTS };
    seconds_if_wanted(&METRICS, recorder, starts as f64 * SECONDS_EACH)
}

/// Starts the proxy again and again; both times come from the same start.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let starts = if context.quick { STARTS_QUICK } else { STARTS };
        let seconds = planned_seconds(context.quick, recorder);
        let _step = context.progress.step(&format!("{starts} starts"), seconds);
        let files = SubjectFiles::write()?;
        let upstream = Upstream::start(&context.release_dir, std::time::Duration::ZERO)?;
        let setup = files.setup(context, &upstream);
        for _ in 0..starts {
            interrupt::check()?;
            let times = startup(&setup)?;
            for (metric, time) in
                METRICS
                    .into_iter()
                    .zip([times.healthy, times.ready, times.policy_load])
            {
                if recorder.wants(metric) {
                    recorder.sample(metric, time.as_secs_f64() * 1000.0)?;
                }
            }
        }
        Ok(())
    })
}
