//! Request state that the client sends back with a retry (`requestState`): encrypted and
//! authenticated, bound to a principal, with its own expiry. Attackers can hold one, so nothing in it
//! is used before it is authenticated.

use data_encoding::HEXLOWER;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::UnsealError;
use crate::ids::{Digest, Id};

/// Bound into every seal with the principal, so that nothing else that might be encrypted with the
/// same key passes for a request state.
const DOMAIN: &[u8] = b"thoughtgate request state 1\0";

/// Distinguishes these request states from those of the server behind the proxy.
const PREFIX: &str = "thoughtgate-";

/// Size of id, digest and expiry.
const PLAIN_BYTES: usize = 16 + 32 + 8;

/// Most bytes that a request state carries for its caller: clients send it with every retry, twice as long.
pub const CARRIED_BYTES_MAX: usize = 8 << 10;

/// Contents of a genuine request state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Id of the approval.
    pub id: Id,
    /// Digest of the call that the approval is for.
    pub digest: Digest,
    /// Expiry of the request state, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// Data that the caller gets back with it, opaque to this crate; at most [`CARRIED_BYTES_MAX`].
    pub carried: Vec<u8>,
}

/// Whether `text` has the mark of a request state that this program issues, genuine or not.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Seals request states, and opens those that it sealed.
pub struct Sealer(LessSafeKey);

impl Sealer {
    /// Makes a sealer. `None` if the cipher rejects the key, which it never does for 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Option<Self> {
        Some(Self(LessSafeKey::new(
            UnboundKey::new(&CHACHA20_POLY1305, key).ok()?,
        )))
    }

    /// Encrypts `sealed` for `principal`. `None` when it carries too much, or the system's random source
    /// fails.
    #[must_use]
    pub fn seal(&self, sealed: &Sealed, principal: &str) -> Option<String> {
        if sealed.carried.len() > CARRIED_BYTES_MAX {
            return None;
        }
        // Random and not counted: a counter would have to survive restarts, as the key does.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut bytes = Vec::with_capacity(PLAIN_BYTES + sealed.carried.len() + 16);
        bytes.extend_from_slice(&sealed.id.bytes());
        bytes.extend_from_slice(sealed.digest.bytes());
        bytes.extend_from_slice(&sealed.expires_ms.to_be_bytes());
        bytes.extend_from_slice(&sealed.carried);
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                aad(principal),
                &mut bytes,
            )
            .ok()?;
        let (nonce, bytes) = (HEXLOWER.encode(&nonce), HEXLOWER.encode(&bytes));
        Some(format!("{PREFIX}{nonce}{bytes}"))
    }

    /// Opens a request state that was sealed for `principal` and has not expired at `now_ms`,
    /// in milliseconds since the Unix epoch.
    pub fn unseal(&self, text: &str, principal: &str, now_ms: u64) -> Result<Sealed, UnsealError> {
        let text = text.strip_prefix(PREFIX).ok_or(UnsealError::Invalid)?;
        let sealed = self.open(text, principal).ok_or(UnsealError::Invalid)?;
        if sealed.expires_ms <= now_ms {
            return Err(UnsealError::Expired);
        }
        Ok(sealed)
    }

    fn open(&self, text: &str, principal: &str) -> Option<Sealed> {
        // Before decoding, so that a long text of a client costs nothing.
        if text.len() > 2 * (NONCE_LEN + PLAIN_BYTES + CARRIED_BYTES_MAX + 16) {
            return None;
        }
        let mut bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        let (nonce, rest) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.0.open_in_place(nonce, aad(principal), rest).ok()?;
        let (id, plain) = plain.split_first_chunk::<16>()?;
        let (digest, plain) = plain.split_first_chunk::<32>()?;
        let (expires_ms, carried) = plain.split_first_chunk::<8>()?;
        Some(Sealed {
            id: Id::from_bytes(*id),
            digest: Digest::from_bytes(*digest),
            expires_ms: u64::from_be_bytes(*expires_ms),
            carried: carried.to_vec(),
        })
    }
}

fn aad(principal: &str) -> Aad<Vec<u8>> {
    Aad::from([DOMAIN, principal.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Sealed {
        Sealed {
            id: Id::random().unwrap(),
            digest: crate::digest("agent", "tool", None),
            expires_ms: 1000,
            carried: Vec::new(),
        }
    }

    #[test]
    fn it_carries_what_its_caller_wants_back_up_to_a_limit() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        for length in [1, CARRIED_BYTES_MAX] {
            let content = Sealed {
                carried: vec![b'x'; length],
                ..sealed()
            };
            let text = sealer.seal(&content, "agent").unwrap();
            assert_eq!(sealer.unseal(&text, "agent", 0), Ok(content));
        }
        let carried = vec![b'x'; CARRIED_BYTES_MAX + 1];
        let too_much = Sealed {
            carried,
            ..sealed()
        };
        assert_eq!(sealer.seal(&too_much, "agent"), None);
    }

    #[test]
    fn it_reads_back_until_it_expires() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let text = sealer.seal(&sealed(), "agent").unwrap();
        assert!(sealer.unseal(&text, "agent", 999).is_ok());
        assert_eq!(
            sealer.unseal(&text, "agent", 1000),
            Err(UnsealError::Expired)
        );
        assert_ne!(sealer.seal(&sealed(), "agent"), Some(text));
    }

    #[test]
    fn another_principal_another_key_or_any_changed_digit_is_refused() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let text = sealer.seal(&sealed(), "agent").unwrap();
        assert_eq!(sealer.unseal(&text, "other", 0), Err(UnsealError::Invalid));
        let other = Sealer::new(&[8; 32]).unwrap();
        assert_eq!(other.unseal(&text, "agent", 0), Err(UnsealError::Invalid));
        for index in PREFIX.len()..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[index] = if altered[index] == b'0' { b'1' } else { b'0' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                sealer.unseal(&altered, "agent", 0),
                Err(UnsealError::Invalid)
            );
        }
        for text in [PREFIX, &text[..20], &format!("{text}00")] {
            assert_eq!(sealer.unseal(text, "agent", 0), Err(UnsealError::Invalid));
        }
        for text in ["", "00", &text[PREFIX.len()..]] {
            assert!(!is_sealed(text));
            assert_eq!(sealer.unseal(text, "agent", 0), Err(UnsealError::Invalid));
        }
    }
}
