//! Policy file replaced, until the first call that is decided by the new policies, seen from a client.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::{SubjectFiles, attempt, seconds_if_wanted};
use crate::interrupt;
use crate::tools::subject::{Proxy, Upstream};

const METRIC: &str = "policy/reload_time";
const RELOADS: usize = 25;
const RELOADS_QUICK: usize = 3;
const SECONDS_EACH: f64 = 0.25;
const DEADLINE: Duration = Duration::from_secs(10);
/// A tool that the ten policies say nothing of; one more policy permits it, or does not.
const TOOL: &str = "reloaded_tool";

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    let reloads = if quick { RELOADS_QUICK } else { RELOADS };
    seconds_if_wanted(&[METRIC], recorder, reloads as f64 * SECONDS_EACH)
}

/// Switches one permission on and off, and asks until the answer follows.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &[METRIC], |recorder| {
        let reloads = if context.quick {
            RELOADS_QUICK
        } else {
            RELOADS
        };
        let seconds = planned_seconds(context.quick, recorder);
        let label = format!("{reloads} reloads");
        let _step = context.progress.step(&label, seconds);
        let files = SubjectFiles::write()?;
        let upstream = Upstream::start(&context.release_dir, Duration::ZERO)?;
        let policy = files.policy();
        let mut proxy = Proxy::start(&files.setup(context, &upstream))?;
        let without = std::fs::read_to_string(&policy)?;
        let with = format!(
            "{without}\n@id(\"reloaded\") permit (principal, action == Action::\"tools/call\", resource == Tool::\"{TOOL}\");\n"
        );
        for round in 0..reloads {
            interrupt::check()?;
            let permitted = round % 2 == 0;
            // As an editor or a ConfigMap does it: beside, then renamed into place.
            let aside = files.folder().join("policies.cedar.new");
            std::fs::write(&aside, if permitted { &with } else { &without })?;
            let started = Instant::now();
            std::fs::rename(&aside, &policy).context("failed to replace the policy file")?;
            while proxy.permits(TOOL)? != permitted {
                proxy.check_running()?;
                if started.elapsed() > DEADLINE {
                    bail!("the new policies did not decide within {DEADLINE:?}");
                }
            }
            recorder.sample(METRIC, started.elapsed().as_secs_f64() * 1000.0)?;
        }
        Ok(())
    })
}
