//! The answer to an approved call, on its way from the upstream to a client that may go away: what has been
//! read is kept while there is room, so that another client can get it from its beginning.
//!
//! Knows nothing of approvals. The rest stays with the upstream, which waits.

use bytes::Bytes;
use http::response::Parts;
use http::{Response, header};
use http_body_util::BodyExt;
use thoughtgate_mcp::{reply, sse};
use tokio::sync::mpsc::Sender;

use super::parked::Collector;
use super::pieces::{Gone, Piece, send};
use super::renumbered::Renumbered;
use super::stream::{EVENT_BYTES_MAX, HELD_BYTES_MAX};
use crate::body::Body;
use crate::budget::Reserved;
use crate::headers::{is_encoded, is_media_type};
use crate::message::Raw;

/// Bytes of what was read that are sent at once.
const PIECE_BYTES: usize = 64 * 1024;

/// An answer, as far as it has been read.
pub struct Gathered {
    head: Parts,
    /// The part that is not read yet.
    body: Body,
    /// The part that is kept.
    read: Vec<u8>,
    /// Room in the budget for that.
    room: Reserved,
    /// No more is kept.
    is_full: bool,
    /// All that was read is kept.
    is_whole: bool,
    end: Option<End>,
    form: Form,
    /// The id that it has.
    id: Option<Raw>,
    /// Number of bytes that were read.
    length: usize,
    /// A client could do something with what was read.
    has_begun: bool,
    /// Number of bytes after which the client has its answer, although the stream may go on.
    answered_at: Option<usize>,
}

enum End {
    Complete,
    Broken,
}

enum Form {
    Json,
    Events(sse::Splitter),
    /// Neither, or compressed: it is passed on as it is.
    Other,
}

impl Gathered {
    /// The answer `response` to the request with `id`; `room` is a holding in the budget.
    pub fn new(response: Response<Body>, id: Option<Raw>, room: Reserved) -> Gathered {
        let (mut head, body) = response.into_parts();
        // hyper would not ask for the end of a body whose length is known, and the end shows that the client
        // has got all of it.
        head.headers.remove(header::CONTENT_LENGTH);
        let form = if is_encoded(&head.headers) {
            Form::Other
        } else if is_media_type(&head.headers, "text/event-stream") {
            Form::Events(sse::Splitter::new(HELD_BYTES_MAX))
        } else if is_media_type(&head.headers, "application/json") {
            Form::Json
        } else {
            Form::Other
        };
        Gathered {
            head,
            body,
            read: Vec::new(),
            room,
            is_full: false,
            is_whole: true,
            end: None,
            form,
            id,
            length: 0,
            has_begun: false,
            answered_at: None,
        }
    }

    /// The head of the answer.
    pub fn head(&self) -> Response<()> {
        Response::from_parts(self.head.clone(), ())
    }

    /// Whether there is something to deliver, which a head alone is not: with it a client that waits for the
    /// answer cannot be told any more that it takes long.
    pub fn has_begun(&self) -> bool {
        self.has_begun || self.end.is_some() || self.is_full
    }

    /// Whether a client can still get all of it.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Reads and keeps the next piece; pends when no more is kept. Cancel safe.
    pub async fn read_on(&mut self) {
        if self.end.is_some() || self.is_full {
            return std::future::pending().await;
        }
        if let Some(piece) = self.next().await {
            self.keep(&piece);
        }
    }

    /// Sends all of it to `client`, until that has taken the last piece. An answer that broke off is broken
    /// off.
    pub async fn deliver(&mut self, client: &Collector) -> Result<(), Gone> {
        let pieces = &client.pieces;
        let mut renumbered = self.renumbered(&client.id);
        // Of what is kept, and of all.
        let (mut sent, mut taken) = (0, 0);
        loop {
            let piece = if let Some(rest) = self.read.get(sent..).filter(|rest| !rest.is_empty()) {
                let piece = Bytes::copy_from_slice(&rest[..rest.len().min(PIECE_BYTES)]);
                sent += piece.len();
                piece
            } else if self.end.is_some() {
                let is_broken = matches!(self.end, Some(End::Broken));
                if take(pieces, renumbered.end()).await.is_err() {
                    return self.is_answered(taken);
                }
                if is_broken {
                    let _ = pieces
                        .send(Err("the upstream's answer broke off".into()))
                        .await;
                }
                return Ok(());
            } else {
                let next = tokio::select! {
                    next = self.next() => next,
                    () = pieces.closed() => return self.is_answered(taken),
                };
                let Some(piece) = next else { continue };
                if !self.is_full {
                    self.keep(&piece);
                    continue;
                }
                self.forget();
                sent = 0;
                piece
            };
            let length = piece.len();
            if take(pieces, renumbered.piece(piece)).await.is_err() {
                // This piece may not have been taken.
                return self.is_answered(taken);
            }
            taken += length;
        }
    }

    /// The end of a client that has gone, or reads no further, after `taken` bytes.
    fn is_answered(&self, taken: usize) -> Result<(), Gone> {
        // A stream with progress takes no more than the head of what is no message.
        let is_answered =
            matches!(self.form, Form::Other) || self.answered_at.is_some_and(|at| taken >= at);
        is_answered.then_some(()).ok_or(Gone)
    }

    fn renumbered(&self, id: &Raw) -> Renumbered {
        let is_own = |own: &Raw| own.get().get() == id.get().get();
        match self.form {
            _ if self.id.as_ref().is_some_and(is_own) => Renumbered::same(),
            Form::Json => Renumbered::json(id),
            Form::Events(_) => Renumbered::events(id),
            Form::Other => Renumbered::same(),
        }
    }

    /// The next piece; `None` at the end. Cancel safe.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.body.frame().await {
                None => self.end = Some(End::Complete),
                Some(Err(_)) => self.end = Some(End::Broken),
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    self.look(&piece);
                    return Some(piece);
                }
            }
            return None;
        }
    }

    /// Looks for the answer in a piece of a stream, which may go on after it.
    fn look(&mut self, piece: &[u8]) {
        self.length += piece.len();
        let Form::Events(splitter) = &mut self.form else {
            self.has_begun |= !piece.is_empty();
            return;
        };
        if self.answered_at.is_some() {
            return;
        }
        splitter.push(piece);
        loop {
            match splitter.event() {
                Ok(Some(event)) => {
                    let Some(data) = event.data() else { continue };
                    // Servers begin a stream with an empty event, so that it can be resumed.
                    self.has_begun |= !data.is_empty();
                    if reply::answer(&data).is_some() {
                        self.answered_at = Some(self.length);
                        return;
                    }
                }
                Ok(None) => return,
                // Most likely the answer, which then ends with its stream.
                Err(_) => {
                    self.has_begun = true;
                    self.answered_at = Some(usize::MAX);
                    return;
                }
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        self.read.extend_from_slice(piece);
        let is_too_large = self.read.len() > EVENT_BYTES_MAX;
        self.is_full = is_too_large || self.room.grow(piece.len()).is_err();
    }

    fn forget(&mut self) {
        self.is_whole = false;
        self.read = Vec::new();
        self.room.shrink_to(0);
    }
}

/// Sends a piece and waits until the client has taken it.
async fn take(pieces: &Sender<Piece>, piece: Bytes) -> Result<(), Gone> {
    if piece.is_empty() {
        return Ok(());
    }
    send(pieces, piece).await?;
    pieces.reserve().await.map(drop).map_err(|_| Gone)
}
