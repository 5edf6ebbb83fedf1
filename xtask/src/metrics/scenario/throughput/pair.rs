//! The proxy and nginx under the same load by the light driver, in mirrored slices, so that a drift of
//! the machine affects both alike. Both are warmed up by that load, and their answers checked alike.

use anyhow::anyhow;

use super::super::super::context::Context;
use super::super::closed::Times;
use super::super::test_bed::TestBed;
use crate::interrupt;
use crate::tools::load::Outcome;
use crate::tools::nginx::Nginx;
use crate::tools::procfs::{CpuReading, spent_us};

/// Slices of each program in a block.
const SLICES: u64 = 2;

/// Results of the driver for one program.
#[derive(Debug)]
pub struct Driven {
    /// Calls of all slices, the warm-up included: what the upstream must have seen.
    pub sent: u64,
    /// The slices after the warm-up.
    pub slices: Vec<Outcome>,
    /// CPU time of the program in those slices, in microseconds.
    pub cpu_us: anyhow::Result<f64>,
    fault: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Proxy,
    Nginx,
}

/// The order of the slices in block `number`: every other block has the mirror.
fn order(number: usize) -> [Program; 4] {
    let (first, second) = if number.is_multiple_of(2) {
        (Program::Proxy, Program::Nginx)
    } else {
        (Program::Nginx, Program::Proxy)
    };
    [first, second, second, first]
}

/// Drives both. nginx is only a reference: its error is returned beside the results of the proxy.
/// Without nginx the proxy is driven alone.
///
/// # Errors
/// Those of the proxy and its upstream, and an interruption.
pub fn drive(
    context: &Context<'_>,
    bed: &mut TestBed,
    nginx: Option<&Nginx>,
    (times, number): (Times, usize),
) -> anyhow::Result<(Driven, Option<anyhow::Result<Driven>>)> {
    let (url, pid) = (bed.proxy.url(), bed.proxy.pid());
    let mut proxy = Driven::new();
    proxy.warm_up(context, times, &url, bed)?;
    let mut other = match nginx {
        None => None,
        Some(nginx) => {
            let mut driven = Driven::new();
            let warmed = driven.counted(bed, |driven, bed| {
                driven.warm_up(context, times, &nginx.url(), bed)
            });
            Some(unless_interrupted(warmed)?.map(|()| driven))
        }
    };
    for program in order(number) {
        match (program, nginx, &mut other) {
            (Program::Proxy, ..) => proxy.slice(context, times, (&url, pid), bed)?,
            (Program::Nginx, Some(nginx), Some(Ok(driven))) => {
                let server = (nginx.url(), nginx.pid());
                let done = driven.counted(bed, |driven, bed| {
                    driven.slice(context, times, (&server.0, server.1), bed)
                });
                if let Err(error) = unless_interrupted(done)? {
                    other = Some(Err(error));
                }
            }
            // nginx is missing or has failed: the proxy keeps its slices, and their places in the block.
            (Program::Nginx, ..) => {}
        }
    }
    Ok((proxy, other))
}

impl Driven {
    fn new() -> Driven {
        Driven {
            sent: 0,
            slices: Vec::new(),
            cpu_us: Ok(0.0),
            fault: None,
        }
    }

    /// The reason why its figures are void; none when all answers were right.
    pub fn fault(&self) -> Option<String> {
        self.fault.clone()
    }

    /// Calls of the slices, the warm-up excluded.
    pub fn calls(&self) -> u64 {
        self.slices.iter().map(|slice| slice.requests).sum()
    }

    /// Mean of the slices' calls per second.
    pub fn rate(&self) -> f64 {
        let rates = self.slices.iter().map(|slice| slice.rate_achieved);
        rates.sum::<f64>() / self.slices.len().max(1) as f64
    }

    fn warm_up(
        &mut self,
        context: &Context<'_>,
        times: Times,
        url: &str,
        bed: &mut TestBed,
    ) -> anyhow::Result<()> {
        let look = &mut || bed.check_running();
        let outcome = Times::drive(context, url, times.warm, look)?;
        self.check(&outcome);
        Ok(())
    }

    fn slice(
        &mut self,
        context: &Context<'_>,
        times: Times,
        (url, pid): (&str, u32),
        bed: &mut TestBed,
    ) -> anyhow::Result<()> {
        let before = CpuReading::of(pid);
        let look = &mut || bed.check_running();
        let outcome = Times::drive(context, url, times.driver / SLICES, look)?;
        let after = CpuReading::of(pid);
        let spent = spent_us(&before, &after);
        // One slice without a reading makes the sum meaningless; the first error is kept.
        if let Ok(sum) = self.cpu_us {
            self.cpu_us = spent.map(|spent| sum + spent);
        }
        self.check(&outcome);
        self.slices.push(outcome);
        Ok(())
    }

    fn check(&mut self, outcome: &Outcome) {
        self.sent += outcome.requests;
        self.fault = self.fault.take().or_else(|| outcome.fault());
    }

    /// Does `work`, and checks that the upstream received its calls: no counter of the proxy shows
    /// those that went through nginx.
    fn counted(
        &mut self,
        bed: &mut TestBed,
        work: impl FnOnce(&mut Driven, &mut TestBed) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (sent, seen) = (self.sent, bed.upstream.counts()?.tool_calls);
        // The error waits until the calls are counted.
        let worked = work(self, bed);
        let (sent, seen) = (self.sent - sent, bed.upstream.counts()?.tool_calls - seen);
        // Before any error is returned: the calls have reached the upstream, whatever else went wrong.
        bed.beside += seen;
        worked?;
        if let Some(fault) = self.fault() {
            return Err(anyhow!(fault));
        }
        if sent != seen {
            return Err(anyhow!("the upstream received {seen} of {sent} calls"));
        }
        Ok(())
    }
}

fn unless_interrupted<T>(result: anyhow::Result<T>) -> anyhow::Result<anyhow::Result<T>> {
    match result {
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_come_equally_often_and_early() {
        let place = |order: [Program; 4], program| {
            let places = order.iter().enumerate();
            places
                .filter(|(_, found)| **found == program)
                .map(|(place, _)| place)
                .sum::<usize>()
        };
        for number in 0..4 {
            let order = order(number);
            assert_eq!(place(order, Program::Proxy), 3);
            assert_eq!(place(order, Program::Nginx), 3);
        }
        assert_eq!(order(0)[0], Program::Proxy);
        assert_eq!(order(1)[0], Program::Nginx, "neither is always first");
    }
}
