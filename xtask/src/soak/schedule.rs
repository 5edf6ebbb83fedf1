//! The events of a soak and their times, from a seed: reloads, decisions of approvers, upstream faults,
//! kills.
//!
//! Deliberately absent: processes; `scene` carries the events out.

use std::time::Duration;

use crate::metrics::stats::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The policies change, or are invalid until the next change.
    Reload { broken: bool },
    /// From now on approvers answer like this.
    Approvers(Word),
    /// From now on the upstream behaves like this.
    Upstream(Upstream),
    /// The upstream's process is killed and started again.
    UpstreamDies,
    /// Slack fails a few times.
    SlackFails,
    /// The proxy is killed and started again.
    Kill,
}

/// Answer of the approvers to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Yes,
    No,
    /// Nobody answers.
    Nothing,
}

/// Behaviour of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    Well,
    Slowly,
    WithErrors,
    NotAtAll,
    InHalf,
    InEvents,
}

/// The events of a run, each kind at its own pace.
pub struct Schedule {
    random: Random,
    next: Vec<(Duration, Kind)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Reload,
    Approvers,
    Upstream,
    UpstreamDies,
    SlackFails,
    Kill,
}

impl Kind {
    /// Shortest time between two events of a kind, in milliseconds; the longest is three times that.
    fn pause_ms(self) -> u64 {
        match self {
            Kind::Reload => 700,
            Kind::Approvers => 500,
            Kind::Upstream => 900,
            Kind::UpstreamDies => 6000,
            Kind::SlackFails | Kind::Kill => 4000,
        }
    }
}

impl Schedule {
    /// The same seed gives the same events.
    pub fn new(seed: u64) -> Schedule {
        let kinds = [
            Kind::Reload,
            Kind::Approvers,
            Kind::Upstream,
            Kind::UpstreamDies,
            Kind::SlackFails,
            Kind::Kill,
        ];
        let mut schedule = Schedule {
            random: Random::new(seed),
            next: Vec::new(),
        };
        for kind in kinds {
            let pause = schedule.pause(kind);
            schedule.next.push((pause, kind));
        }
        schedule
    }

    /// Events due at `now`, the time since the start.
    pub fn due(&mut self, now: Duration) -> Vec<Event> {
        let mut due = Vec::new();
        for index in 0..self.next.len() {
            let (at, kind) = self.next[index];
            if at <= now {
                due.push(self.event(kind));
                // Counted from now, not from the planned time, so that late events do not pile up.
                self.next[index].0 = now + self.pause(kind);
            }
        }
        due
    }

    fn event(&mut self, kind: Kind) -> Event {
        match kind {
            Kind::Reload => Event::Reload {
                broken: self.random.below(5) == 0,
            },
            Kind::Approvers => Event::Approvers(match self.random.below(6) {
                0 => Word::No,
                1 => Word::Nothing,
                _ => Word::Yes,
            }),
            Kind::Upstream => Event::Upstream(match self.random.below(12) {
                0 => Upstream::Slowly,
                1 => Upstream::WithErrors,
                2 => Upstream::NotAtAll,
                3 => Upstream::InHalf,
                4 | 5 => Upstream::InEvents,
                _ => Upstream::Well,
            }),
            Kind::UpstreamDies => Event::UpstreamDies,
            Kind::SlackFails => Event::SlackFails,
            Kind::Kill => Event::Kill,
        }
    }

    fn pause(&mut self, kind: Kind) -> Duration {
        let least = kind.pause_ms();
        Duration::from_millis(least + self.random.below(2 * least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_events_and_all_kinds_come() {
        let events = |seed: u64| -> Vec<Event> {
            let mut schedule = Schedule::new(seed);
            let ticks = (0..600).map(|tick| Duration::from_millis(tick * 100));
            ticks.flat_map(|now| schedule.due(now)).collect()
        };
        assert_eq!(events(1), events(1));
        assert_ne!(events(1), events(2));
        for wanted in [
            Event::Kill,
            Event::UpstreamDies,
            Event::SlackFails,
            Event::Reload { broken: true },
            Event::Approvers(Word::Yes),
            Event::Upstream(Upstream::NotAtAll),
        ] {
            assert!(events(1).contains(&wanted), "{wanted:?}");
        }
    }
}
