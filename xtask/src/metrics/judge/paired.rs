//! The verdicts on two programs that were measured side by side, block by block, with a second
//! process of the first one as control.
//!
//! One block gives one difference per metric, of logarithms, positive where the head is worse. Nothing
//! else is tested: requests and slices of one process depend on each other, and a test that ignores
//! this reports most comparisons of a program with itself as a change.
//!
//! Deliberately absent: IO, clocks, and how the samples were measured. The same samples give the same
//! bytes.

mod differences;
mod disturbance;
mod exact;
mod row;

use super::verdict::Verdict;
use crate::metrics::catalog::threshold::{Change, Scale, Thresholds};
use crate::metrics::catalog::{self, LATENCY_P99, MEMORY_IDLE_RSS, Metric};
use crate::metrics::model::Run;
use crate::metrics::stats::{self, adjust, bootstrap, paired, power, robust};
use differences::Differences;
use exact::exact;

pub use row::{BASE, CONTROL, HEAD, Row, Test};

/// Family-wise level of NOTICE and BLOCK, and level of the false-discovery rate of SUSPECT and ALERT.
const STRICT: f64 = 0.01;
const LENIENT: f64 = 0.05;
/// The smallest effect that is reported: two processes of one program differ by nearly as much, through
/// memory layout and chance.
const FLOOR: f64 = 0.02;
/// The same of memory, which grows in steps of pages and arenas.
const MEMORY_FLOOR: f64 = 0.03;
const MEMORY_FLOOR_BYTES: f64 = 1_048_576.0;
/// Enough for two digits of an interval that is only displayed.
const BOOTSTRAP_DRAWS: usize = 500;
/// The probability with which the smallest detectable effect is found.
const POWER: f64 = 0.8;
/// Largest undetectable change for a PASS of the 99th percentile, which varies too much for the alert
/// threshold that is the limit of all others.
const P99_DETECTABLE_MAX: f64 = 0.15;

/// The verdicts on a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The greatest of all verdicts.
    pub overall: Verdict,
    /// One row per metric that was compared, the worst first.
    pub rows: Vec<Row>,
}

/// Judges the blocks of one session of `run`.
pub fn judge(run: &Run, session: usize) -> Judged {
    // The planned looks count, not those that were taken: the level was divided among them beforehand.
    let looks = run.looks.values().map(Vec::len).max().unwrap_or(1).max(1);
    let compared = compared(run, session);
    let mut rows: Vec<Row> = compared
        .iter()
        .filter_map(|metric| match metric.change() {
            Change::Exact(thresholds) => exact(run, session, metric, thresholds),
            Change::Tested(_) | Change::Target => None,
        })
        .collect();
    let tested = compared.iter().filter_map(|metric| match metric.change() {
        Change::Tested(thresholds) => {
            Some((*metric, thresholds, Differences::of(run, session, metric)?))
        }
        Change::Exact(_) | Change::Target => None,
    });
    rows.extend(family(run.seed, looks, &tested.collect::<Vec<_>>()));
    // A metric without a value of the head would otherwise vanish from the table, and the comparison pass.
    let lost = compared
        .iter()
        .filter_map(|metric| lost(run, session, metric));
    rows.extend(lost);
    if let Some(why) = disturbance::of(run, session) {
        // A regression that was found in spite of the disturbance stays.
        for row in rows.iter_mut().filter(|row| row.test.is_some()) {
            if !row.verdict.is_regression() {
                row.verdict = Verdict::Inconclusive;
                row.reason.get_or_insert_with(|| why.clone());
            }
        }
    }
    rows.sort_by(|left, right| {
        let effect = right.effect.total_cmp(&left.effect);
        // `total_cmp`, since the effect of a lost metric is NaN, and it must have a fixed place too.
        right.verdict.cmp(&left.verdict).then(effect)
    });
    Judged {
        overall: overall(&rows),
        rows,
    }
}

/// Judges all sessions of `run`: a tested BLOCK counts only when a second session confirms it.
pub fn judge_all(run: &Run) -> Judged {
    // The figures are always those of the first session; the second can only weaken a verdict.
    let mut judged = judge(run, 0);
    let second = run.samples.iter().any(|row| row.session == 1);
    let second = second.then(|| judge(run, 1));
    for row in &mut judged.rows {
        confirm(row, second.as_ref());
    }
    judged.overall = overall(&judged.rows);
    judged
}

/// Whether a tested metric is a BLOCK, which needs a second session.
pub fn needs_confirmation(judged: &Judged) -> bool {
    let mut rows = judged.rows.iter();
    rows.any(|row| row.test.is_some() && row.verdict == Verdict::Block)
}

