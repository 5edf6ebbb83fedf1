//! The sender of a request by its headers: the session, and the program.
//!
//! The thread that serves the request only copies the values; the writer makes of them what a line has.

use data_encoding::HEXLOWER;
use http::{HeaderMap, header};
use ring::digest::{SHA256, digest};

use super::cut::{NAME_BYTES, cut};
use crate::headers::SESSION_ID;

/// Hexadecimal digits of the session's digest: enough to tell sessions apart.
const DIGITS: usize = 16;
/// Longest session id that is copied, in bytes; a longer one is digested at once.
const SESSION_BYTES_MAX: usize = 128;

/// Facts about the sender of a request that its headers have.
#[derive(Debug, Default)]
pub struct Caller {
    session: Option<Session>,
    program: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Session {
    Id(Box<[u8]>),
    Digest(String),
}

impl Caller {
    /// Copies the values, shortened: a slice of the head would keep all of it while the line is queued.
    pub fn of(headers: &HeaderMap) -> Caller {
        let session = headers.get(&SESSION_ID).map(|id| {
            let id = id.as_bytes();
            if id.len() <= SESSION_BYTES_MAX {
                Session::Id(id.into())
            } else {
                Session::Digest(sha256(id))
            }
        });
        let program = headers.get(header::USER_AGENT).map(|program| {
            let program = program.as_bytes();
            program[..program.len().min(NAME_BYTES)].into()
        });
        Caller { session, program }
    }

    /// Start of the SHA-256 of the session's id. Not the id, which is a credential of the session.
    pub fn session_sha256(&self) -> Option<String> {
        Some(match self.session.as_ref()? {
            Session::Id(id) => sha256(id),
            Session::Digest(digest) => digest.clone(),
        })
    }

    /// The `User-Agent`.
    pub fn program(&self) -> Option<String> {
        let program = String::from_utf8_lossy(self.program.as_ref()?);
        Some(cut(&program, NAME_BYTES).into_owned())
    }
}

fn sha256(id: &[u8]) -> String {
    let mut digits = HEXLOWER.encode(digest(&SHA256, id).as_ref());
    digits.truncate(DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_digest() {
        let mut headers = HeaderMap::new();
        assert_eq!(Caller::of(&headers).session_sha256(), None);
        assert_eq!(Caller::of(&headers).program(), None);
        headers.insert(&SESSION_ID, "abc".parse().unwrap());
        headers.insert(header::USER_AGENT, "node".parse().unwrap());
        let sender = Caller::of(&headers);
        // The start of `printf abc | sha256sum`.
        assert_eq!(sender.session_sha256().unwrap(), "ba7816bf8f01cfea");
        assert_eq!(sender.program().unwrap(), "node");
        let long = "a".repeat(SESSION_BYTES_MAX + 1);
        headers.insert(&SESSION_ID, long.parse().unwrap());
        let digest = Caller::of(&headers).session_sha256().unwrap();
        assert_eq!(digest, sha256(long.as_bytes()));
    }
}
