//! The tables of the joined run: the session number of a row identifies the run that it is from.

use crate::metrics::model::Run;

/// All rows of a table of all runs.
pub(super) fn all<R: Clone>(
    runs: &[(&str, &Run)],
    table: impl Fn(&Run) -> &Vec<R>,
    session: fn(&mut R) -> &mut usize,
) -> Vec<R> {
    let all = runs.iter().enumerate();
    let moved =
        all.flat_map(|(index, (_, run))| moved(table(run).clone(), offset(runs, index), session));
    moved.collect()
}

/// The session of a run's first part: the number of parts before it.
pub(super) fn offset(runs: &[(&str, &Run)], index: usize) -> usize {
    let before = runs[..index].iter();
    before.map(|(_, run)| run.parts.len().max(1)).sum()
}

pub(super) fn moved<R>(
    mut rows: Vec<R>,
    offset: usize,
    session: fn(&mut R) -> &mut usize,
) -> Vec<R> {
    for row in &mut rows {
        let session = session(row);
        // Saturating: the number comes from a file, and may be anything.
        *session = session.saturating_add(offset);
    }
    rows
}