fn confirm(row: &mut Row, second: Option<&Judged>) {
    // A metric that needs no test does not vary, so a second session cannot change its verdict.
    if row.verdict != Verdict::Block || row.test.is_none() {
        return;
    }
    let rows = second.into_iter().flat_map(|second| &second.rows);
    let Some(other) = rows.into_iter().find(|other| other.metric == row.metric) else {
        row.reason = Some("a BLOCK needs a second session, and there is none".to_owned());
        row.verdict = Verdict::Alert;
        return;
    };
    if other.verdict < Verdict::Block {
        let (word, effect) = (other.verdict.word(), 100.0 * other.effect);
        row.reason = Some(format!("the second session gave {word}, {effect:+.1} %"));
        // An unconfirmed BLOCK is never a PASS.
        row.verdict = other.verdict.max(Verdict::Inconclusive);
    }
}

/// The differences in a metric by block of the first session, head from base and control from base:
/// of logarithms, or in points, positive where it is worse.
pub fn by_block(run: &Run, metric: &'static Metric) -> Option<[Vec<f64>; 2]> {
    let differences = Differences::of(run, 0, metric)?;
    Some([differences.head_by_block, differences.control_by_block])
}

/// The greatest verdict; nothing compared is inconclusive.
pub fn overall(rows: &[Row]) -> Verdict {
    let greatest = rows.iter().map(|row| row.verdict).max();
    greatest.unwrap_or(Verdict::Inconclusive)
}

impl Judged {
    /// Whether more blocks would change nothing: each metric is a regression, or cannot be worse by the
    /// smallest effect that is reported. An alert threshold in its place would end sessions too early,
    /// as PASS, when a smaller regression is not found yet.
    pub fn is_decided(&self) -> bool {
        self.rows.iter().all(|row| match &row.test {
            None => true,
            Some(test) => {
                row.verdict != Verdict::Inconclusive
                    && test.control_is_fine()
                    && (row.verdict.is_regression() || test.interval[1] < test.floor)
            }
        })
    }
}

impl Test {
    fn control_is_fine(&self) -> bool {
        self.control_p >= STRICT || self.control.abs() < FLOOR
    }

    pub fn is_better(&self, effect: f64) -> bool {
        self.p_better < STRICT && -effect >= self.floor
    }
}

/// The metrics that the session has samples of, in the order of the catalogue.
fn compared(run: &Run, session: usize) -> Vec<&'static Metric> {
    let has = |metric: &Metric| {
        let mut rows = run.samples_of(metric);
        rows.any(|row| row.session == session)
    };
    let all = catalog::METRICS.iter();
    all.filter(|metric| has(metric)).collect()
}

