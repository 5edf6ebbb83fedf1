//! Whether the records of a soak add up. Reads nothing; data in, faults out.

use std::fmt::Write as _;

use super::records::Records;

/// How much more memory the last third may need than the first: allocators and caches settle.
const RSS_SHARE: f64 = 1.10;
const RSS_BYTES: f64 = 2_000_000.0;
/// How many more descriptors: connections come and go.
const DESCRIPTORS: f64 = 16.0;
/// Audit lines that one kill may lose: what was queued at that moment.
const LOST_PER_KILL_MAX: u64 = 256;
/// Faults of one kind that are told one by one.
const TOLD_MAX: usize = 5;

/// One look at the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub rss_bytes: u64,
    pub descriptors: u64,
}

/// Looks at a proxy that lived on, in order.
#[derive(Debug, Default)]
pub struct Growth {
    samples: Vec<Sample>,
}

impl Growth {
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Medians of the first and the last third.
    fn thirds(&self, of: fn(&Sample) -> u64) -> Option<(f64, f64)> {
        let third = self.samples.len() / 3;
        let median = |samples: &[Sample]| {
            let mut values: Vec<u64> = samples.iter().map(of).collect();
            values.sort_unstable();
            values.get(values.len() / 2).map(|value| *value as f64)
        };
        let last = self.samples.get(self.samples.len() - third..)?;
        Some((median(self.samples.get(..third)?)?, median(last)?))
    }

    pub fn describe(&self) -> String {
        let rss = self.thirds(|sample| sample.rss_bytes);
        let descriptors = self.thirds(|sample| sample.descriptors);
        match (rss, descriptors) {
            (Some((first, last)), Some((before, after))) => format!(
                "memory {:.1} MB, then {:.1} MB; {before} descriptors, then {after}",
                first / 1e6,
                last / 1e6
            ),
            _ => "too short to see growth".to_owned(),
        }
    }
}

/// Everything that does not add up; empty when all does.
pub fn faults(records: &Records, growth: &Growth) -> Vec<String> {
    let mut faults = Vec::new();
    executions(records, &mut faults);
    ends(records, &mut faults);
    lives(records, &mut faults);
    grown(growth, &mut faults);
    faults
}

/// No call is made twice, none that is denied, none that needs a word without it.
fn executions(records: &Records, faults: &mut Vec<String>) {
    let twice = records.executed.iter().filter(|(_, times)| **times > 1);
    tell(
        faults,
        "made more than once",
        twice.map(|((tool, mark), times)| format!("{tool} {mark}: {times} times")),
    );
    let others = |(tool, _): &&(String, String)| tool != "echo" && tool != "deploy";
    let denied = records.executed.keys().filter(others);
    tell(
        faults,
        "made though denied",
        denied.map(|(tool, mark)| format!("{tool} {mark}")),
    );
    let alone = records
        .executed
        .keys()
        .filter(|(tool, mark)| tool == "deploy" && !records.approved.contains(mark));
    tell(
        faults,
        "made without a yes",
        alone.map(|(_, mark)| mark.clone()),
    );
    let made = records
        .executed
        .keys()
        .filter(|(tool, _)| tool == "deploy")
        .count() as u64;
    let used: u64 = records.lives.iter().map(|life| life.used).sum();
    let lost: u64 = records.lives.iter().filter(|life| life.killed).count() as u64;
    if made > used + lost * LOST_PER_KILL_MAX {
        faults.push(format!("{made} calls were made with {used} approvals used"));
    }
}

/// What clients saw fits to what was made.
fn ends(records: &Records, faults: &mut Vec<String>) {
    let of = |role: &'static str| records.ends.iter().filter(move |end| end.role == role);
    let passed = of("denied").filter(|end| end.how == "result");
    tell(
        faults,
        "answered though denied",
        passed.map(|end| end.mark.clone()),
    );
    let shown = of("lists").filter(|end| end.how == "shown");
    tell(
        faults,
        "a tool listed that may not be called",
        shown.map(|end| end.mark.clone()),
    );
    let odd = of("broken").filter(|end| {
        let refused = end.how.starts_with("status 4") || end.how == "status 503";
        !refused && end.how != "lost"
    });
    tell(
        faults,
        "no message, and not refused",
        odd.map(|end| format!("{} {}", end.mark, end.how)),
    );
    for (role, tool) in [
        ("permitted", "echo"),
        ("held", "deploy"),
        ("retried", "deploy"),
        ("task", "deploy"),
    ] {
        let key = |mark: &str| (tool.to_owned(), mark.to_owned());
        let invented = of(role)
            .filter(|end| end.how == "result" && !records.executed.contains_key(&key(&end.mark)));
        tell(
            faults,
            "answered though never made",
            invented.map(|end| end.mark.clone()),
        );
        if !of(role).any(|end| end.how == "result") {
            faults.push(format!(
                "no call of a client that is `{role}` came to a result"
            ));
        }
    }
}

