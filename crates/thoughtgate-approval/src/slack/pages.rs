//! Lists that Slack gives page by page, each page with the cursor of the next. Parses no page: the
//! callers do, and pass the cursor on.

use super::answers::Answer;
use super::client::Client;
use super::error::CallError;

/// The method that reads the messages of a channel.
pub(super) const HISTORY: &str = "conversations.history";

/// Messages per page: a hundred of the largest stay below the limit of a response.
pub(super) const PAGE_LIMIT: &str = "100";

/// A list that is read page by page.
pub(super) struct Pages<'a> {
    client: &'a Client,
    method: &'static str,
    parameters: &'a [(&'a str, &'a str)],
    /// Cursor of the next page, empty for the first one; `None` if no page follows.
    cursor: Option<String>,
    remaining: usize,
}

/// Reads one message of a channel, as polls do; an error is theirs.
pub(super) async fn read_one(client: &Client, channel: &str) -> Result<(), CallError> {
    let parameters = [("channel", channel), ("limit", "1")];
    client.read(HISTORY, &parameters).await.map(drop)
}

impl Client {
    /// Pages of a method that reads a list: at most `pages_max`, each read by [`Pages::next`].
    pub(super) fn pages<'a>(
        &'a self,
        method: &'static str,
        parameters: &'a [(&'a str, &'a str)],
        pages_max: usize,
    ) -> Pages<'a> {
        Pages {
            client: self,
            method,
            parameters,
            cursor: Some(String::new()),
            remaining: pages_max,
        }
    }
}

impl Pages<'_> {
    /// Reads the next page. `None` after the last one, and after as many as may be read.
    pub(super) async fn next(&mut self) -> Result<Option<Answer>, CallError> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        self.remaining -= 1;
        let mut parameters = self.parameters.to_vec();
        if !cursor.is_empty() {
            parameters.push(("cursor", cursor.as_str()));
        }
        self.client.read(self.method, &parameters).await.map(Some)
    }

    /// Goes on at the cursor of the page that was read, which is parsed only by the caller. Without
    /// this call, that page was the last one.
    pub(super) fn follow(&mut self, cursor: Option<String>) {
        self.cursor = cursor;
    }

    /// Whether pages are left that may not be read any more.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cursor.is_some()
    }
}