type Tested = (&'static Metric, Thresholds, Differences);

/// Tests the metrics as one family, so that the level holds for all together.
fn family(seed: u64, looks: usize, tested: &[Tested]) -> Vec<Row> {
    // Bonferroni over the looks: each of them is a chance to find a difference that is none.
    let spent = |p: f64| (p * looks as f64).min(1.0);
    let tests = |differences: fn(&Differences) -> &[f64], p: fn(paired::PairedTest) -> f64| {
        let tests = tested.iter().map(|(.., of)| {
            // All differences are 0.
            paired::signed_rank(differences(of)).map_or(1.0, |test| spent(p(test)))
        });
        tests.collect::<Vec<f64>>()
    };
    let head: fn(&Differences) -> &[f64] = |of| &of.head_by_block;
    let worse = tests(head, |test| test.p_greater);
    let better = tests(head, |test| test.p_less);
    // Two-sided: a control that is better than the base shows a bias as well.
    let control = tests(|of| &of.control_by_block, |test| test.p_two);
    let (holm, bh) = (adjust::holm(&worse), adjust::benjamini_hochberg(&worse));
    let (better, control) = (adjust::holm(&better), adjust::holm(&control));
    // The strictest level that Holm can ask of one metric, so that the detectable effect is not understated.
    let level = STRICT / (tested.len().max(1) * looks) as f64;
    let rows = tested.iter().enumerate().map(|(index, of)| {
        let (metric, thresholds, differences) = of;
        let estimate = paired::hodges_lehmann(&differences.head_by_block).unwrap_or_default();
        let of_control = paired::hodges_lehmann(&differences.control_by_block).unwrap_or_default();
        let blocks = differences.head_by_block.len();
        let interval = paired::hodges_lehmann_interval(&differences.head_by_block, 0.95);
        // Too few blocks for an interval: anything is possible, and nothing passes.
        let interval = interval.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        let spread = robust::standard_deviation(&differences.head_by_block);
        let detectable = spread.map_or(f64::INFINITY, |spread| {
            power::detectable(blocks, spread, level, POWER)
        });
        let flip = paired::sign_flip(&differences.head_by_block, seed);
        let test = Test {
            interval: interval.map(|bound| differences.effect(bound)),
            blocks,
            p: worse[index],
            p_holm: holm[index],
            p_bh: bh[index],
            p_flip: flip.map_or(1.0, |flip| flip.p_greater),
            p_better: better[index],
            has_control: !differences.control_by_block.is_empty(),
            control: differences.effect(of_control),
            control_p: control[index],
            floor: floor(metric, thresholds, differences, of_control),
            detectable: differences.effect(detectable),
            blocks_needed: spread.map_or(f64::INFINITY, |spread| {
                power::blocks_needed(alert(*thresholds), spread, level, POWER)
            }),
        };
        row(metric, *thresholds, differences, estimate, test)
    });
    rows.collect()
}

/// The row of a metric that was measured for the base and not for the head: it may be worse.
fn lost(run: &Run, session: usize, metric: &'static Metric) -> Option<Row> {
    let of = |arm| differences::values(run, session, metric, arm);
    let base: Vec<f64> = of(BASE).into_values().collect();
    (!base.is_empty() && of(HEAD).is_empty()).then(|| Row {
        metric,
        verdict: Verdict::Inconclusive,
        reason: Some("the head has no value".to_owned()),
        base: stats::median(&base).unwrap_or(f64::NAN),
        head: f64::NAN,
        effect: f64::NAN,
        test: None,
    })
}

/// The change that an alert takes, in the scale of the differences.
fn alert(thresholds: Thresholds) -> f64 {
    match thresholds.scale {
        Scale::Share => thresholds.alert.ln_1p(),
        Scale::Points => thresholds.alert,
    }
}

/// The smallest effect of a metric that is reported.
fn floor(metric: &Metric, thresholds: &Thresholds, differences: &Differences, control: f64) -> f64 {
    let own = if metric.category() == MEMORY_IDLE_RSS.category() {
        MEMORY_FLOOR.max(MEMORY_FLOOR_BYTES / differences.base)
    } else if thresholds.scale == Scale::Points {
        // A metric in points has no common scale for a floor, so it is derived from its own threshold.
        thresholds.alert / 2.0
    } else {
        FLOOR
    };
    // What two processes of one program differ by is what the machine alone can do in this session.
    own.max(2.0 * differences.effect(control).abs())
}

fn row(
    metric: &'static Metric,
    thresholds: Thresholds,
    differences: &Differences,
    estimate: f64,
    test: Test,
) -> Row {
    let effect = differences.effect(estimate);
    let (verdict, reason) = tested_verdict(metric, thresholds, effect, &test);
    Row {
        metric,
        verdict,
        reason,
        base: differences.base,
        head: differences.head,
        effect,
        test: Some(test),
    }
}

fn tested_verdict(
    metric: &Metric,
    thresholds: Thresholds,
    effect: f64,
    test: &Test,
) -> (Verdict, Option<String>) {
    let percent = |share: f64| match thresholds.scale {
        Scale::Share => format!("{:.1} %", 100.0 * share),
        Scale::Points => format!("{share:.2}"),
    };
    // Before the effect: an unreliable measurement allows no verdict on the head, not even a regression.
    if !test.has_control {
        let reason = "no control: the base was not measured twice, so a bias would not be noticed";
        return (Verdict::Inconclusive, Some(reason.to_owned()));
    }
    if !test.control_is_fine() {
        let reason = format!(
            "two processes of the base differ by {}: the machine or the measurement is unreliable",
            percent(test.control)
        );
        return (Verdict::Inconclusive, Some(reason));
    }
    // From the gravest verdict down, since a BLOCK also meets the conditions of the lesser ones.
    if effect >= test.floor {
        // The second opinion must not contradict: it tests the mean, while the other test sees ranks only.
        let is_sure = test.p_holm < STRICT && test.p_flip < LENIENT;
        if is_sure && effect >= thresholds.block {
            return (Verdict::Block, None);
        }
        if test.p_bh < LENIENT && test.p_flip < LENIENT && effect >= thresholds.alert {
            return (Verdict::Alert, None);
        }
        if is_sure {
            return (Verdict::Notice, None);
        }
        if test.p_bh < LENIENT {
            return (Verdict::Suspect, None);
        }
    }
    let detectable_max = if *metric == LATENCY_P99 {
        P99_DETECTABLE_MAX
    } else {
        thresholds.alert
    };
    // Before PASS: an interval that looks good proves nothing if such a change could not have been found.
    if test.detectable.is_nan() || test.detectable > detectable_max {
        let reason = format!(
            "{} blocks may miss a change of less than {}",
            test.blocks,
            percent(test.detectable)
        );
        return (Verdict::Inconclusive, Some(reason));
    }
    if test.interval[1] < thresholds.alert {
        return (Verdict::Pass, None);
    }
    let reason = format!("may be worse by up to {}", percent(test.interval[1]));
    (Verdict::Inconclusive, Some(reason))
}

/// The 95 % interval of an effect by resampling the blocks, for display: no verdict depends on it.
pub fn bootstrapped(run: &Run, metric: &'static Metric) -> Option<[f64; 2]> {
    let differences = Differences::of(run, 0, metric)?;
    let bounds = bootstrap::interval(
        &differences.head_by_block,
        paired::hodges_lehmann,
        (BOOTSTRAP_DRAWS, 0.95),
        run.seed,
    );
    bounds.map(|bounds| bounds.map(|bound| differences.effect(bound)))
}

#[cfg(test)]
mod tests;
