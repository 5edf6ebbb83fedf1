//! Causes of errors: one that can be kept whatever its type, and the text of an error with all of
//! its causes. Prints nothing.

use std::error::Error;
use std::sync::Arc;

/// An error of a library, which prints as that error does. Shared, so that errors which hold it can
/// be cloned; two are equal if they print the same.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        chain(self) == chain(other)
    }
}

impl Eq for Cause {}

/// The text of an error and of its causes, each after a colon. The errors of this crate name only
/// what they add themselves, so whoever shows one to a user shows its chain.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ClaimError, OpenError, RequestError, StoreError};
    use crate::slack::SettingsError;

    /// Each cause once, whatever it is wrapped in.
    #[test]
    fn a_chain_names_each_cause_once() {
        let full = || Cause::new(std::io::Error::other("the disk is full"));
        let stored = || StoreError::Write(full());
        let errors: [(&dyn Error, &str); 4] = [
            (&full(), "the disk is full"),
            (
                &RequestError::Store(stored()),
                "failed to store the approval request: the disk is full",
            ),
            (
                &ClaimError::Store(StoreError::Closed),
                "failed to record the approval as used: the approval store is closed",
            ),
            (
                &OpenError::from(SettingsError::NoToken),
                "approvals are misconfigured: the Slack token is empty",
            ),
        ];
        for (error, text) in errors {
            assert_eq!(chain(error), text);
        }
    }

    #[test]
    fn causes_compare_by_what_they_say() {
        let cause = |text: &str| Cause::new(text.to_owned());
        assert_eq!(cause("full"), cause("full"));
        assert_ne!(cause("full"), cause("failing"));
    }
}
