//! Sessions that are drawn from the blocks of measured sessions without a slowdown: many more than can be
//! measured. Base, control and head of a block stay together, as they were measured.

use std::collections::BTreeMap;

use crate::metrics::judge::paired;
use crate::metrics::model::{Run, Sample, State};
use crate::metrics::stats::Random;

/// The number of regressions among `count` drawn sessions.
pub fn regressions(sessions: &[Run], count: usize, seed: u64) -> usize {
    let sessions: Vec<Session> = sessions.iter().map(Session::of).collect();
    let mut random = Random::new(seed);
    let drawn = (0..count).filter_map(|_| {
        let session = sessions.get(below(&mut random, sessions.len())?)?;
        Some(session.draw(&mut random))
    });
    drawn
        .filter(|run| paired::judge(run, 0).overall.is_regression())
        .count()
}

/// A session to draw from.
struct Session {
    /// The run without its samples.
    run: Run,
    /// The rows that count, by block.
    blocks: Vec<Vec<Sample>>,
}

impl Session {
    fn of(run: &Run) -> Session {
        let mut run = run.clone();
        // Each drawn session is a copy of the run, and no verdict needs the histograms.
        run.distributions.clear();
        let mut blocks: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
        for row in std::mem::take(&mut run.samples) {
            if row.state == State::Counted && row.session == 0 {
                blocks.entry(row.block).or_default().push(row);
            }
        }
        Session {
            run,
            blocks: blocks.into_values().collect(),
        }
    }

    /// Draws as many blocks as the session's last look has, each from all blocks of the session.
    fn draw(&self, random: &mut Random) -> Run {
        let mut run = self.run.clone();
        let last = run.looks.values().flatten().max().copied();
        for number in 0..last.unwrap_or_default() {
            let Some(place) = below(random, self.blocks.len()) else {
                break;
            };
            let rows = self.blocks[place].iter().map(|row| Sample {
                block: number,
                ..row.clone()
            });
            run.samples.extend(rows);
        }
        run
    }
}

fn below(random: &mut Random, count: usize) -> Option<usize> {
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    usize::try_from(random.below(count)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::LATENCY_P50;
    use crate::metrics::judge::paired::{BASE, CONTROL, HEAD};
    use crate::metrics::render::fixture;

    /// 16 blocks in which the head takes `factor` times as long.
    fn session(factor: f64) -> Run {
        let mut run = fixture::run(&[]);
        run.looks = BTreeMap::from([("compare".to_owned(), vec![16, 24])]);
        run.samples.clear();
        for block in 0..16 {
            let base = 1.0 + 0.01 * f64::from(u8::try_from(block).unwrap());
            for (arm, value) in [(BASE, base), (CONTROL, base), (HEAD, factor * base)] {
                run.samples.push(Sample {
                    block,
                    arm: arm.to_owned(),
                    ..fixture::sample(&LATENCY_P50, Some(value), State::Counted)
                });
            }
        }
        run
    }

    #[test]
    fn programs_of_a_block_stay_together_and_the_last_look_is_reached() {
        let session = Session::of(&session(2.0));
        let drawn = session.draw(&mut Random::new(7));
        assert_eq!(drawn.samples.len(), 24 * 3);
        for rows in drawn.samples.chunks(3) {
            let values = rows.iter().map(|row| row.value.as_ref()?.number());
            let values: Vec<f64> = values.flatten().collect();
            assert!((values[2] / values[0] - 2.0).abs() < 1e-12, "{values:?}");
        }
        assert_ne!(drawn, session.draw(&mut Random::new(8)));
    }

    #[test]
    fn regressions_are_counted() {
        assert_eq!(regressions(&[session(1.0)], 20, 1), 0);
        assert_eq!(regressions(&[session(1.3)], 20, 1), 20);
        assert_eq!(regressions(&[], 20, 1), 0);
    }
}
