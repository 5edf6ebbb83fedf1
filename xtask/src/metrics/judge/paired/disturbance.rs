//! The disturbance of a session by the rest of the machine, under which nothing passes.

use crate::metrics::model::{Run, Sample};
use crate::metrics::stats;

/// The disturbance of more than half of the blocks of a session; none without one. The limits are
/// those that the run was made with, so that old samples give the same verdicts.
pub(super) fn of(run: &Run, session: usize) -> Option<String> {
    let mut blocks: Vec<&Sample> = run.samples.iter().collect();
    blocks.retain(|row| row.session == session);
    blocks.sort_by_key(|row| row.block);
    blocks.dedup_by_key(|row| row.block);
    let share = |limit: &str, read: fn(&Sample) -> Option<f64>| {
        let limit = *run.thresholds.get(limit)?;
        let read: Vec<f64> = blocks.iter().filter_map(|row| read(row)).collect();
        let above = read.iter().filter(|percent| **percent > limit).count();
        // Blocks without a reading count as undisturbed: where nothing can be read, nothing is claimed.
        (2 * above > blocks.len())
            .then(|| stats::median(&read))
            .flatten()
    };
    if let Some(percent) = share("noisy_others_percent", |row| row.others) {
        return Some(format!(
            "other programs took {percent:.0} % of the CPU time"
        ));
    }
    let percent = share("noisy_steal_percent", |row| row.steal)?;
    Some(format!(
        "the hypervisor took {percent:.0} % of the CPU time (steal)"
    ))
}
