//! Verdicts: data in, verdicts out. This file judges whether a value meets the requirement's target.
//!
//! Deliberately absent: IO, and any verdict on a metric that was not measured.

pub mod history;
pub mod level;
pub mod paired;
pub mod verdict;

use super::catalog::{Metric, Target};
use super::model::{Note, Outcome, Record, Value};

/// The verdict on a metric and its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetVerdict {
    Met,
    Missed,
    NoTarget,
    /// There is no value to compare with the target. Never the same as met.
    Unmeasured,
}

/// Compares the record of `metric` with its target. The value itself counts, not its interval:
/// the requirement's targets are about the figure that is quoted. A disturbance makes a program look
/// slower, never faster, so a noisy value can meet its target. But it can make the difference of two
/// measurements arbitrarily small, so a noisy difference has met nothing.
pub fn target(metric: &Metric, record: &Record) -> TargetVerdict {
    let Outcome::Measured { value, .. } = &record.outcome else {
        return TargetVerdict::Unmeasured;
    };
    if metric.may_be_negative() && record.notes.contains(&Note::Noisy) {
        return TargetVerdict::Unmeasured;
    }
    match meets(metric, value) {
        None => TargetVerdict::NoTarget,
        Some(true) => TargetVerdict::Met,
        Some(false) => TargetVerdict::Missed,
    }
}

/// Whether a value of `metric` meets its target; none without a target.
pub fn meets(metric: &Metric, value: &Value) -> Option<bool> {
    holds(metric.target, value)
}

fn holds(target: Target, value: &Value) -> Option<bool> {
    let number = |holds: fn(f64, f64) -> bool, limit: f64| {
        // A value that is no number misses a numeric target: unreadable is never a pass.
        Some(value.number().is_some_and(|number| holds(number, limit)))
    };
    match target {
        Target::None => None,
        Target::Below(limit) => number(|value, limit| value < limit, limit),
        Target::AtMost(limit) => number(|value, limit| value <= limit, limit),
        Target::Above(limit) => number(|value, limit| value > limit, limit),
        Target::Text(wanted) => Some(*value == Value::Text(wanted.to_owned())),
        Target::Boolean(wanted) => Some(*value == Value::Boolean(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{LATENCY_P50, OVERHEAD_LATENCY_P50, Tier};
    use crate::metrics::model::Run;
    use crate::metrics::render::fixture;

    #[test]
    fn a_noisy_difference_has_met_nothing() {
        let mut run = fixture::run(&[Tier::One]);
        for metric in [&OVERHEAD_LATENCY_P50, &LATENCY_P50] {
            fixture::set(&mut run, metric, Value::Float(-0.5), None);
        }
        let verdict = |run: &Run, metric| target(metric, run.record(metric).unwrap());
        assert_eq!(verdict(&run, &OVERHEAD_LATENCY_P50), TargetVerdict::Met);
        for metric in [&OVERHEAD_LATENCY_P50, &LATENCY_P50] {
            fixture::record(&mut run, metric).notes = vec![Note::Noisy];
        }
        assert_eq!(
            verdict(&run, &OVERHEAD_LATENCY_P50),
            TargetVerdict::Unmeasured
        );
        assert_eq!(
            verdict(&run, &LATENCY_P50),
            TargetVerdict::Met,
            "at least this good"
        );
    }

    #[test]
    fn a_target_is_strict_unless_it_says_at_most() {
        let number = |value| Value::Float(value);
        assert_eq!(holds(Target::Below(5.0), &number(4.999)), Some(true));
        assert_eq!(holds(Target::Below(5.0), &number(5.0)), Some(false));
        assert_eq!(holds(Target::AtMost(5.0), &Value::Integer(5)), Some(true));
        assert_eq!(holds(Target::AtMost(5.0), &Value::Integer(6)), Some(false));
        assert_eq!(
            holds(Target::Above(10_000.0), &Value::Integer(10_000)),
            Some(false)
        );
        assert_eq!(
            holds(Target::Above(10_000.0), &Value::Integer(10_001)),
            Some(true)
        );
        assert_eq!(
            holds(Target::Text("scratch"), &Value::Text("debian".to_owned())),
            Some(false)
        );
        assert_eq!(
            holds(Target::Boolean(true), &Value::Boolean(true)),
            Some(true)
        );
        assert_eq!(holds(Target::None, &number(1e9)), None);
        // A value of the wrong kind meets nothing.
        assert_eq!(
            holds(Target::Below(5.0), &Value::Boolean(false)),
            Some(false)
        );
    }
}
