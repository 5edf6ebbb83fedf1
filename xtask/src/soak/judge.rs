//! Checks that the records of a soak add up. Pure: records in, faults out.

use std::fmt::Write as _;

use super::growth::Growth;
use super::records::Records;

/// Memory that the last third of a soak may need, as a multiple of that of the first, with
/// [`RSS_BYTES`] on top: allocators and caches settle.
const RSS_SHARE: f64 = 1.10;
const RSS_BYTES: f64 = 2_000_000.0;
/// Descriptors that may be open in the last third beyond those of the first: connections come and go.
const DESCRIPTORS: f64 = 16.0;
/// Audit lines that one kill may lose: those queued at that moment.
const LOST_PER_KILL_MAX: u64 = 256;
/// Faults of one kind that are listed; more are only counted.
const TOLD_MAX: usize = 5;

/// One text for each fault found; empty when everything adds up.
pub fn faults(records: &Records, growth: &Growth) -> Vec<String> {
    let mut faults = Vec::new();
    executions(records, &mut faults);
    ends(records, &mut faults);
    lives(records, &mut faults);
    grown(growth, &mut faults);
    faults
}

/// No call is executed twice, none that is denied, and none that needs approval without it.
fn executions(records: &Records, faults: &mut Vec<String>) {
    let twice = records.executed.iter().filter(|(_, times)| **times > 1);
    tell(
        faults,
        "calls executed more than once",
        twice.map(|((tool, mark), times)| format!("{tool} {mark}: {times} times")),
    );
    // The policies of the scene permit these two tools only.
    let others = |(tool, _): &&(String, String)| tool != "echo" && tool != "deploy";
    let denied = records.executed.keys().filter(others);
    tell(
        faults,
        "calls executed though denied",
        denied.map(|(tool, mark)| format!("{tool} {mark}")),
    );
    let alone = records
        .executed
        .keys()
        .filter(|(tool, mark)| tool == "deploy" && !records.approved.contains(mark));
    tell(
        faults,
        "calls executed without approval",
        alone.map(|(_, mark)| mark.clone()),
    );
    let made = records
        .executed
        .keys()
        .filter(|(tool, _)| tool == "deploy")
        .count() as u64;
    let used: u64 = records.lives.iter().map(|life| life.used).sum();
    let lost: u64 = records.lives.iter().filter(|life| life.killed).count() as u64;
    // A kill may have lost the audit lines that record the use of an approval.
    if made > used + lost * LOST_PER_KILL_MAX {
        faults.push(format!(
            "{made} calls that need approval were executed with {used} approvals used"
        ));
    }
}

/// The answers that clients got agree with the calls that the upstream executed.
fn ends(records: &Records, faults: &mut Vec<String>) {
    let of = |role: &'static str| records.ends.iter().filter(move |end| end.role == role);
    // A tool's own error is the upstream's answer, too.
    let passed = of("denied").filter(|end| ["result", "tool error"].contains(&end.how.as_str()));
    tell(
        faults,
        "denied calls answered with a result",
        passed.map(|end| end.mark.clone()),
    );
    let shown = of("lists").filter(|end| end.how == "shown");
    tell(
        faults,
        "tools listed that the client may not call",
        shown.map(|end| end.mark.clone()),
    );
    let odd = of("broken").filter(|end| {
        let refused = end.how.starts_with("status 4") || end.how == "status 503";
        !refused && end.how != "lost"
    });
    tell(
        faults,
        "malformed requests not refused",
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
            "results of calls that never reached the upstream",
            invented.map(|end| end.mark.clone()),
        );
        // Without a single success, nothing of this role was tested.
        if !of(role).any(|end| end.how == "result") {
            faults.push(format!(
                "no call of a client in the role `{role}` was answered with a result"
            ));
        }
    }
}

/// Each process of the proxy audited all its decisions, never panicked and exited cleanly.
fn lives(records: &Records, faults: &mut Vec<String>) {
    for (index, life) in records.lives.iter().enumerate() {
        let number = index + 1;
        if life.panics > 0 || life.stderr.contains("panicked at") {
            faults.push(format!(
                "proxy process {number} panicked: {}",
                life.stderr.trim()
            ));
        }
        // A killed process could neither write its queue nor exit cleanly, so only the loss is limited.
        if life.killed {
            if life.lost() > LOST_PER_KILL_MAX {
                faults.push(format!(
                    "proxy process {number}: a kill lost {} audit lines, over {LOST_PER_KILL_MAX}",
                    life.lost()
                ));
            }
            continue;
        }
        if life.dropped > 0 || life.lines != life.decisions {
            faults.push(format!(
                "proxy process {number}: {} decisions, {} audit lines, {} counted as dropped",
                life.decisions, life.lines, life.dropped
            ));
        }
        if !life.ended_well {
            faults.push(format!(
                "proxy process {number} did not exit cleanly: {}",
                life.stderr.trim()
            ));
        }
    }
}

fn grown(growth: &Growth, faults: &mut Vec<String>) {
    // A soak too short for samples is not judged by them; the summary says so.
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

/// Adds one fault for all findings of a kind, listing the first [`TOLD_MAX`].
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
    use super::super::growth::Sample;
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
            .push(end("denied", "denied-1-1", "refused 40301"));
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
    fn what_adds_up_has_no_fault_and_each_fault_of_a_call_is_found() {
        assert_eq!(faults(&good(), &Growth::default()), Vec::<String>::new());
        let key = |tool: &str, mark: &str| (tool.to_owned(), mark.to_owned());
        check(
            |records| {
                *records
                    .executed
                    .get_mut(&key("echo", "permitted-1-1"))
                    .unwrap() = 2;
            },
            "calls executed more than once",
        );
        check(
            |records| {
                records.executed.insert(key("tool_1", "denied-1-1"), 1);
            },
            "calls executed though denied",
        );
        check(
            |records| {
                records.approved.remove("held-1-1");
            },
            "without approval: held-1-1",
        );
        check(
            |records| {
                records.executed.remove(&key("echo", "permitted-1-1"));
            },
            "never reached the upstream",
        );
        check(
            |records| records.ends.push(end("denied", "d", "result")),
            "denied calls answered with a result",
        );
        check(
            |records| records.ends.push(end("denied", "d", "tool error")),
            "denied calls answered with a result",
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
            |records| records.ends.retain(|end| end.role != "task"),
            "`task`",
        );
    }

    #[test]
    fn each_fault_of_a_process_is_found() {
        check(
            |records| records.lives[0].used = 2,
            "3 calls that need approval were executed with 2 approvals used",
        );
        check(
            |records| records.lives[0].lines = 4,
            "5 decisions, 4 audit lines",
        );
        check(|records| records.lives[0].panics = 1, "panicked");
        check(
            |records| records.lives[0].ended_well = false,
            "did not exit cleanly",
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
