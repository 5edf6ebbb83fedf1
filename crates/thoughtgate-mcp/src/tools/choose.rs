//! The caller's side of a filter: what it is asked and told about a list, as the upstream sent it.

/// Decides which tools of a list stay. A closure is one that is not interested in pages.
pub trait Choose {
    /// Whether the tool of this name stays.
    fn keep(&mut self, tool: &str) -> bool;

    /// Called after the last tool of a list; `more`: the list continues on another page.
    fn ended(&mut self, more: bool) {
        let _ = more;
    }
}

impl<F: FnMut(&str) -> bool> Choose for F {
    fn keep(&mut self, tool: &str) -> bool {
        self(tool)
    }
}
