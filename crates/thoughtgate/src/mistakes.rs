//! All mistakes of one input, so that its author can mend them in one go.
//!
//! Knows nothing of the inputs; each mistake is a sentence with its place, if it has one.

use std::error::Error;
use std::fmt;

/// The mistakes of a configuration, of policies or of cases; at least one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// Adds a mistake, unless it is there already.
    pub fn add(&mut self, mistake: impl Into<String>) {
        let mistake = mistake.into();
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// Adds a mistake unless `holds`.
    pub fn require(&mut self, holds: bool, mistake: impl FnOnce() -> String) {
        if !holds {
            self.add(mistake());
        }
    }

    /// Adds the mistakes in `error`, which may be several, each with the context of `error`; returns a
    /// value if there is one.
    pub fn keep<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                for line in lines(&error) {
                    self.add(line);
                }
                None
            }
        }
    }

    /// `value` if there are no mistakes.
    pub fn or<T>(self, value: T) -> Result<T, Mistakes> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Adds each of `errors`.
    pub fn all<E: Error>(&mut self, errors: impl IntoIterator<Item = E>) {
        errors
            .into_iter()
            .for_each(|error| self.add(error.to_string()));
    }

    /// Whether `is_wanted` holds for one of them.
    pub fn any(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|mistake| is_wanted(mistake))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for Mistakes {
    fn from_iter<I: IntoIterator<Item = String>>(all: I) -> Mistakes {
        let mut mistakes = Mistakes::default();
        all.into_iter().for_each(|mistake| mistakes.add(mistake));
        mistakes
    }
}

impl fmt::Display for Mistakes {
    /// In one line, for a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("; also: "))
    }
}

impl Error for Mistakes {}

/// The lines in which `error` is printed: one for each mistake, or one for the whole chain of causes.
#[must_use]
pub fn lines(error: &anyhow::Error) -> Vec<String> {
    let last = error.chain().last();
    match last.and_then(|cause| cause.downcast_ref::<Mistakes>()) {
        Some(Mistakes(all)) => {
            let above: Vec<String> = error.chain().map(ToString::to_string).collect();
            let above = &above[..above.len() - 1];
            let line = |mistake: &String| {
                let parts = above.iter().chain([mistake]).map(String::as_str);
                parts.collect::<Vec<_>>().join(": ")
            };
            all.iter().map(line).collect()
        }
        None => vec![format!("{error:#}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_a_line_with_the_context_of_all() {
        let all = || Mistakes::from_iter(["a".to_owned(), "b".to_owned(), "a".to_owned()]);
        let error = anyhow::Error::new(all()).context("failed to load policies");
        assert_eq!(
            lines(&error),
            ["failed to load policies: a", "failed to load policies: b"]
        );
        assert_eq!(format!("{error:#}"), "failed to load policies: a; also: b");
        let mut more = Mistakes::default();
        assert_eq!(more.keep::<()>(Err(error)), None);
        assert_eq!(more.keep(Ok(1)), Some(1));
        more.require(true, || "c".to_owned());
        more.require(false, || "d".to_owned());
        assert_eq!(more.0.len(), 3);
        assert_eq!(lines(&anyhow::anyhow!("x").context("y")), ["y: x"]);
        assert_eq!(Mistakes::default().or(1), Ok(1));
    }
}
