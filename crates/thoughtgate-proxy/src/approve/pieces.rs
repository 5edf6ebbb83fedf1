//! The answer of a call as another task feeds it, piece by piece, and the body that the pieces come from.
//!
//! Knows neither JSON nor events. A client that disconnects ends the feeding.

use bytes::Bytes;
use http_body_util::BodyExt;
use thoughtgate_panic::{Panicked, contained};
use tokio::sync::mpsc::Sender;

use crate::body::Body;
use crate::relay::BodyError;

pub type Piece = Result<Bytes, BodyError>;

/// The client has disconnected.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

/// Runs `feed`, which sends the answer to `pieces`. A panic in it breaks the answer off.
pub async fn fed<T>(pieces: &Sender<Piece>, feed: impl Future<Output = T> + Send) {
    // Otherwise the end of the channel would be the end of a complete answer.
    if let Err(Panicked) = contained(std::pin::pin!(feed)).await {
        let _ = pieces.send(Err("a bug broke the answer off".into())).await;
    }
}

/// The next piece of a body, or [`Gone`] if the client disconnects first.
pub async fn next(pieces: &Sender<Piece>, body: &mut Body) -> Result<Option<Piece>, Gone> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = pieces.closed() => return Err(Gone),
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Ok(Some(Err(error))),
            Some(Ok(frame)) => {
                // Trailers are dropped: they have no place in an answer that is put together here.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(Ok(data)));
                }
            }
        }
    }
}

/// Sends a piece once the client has taken the one before.
pub async fn send(pieces: &Sender<Piece>, bytes: Bytes) -> Result<(), Gone> {
    pieces.send(Ok(bytes)).await.map_err(|_| Gone)
}

/// Ends the answer with the error that ended the body.
pub async fn fail(pieces: &Sender<Piece>, error: BodyError) -> Result<(), Gone> {
    pieces.send(Err(error)).await.map_err(|_| Gone)
}
