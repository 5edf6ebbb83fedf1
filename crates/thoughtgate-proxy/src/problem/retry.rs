//! Whether a refused call can be sent again, and the words in which a model is told.
//!
//! Only the kinds; `refusal.rs` chooses.

/// Whether the same call can be accepted, and what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will be refused again.
    Never,
    /// It will be refused again, but other arguments may be accepted.
    Changed,
    /// At another time.
    Later,
    /// It joins its approval, which is open, and gets its result.
    Collect,
    /// It was made, or is being made, and gets its result without being made again.
    Fetch,
    /// It was made, and is made once more after another approval.
    Again,
    /// It asks for a new approval.
    Anew,
    /// A human has said no.
    Denied,
    /// It may have been carried out already.
    Made,
    /// It was carried out, and needs another approval for a second time.
    Once,
}

impl Retry {
    /// Whether sending the same call again can help.
    pub fn helps(self) -> bool {
        matches!(
            self,
            Retry::Later | Retry::Collect | Retry::Fetch | Retry::Anew
        )
    }

    /// One sentence for a model.
    pub fn advice(self) -> &'static str {
        match self {
            Retry::Never => "Do not send this call again: it would be refused again.",
            Retry::Changed => {
                "The same call would be refused again; a call with other arguments may be accepted."
            }
            Retry::Later => "The same call may be accepted later.",
            Retry::Collect => {
                "Send the same call again, with the same arguments, to get its result once it is approved."
            }
            Retry::Fetch => {
                "Send the same call again, with the same arguments, to get its result; it is not executed again."
            }
            Retry::Again => {
                "Sending the same call again asks for a new approval, to execute it once more."
            }
            Retry::Anew => "Sending the same call again asks for a new approval.",
            Retry::Denied => "Do not send this call again unless the user asks for it.",
            Retry::Made => {
                "Do not send this call again before it is known whether it was carried out."
            }
            Retry::Once => {
                "Do not send this call again unless it should run a second time, which needs a new approval."
            }
        }
    }
}
