//! Names of the tools that the upstream has listed, and of those that policies name and it has not.
//!
//! Learns from the lists that pass, for whatever agent, and asks the upstream for none. A name that was
//! listed once stays known: an upstream may list other tools to each agent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use thoughtgate_mcp::cut;
use thoughtgate_mcp::tools::Choose;
use thoughtgate_panic::{info, lock, warn};
use thoughtgate_policy::Engine;

/// Limit of the names together; beyond it nothing is said about tools that were not listed.
const BYTES_MAX: usize = 256 * 1024;
/// Memory of a name besides its text.
const NAME_BYTES: usize = 48;
/// Names that are shown, and bytes of each of them.
const SHOWN_MAX: usize = 10;
const SHOWN_BYTES_MAX: usize = 128;

/// The tools that were listed.
#[derive(Default)]
pub struct Seen {
    names: ArcSwap<Names>,
    /// The warning that was logged last; empty if none is in force.
    logged: Mutex<String>,
}

#[derive(Clone, Default)]
struct Names {
    known: HashSet<Box<str>>,
    bytes: usize,
    /// The last page of a list was seen.
    complete: bool,
    overflowed: bool,
}

/// Reads one list, and decides by `keep` which tools stay.
pub struct Reader<'s, K> {
    seen: &'s Seen,
    names: Arc<Names>,
    new: Vec<Box<str>>,
    new_bytes: usize,
    ended: bool,
    keep: K,
}

impl Seen {
    /// A reader of a list or a part of one.
    pub fn reader<K: FnMut(&str) -> bool>(&self, keep: K) -> Reader<'_, K> {
        Reader {
            seen: self,
            names: self.names.load_full(),
            new: Vec::new(),
            new_bytes: 0,
            ended: false,
            keep,
        }
    }

    /// Whether a list has passed, which only an MCP server sends.
    pub fn has_list(&self) -> bool {
        let names = self.names.load();
        names.complete || names.bytes > 0
    }

    /// Whether `differs` for a tool that may be in an agent's list; true if not all tools are known.
    pub fn any(&self, differs: impl Fn(&str) -> bool) -> bool {
        let names = self.names.load();
        !names.complete || names.overflowed || names.known.iter().any(|name| differs(name))
    }

    /// Names in `engine`'s policies of tools that the upstream did not list, and the number of all such
    /// names; none before a list was seen to its end.
    pub fn unlisted(&self, engine: &Engine) -> (Vec<String>, usize) {
        let names = self.names.load();
        if !names.complete || names.overflowed {
            return (Vec::new(), 0);
        }
        let unlisted = || {
            engine
                .named_tools()
                .filter(|name| !names.known.contains(*name))
        };
        let shown = unlisted().take(SHOWN_MAX);
        let shown = shown.map(|name| cut(name, SHOWN_BYTES_MAX).to_owned());
        (shown.collect(), unlisted().count())
    }

    /// Logs the names of tools that were not listed, if they are others than those that are logged.
    pub fn report(&self, engine: &Engine) {
        let (shown, count) = self.unlisted(engine);
        let text = describe(&shown, count);
        let mut logged = lock(&self.logged);
        if *logged == text {
            return;
        }
        if count > 0 {
            warn!(
                "policies name tools that the upstream does not list: {text}; a misspelt name makes its policy apply to nothing"
            );
        } else {
            info!("resolved: the upstream lists all tools that policies name");
        }
        *logged = text;
    }
}

/// The names, quoted, with their number if not all are shown.
fn describe(shown: &[String], count: usize) -> String {
    // Escapes controls, which could forge a line of the log.
    let quoted: Vec<String> = shown.iter().map(|name| format!("{name:?}")).collect();
    let names = quoted.join(", ");
    match count - shown.len() {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

impl<K> Reader<'_, K> {
    /// Keeps what was read; returns whether it was new.
    pub fn learn(self) -> bool {
        let is_new = !self.new.is_empty() || (self.ended && !self.names.complete);
        if !is_new || self.names.overflowed {
            return false;
        }
        self.seen.names.rcu(|names| {
            let mut names = Names::clone(names);
            for name in &self.new {
                if names.bytes + size_of_name(name) > BYTES_MAX {
                    names.overflowed = true;
                    break;
                }
                if names.known.insert(name.clone()) {
                    names.bytes += size_of_name(name);
                }
            }
            names.complete |= self.ended;
            names
        });
        true
    }
}

impl<K: FnMut(&str) -> bool> Choose for Reader<'_, K> {
    fn keep(&mut self, tool: &str) -> bool {
        // One list may not fill the memory before it is read to its end.
        if !self.names.known.contains(tool) && self.new_bytes <= BYTES_MAX {
            self.new_bytes += size_of_name(tool);
            self.new.push(tool.into());
        }
        (self.keep)(tool)
    }

    fn ended(&mut self, more: bool) {
        self.ended |= !more;
    }
}

fn size_of_name(name: &str) -> usize {
    NAME_BYTES + name.len()
}

#[cfg(test)]
mod tests {
    use thoughtgate_policy::{Options, Source};

    use super::*;

    fn engine(text: &str) -> Engine {
        let source = Source {
            name: "test.cedar".to_owned(),
            text: text.to_owned(),
        };
        Engine::load(&[source], &Options::default()).unwrap()
    }

    fn page(seen: &Seen, tools: &[&str], more: bool) -> bool {
        let mut reader = seen.reader(|_| true);
        for tool in tools {
            reader.keep(tool);
        }
        reader.ended(more);
        reader.learn()
    }

    #[test]
    fn what_no_page_has_listed_is_known_after_the_last() {
        let seen = Seen::default();
        let named = r#"permit (principal, action, resource == Tool::"NAME");"#;
        let engine = engine(
            &["a", "b", "tpyo"]
                .map(|name| named.replace("NAME", name))
                .concat(),
        );
        assert!(seen.any(|_| false), "nothing is known yet");
        assert!(!seen.has_list());
        assert!(page(&seen, &["a", "c"], true));
        assert!(seen.has_list(), "of one page");
        assert_eq!(seen.unlisted(&engine), (vec![], 0));
        assert!(page(&seen, &["b"], false));
        assert_eq!(seen.unlisted(&engine), (vec!["tpyo".to_owned()], 1));
        assert!(!page(&seen, &["a"], false), "nothing new");
        assert!(seen.any(|name| name == "c") && !seen.any(|name| name == "tpyo"));
        assert!(page(&seen, &["tpyo"], false));
        assert_eq!(seen.unlisted(&engine).1, 0);
    }

    #[test]
    fn names_are_limited_in_bytes_and_shown_in_part() {
        let seen = Seen::default();
        let many: Vec<String> = (0..30)
            .map(|number| format!("permit (principal, action, resource == Tool::\"{number:02}\");"))
            .collect();
        let engine = engine(&many.concat());
        page(&seen, &["a"], false);
        let (shown, count) = seen.unlisted(&engine);
        assert_eq!((shown.len(), count), (SHOWN_MAX, 30));
        assert!(describe(&shown, count).ends_with("\"09\" and 20 more"));
        let large = "x".repeat(BYTES_MAX);
        page(&seen, &[&large], false);
        assert_eq!(seen.unlisted(&engine), (vec![], 0));
        assert!(seen.any(|_| false), "not all are known");
        assert_eq!(seen.names.load().known.len(), 1);
    }
}