/// Each process of the proxy wrote what it decided, and none panicked.
fn lives(records: &Records, faults: &mut Vec<String>) {
    for (index, life) in records.lives.iter().enumerate() {
        let number = index + 1;
        if life.panics > 0 || life.stderr.contains("panicked at") {
            faults.push(format!("life {number} panicked: {}", life.stderr.trim()));
        }
        if life.killed {
            if life.lost() > LOST_PER_KILL_MAX {
                faults.push(format!(
                    "life {number}: a kill lost {} audit lines, more than {LOST_PER_KILL_MAX}",
                    life.lost()
                ));
            }
            continue;
        }
        if life.dropped > 0 || life.lines != life.decisions {
            faults.push(format!(
                "life {number}: {} decisions, {} audit lines, {} counted as dropped",
                life.decisions, life.lines, life.dropped
            ));
        }
        if !life.ended_well {
            faults.push(format!(
                "life {number} did not end well: {}",
                life.stderr.trim()
            ));
        }
    }
}

fn grown(growth: &Growth, faults: &mut Vec<String>) {
    let rss = growth.thirds(|sample| sample.rss_bytes);
    if let Some((first, last)) = rss
        && last > first * RSS_SHARE + RSS_BYTES
    {
        faults.push(format!("memory grew: {}", growth.describe()));
    }
    let descriptors = growth.thirds(|sample| sample.descriptors);
    if let Some((first, last)) = descriptors
        && last > first + DESCRIPTORS
    {
        faults.push(format!("descriptors grew: {}", growth.describe()));
    }
}

/// One fault for all of a kind, with the first few.
fn tell(faults: &mut Vec<String>, kind: &str, found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    if found.is_empty() {
        return;
    }
    let mut fault = format!(
        "{kind}: {}",
        found
            .iter()
            .take(TOLD_MAX)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    );
    if found.len() > TOLD_MAX {
        // Writing to a string does not fail.
        let _ = write!(fault, " and {} more", found.len() - TOLD_MAX);
    }
    faults.push(fault);
}

#[cfg(test)]
mod tests {
    use super::super::records::{End, Life};
    use super::*;

    fn end(role: &str, mark: &str, how: &str) -> End {
        End {
            role: role.to_owned(),
            mark: mark.to_owned(),
            how: how.to_owned(),
        }
    }

    /// One call of each kind, and all as it should be.
    fn good() -> Records {
        let mut records = Records::default();
        for (role, tool) in [
            ("permitted", "echo"),
            ("held", "deploy"),
            ("retried", "deploy"),
            ("task", "deploy"),
        ] {
            let mark = format!("{role}-1-1");
            records.executed.insert((tool.to_owned(), mark.clone()), 1);
            records.ends.push(end(role, &mark, "result"));
            if tool == "deploy" {
                records.approved.insert(mark);
            }
        }
        records
            .ends
            .push(end("denied", "denied-1-1", "error 40301"));
        records.lives.push(Life {
            decisions: 5,
            lines: 5,
            used: 3,
            ended_well: true,
            ..Life::default()
        });
        records
    }

    fn check(change: impl FnOnce(&mut Records), expected: &str) {
        let mut records = good();
        change(&mut records);
        let found = faults(&records, &Growth::default());
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn what_adds_up_has_no_fault_and_each_fault_is_found() {
        assert_eq!(faults(&good(), &Growth::default()), Vec::<String>::new());
        let key = |tool: &str, mark: &str| (tool.to_owned(), mark.to_owned());
        check(
            |records| {
                *records
                    .executed
                    .get_mut(&key("echo", "permitted-1-1"))
                    .unwrap() = 2;
            },
            "more than once",
        );
        check(
            |records| {
                records.executed.insert(key("tool_1", "denied-1-1"), 1);
            },
            "though denied",
        );
        check(
            |records| {
                records.approved.remove("held-1-1");
            },
            "without a yes: held-1-1",
        );
        check(
            |records| {
                records.executed.remove(&key("echo", "permitted-1-1"));
            },
            "never made",
        );
        check(
            |records| records.ends.push(end("denied", "d", "result")),
            "answered though denied",
        );
        check(
            |records| records.ends.push(end("lists", "l", "shown")),
            "listed",
        );
        check(
            |records| records.ends.push(end("broken", "b", "status 200")),
            "not refused",
        );
        check(
            |records| records.lives[0].used = 2,
            "3 calls were made with 2 approvals used",
        );
        check(
            |records| records.lives[0].lines = 4,
            "5 decisions, 4 audit lines",
        );
        check(|records| records.lives[0].panics = 1, "panicked");
        check(
            |records| records.lives[0].ended_well = false,
            "did not end well",
        );
        check(
            |records| records.ends.retain(|end| end.role != "task"),
            "`task`",
        );
        check(
            |records| {
                let lost = Life {
                    killed: true,
                    decisions: 1000,
                    ..Life::default()
                };
                records.lives.insert(0, lost);
            },
            "a kill lost 1000",
        );
    }

    #[test]
    fn growth_is_seen_between_the_thirds() {
        let growth = |rss: fn(u64) -> u64, descriptors: fn(u64) -> u64| {
            let mut growth = Growth::default();
            for at in 0..30 {
                growth.add(Sample {
                    rss_bytes: rss(at),
                    descriptors: descriptors(at),
                });
            }
            faults(&good(), &growth)
        };
        assert_eq!(
            growth(|at| 10_000_000 + at % 3, |_| 20),
            Vec::<String>::new()
        );
        assert!(growth(|at| 10_000_000 + at * 300_000, |_| 20)[0].contains("memory grew"));
        assert!(growth(|_| 10_000_000, |at| 20 + at)[0].contains("descriptors grew"));
    }
}
