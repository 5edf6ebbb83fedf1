//! Sessions that are drawn from the blocks of sessions in which nothing was slowed down: many more than
//! can be measured. Base, control and head of a block stay together, as they were measured.

use std::collections::BTreeMap;

use crate::metrics::judge::paired;
use crate::metrics::model::{Run, Sample, State};
use crate::metrics::stats::Random;

/// How many of `count` drawn sessions say that something became worse.
pub fn regressions(sessions: &[Run], count: usize, seed: u64) -> usize {
    let mut random = Random::new(seed);
    let drawn = (0..count).filter_map(|_| {
        let session = sessions.get(below(&mut random, sessions.len())?)?;
        Some(draw(session, &mut random))
    });
    drawn
        .filter(|run| paired::judge(run, 0).overall.is_regression())
        .count()
}

/// As many blocks as the session's last look takes, each drawn from all of its blocks that count.
fn draw(session: &Run, random: &mut Random) -> Run {
    let mut blocks: BTreeMap<usize, Vec<&Sample>> = BTreeMap::new();
    for row in &session.samples {
        if row.state == State::Counted && row.session == 0 {
            blocks.entry(row.block).or_default().push(row);
        }
    }
    let blocks: Vec<Vec<&Sample>> = blocks.into_values().collect();
    let last = session.looks.values().flatten().max().copied();
    let mut run = Run {
        samples: Vec::new(),
        distributions: Vec::new(),
        ..session.clone()
    };
    for number in 0..last.unwrap_or_default() {
        let Some(place) = below(random, blocks.len()) else {
            break;
        };
        let rows = blocks[place].iter().map(|row| Sample {
            block: number,
            ..(*row).clone()
        });
        run.samples.extend(rows);
    }
    run
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
    use crate::metrics::model::Value;
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
                    session: 0,
                    block,
                    arm: arm.to_owned(),
                    order: 0,
                    metric: LATENCY_P50.name.to_owned(),
                    value: Some(Value::Float(value)),
                    n: Some(1),
                    started: None,
                    steal: None,
                    others: None,
                    psi: None,
                    state: State::Counted,
                    reason: None,
                });
            }
        }
        run
    }

    #[test]
    fn programs_of_a_block_stay_together_and_the_last_look_is_reached() {
        let drawn = draw(&session(2.0), &mut Random::new(7));
        assert_eq!(drawn.samples.len(), 24 * 3);
        for rows in drawn.samples.chunks(3) {
            let values = rows.iter().map(|row| row.value.as_ref()?.number());
            let values: Vec<f64> = values.flatten().collect();
            assert!((values[2] / values[0] - 2.0).abs() < 1e-12, "{values:?}");
        }
        assert_ne!(drawn, draw(&session(2.0), &mut Random::new(8)));
    }

    #[test]
    fn regressions_are_counted() {
        assert_eq!(regressions(&[session(1.0)], 20, 1), 0);
        assert_eq!(regressions(&[session(1.3)], 20, 1), 20);
        assert_eq!(regressions(&[], 20, 1), 0);
    }
}
