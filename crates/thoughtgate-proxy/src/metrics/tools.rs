//! Decisions on calls by tool, for the tools that policies name or the upstream has listed.
//!
//! Agents choose the names in their calls and must not add series: a name that is not known is counted as
//! `other`, and so are those beyond the limit. A request allocates nothing here.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use thoughtgate_panic::lock;

use super::labelled::Verdict;

/// Limit of the tools with series of their own. Each has four, of which one scrape has a line each.
const TOOLS_MAX: usize = 100;
/// Longest name with a series of its own, in bytes; MCP recommends at most 128 characters.
const NAME_BYTES_MAX: usize = 128;
/// Label of all other tools.
const OTHER: &str = "other";

/// Counts for one tool, in the order of [`Verdict::ALL`].
type Counts = [AtomicU64; Verdict::ALL.len()];

/// The counters of all tools.
#[derive(Default)]
pub struct Tools {
    /// Replaced as a whole when a tool is added, so that a request takes no lock.
    known: ArcSwap<HashMap<Box<str>, Arc<Counts>>>,
    adding: Mutex<()>,
    other: Counts,
}

impl Tools {
    /// Counts a decision on a call of `tool`.
    pub fn decided(&self, tool: &str, verdict: Verdict) {
        let known = self.known.load();
        let counts = known.get(tool).map_or(&self.other, |counts| counts);
        counts[verdict as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Gives `tool` series of its own, from now on, if it has none and there is room.
    pub fn learn(&self, tool: &str) {
        if self.has_place_for(tool) {
            self.add(tool);
        }
    }

    #[cold]
    fn add(&self, tool: &str) {
        let _adding = lock(&self.adding);
        // Another thread may have added it, or the last one that has room.
        if self.has_place_for(tool) {
            let mut known = HashMap::clone(&self.known.load());
            known.insert(tool.into(), Arc::default());
            self.known.store(Arc::new(known));
        }
    }

    fn has_place_for(&self, tool: &str) -> bool {
        let known = self.known.load();
        known.len() < TOOLS_MAX
            && tool.len() <= NAME_BYTES_MAX
            && tool != OTHER
            && !known.contains_key(tool)
    }

    /// Appends the series to OpenMetrics text, sorted by name.
    pub fn write(&self, text: &mut String) {
        let name = "thoughtgate_tool_decisions";
        let help = "Policy decisions on tool calls, by tool and outcome; tools that no policy names and no list had are `other`";
        writeln!(text, "# HELP {name} {help}.\n# TYPE {name} counter")
            .expect("a String takes any text");
        let known = self.known.load();
        let mut tools: Vec<(&str, &Counts)> = known
            .iter()
            .map(|(tool, counts)| (&**tool, &**counts))
            .collect();
        tools.sort_unstable_by_key(|(tool, _)| *tool);
        for (tool, counts) in tools.into_iter().chain([(OTHER, &self.other)]) {
            for (verdict, count) in Verdict::ALL.iter().zip(counts) {
                let label = verdict.label();
                let count = count.load(Ordering::Relaxed);
                write!(text, "{name}_total{{tool=\"").expect("a String takes any text");
                escape(tool, text);
                writeln!(text, "\",decision=\"{label}\"}} {count}")
                    .expect("a String takes any text");
            }
        }
    }
}

/// Appends a label value (OpenMetrics 1.0, "escaped-string"). Characters that a terminal acts on or that
/// show nothing become U+FFFD: the upstream chooses the names.
fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' | '"' => text.extend(['\\', character]),
            _ if thoughtgate_mcp::is_misleading(character) => text.push('\u{fffd}'),
            _ => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tools: &Tools) -> String {
        let mut text = String::new();
        tools.write(&mut text);
        text
    }

    fn has(tools: &Tools, series: &str) -> bool {
        let line = format!("thoughtgate_tool_decisions_total{{{series}");
        text(tools).lines().any(|found| found == line)
    }

    #[test]
    fn a_tool_that_is_not_known_adds_no_series() {
        let tools = Tools::default();
        tools.learn("echo");
        tools.decided("echo", Verdict::Forward);
        tools.decided("made up", Verdict::Reject);
        tools.decided("made up too", Verdict::Reject);
        assert!(has(&tools, r#"tool="echo",decision="forward"} 1"#));
        assert!(has(&tools, r#"tool="echo",decision="approve"} 0"#));
        assert!(has(&tools, r#"tool="other",decision="reject"} 2"#));
        assert_eq!(text(&tools).lines().count(), 2 + 2 * Verdict::ALL.len());
    }

    #[test]
    fn known_tools_have_a_limit_and_keep_their_counts() {
        let tools = Tools::default();
        tools.learn("first");
        tools.decided("first", Verdict::Approve);
        tools.learn(&"x".repeat(NAME_BYTES_MAX + 1));
        for number in 0..2 * TOOLS_MAX {
            tools.learn(&format!("tool {number}"));
        }
        assert_eq!(tools.known.load().len(), TOOLS_MAX);
        assert!(has(&tools, r#"tool="first",decision="approve"} 1"#));
    }

    #[test]
    fn a_name_cannot_break_its_line() {
        let tools = Tools::default();
        tools.learn("a\"\\\n\u{202e}é");
        let series = "tool=\"a\\\"\\\\\u{fffd}\u{fffd}é\",decision=\"forward\"} 0";
        assert!(has(&tools, series), "{}", text(&tools));
    }
}
