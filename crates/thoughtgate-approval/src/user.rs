//! The users behind one agent, told apart by digests of what they identify themselves with. What that
//! is, the proxy decides; nothing of it is kept.

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// Separates the key from any other use of the key of the store.
const DOMAIN: &[u8] = b"thoughtgate user digest 1";

/// Keyed digest of what a user is identified by; made by [`crate::Approvals::user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserDigest(Digest);

/// The key of these digests. It is in the store, so that the next process makes the same ones; without
/// it, a digest does not confirm a guess of the credentials.
pub(crate) struct UserKey(hmac::Key);

impl UserKey {
    pub(crate) fn new(store_key: &[u8; 32]) -> Self {
        let store_key = hmac::Key::new(hmac::HMAC_SHA256, store_key);
        let key = hmac::sign(&store_key, DOMAIN);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    pub(crate) fn digest(&self, identity: &[u8]) -> UserDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&self.0, identity).as_ref());
        UserDigest(Digest::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_differ_and_so_do_stores() {
        let key = UserKey::new(&[7; 32]);
        assert_eq!(key.digest(b"a"), UserKey::new(&[7; 32]).digest(b"a"));
        assert_ne!(key.digest(b"a"), key.digest(b"b"));
        assert_ne!(key.digest(b"a"), UserKey::new(&[8; 32]).digest(b"a"));
    }
}
