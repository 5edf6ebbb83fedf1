//! A public key, and the algorithms that it is for: those of its own kind, whatever a token names.
//!
//! Verifies nothing: [`super::jwt`] does.

use jsonwebtoken::{Algorithm, DecodingKey};

/// Bytes of the shortest RSA key that ring verifies with, 2048 bits, in DER.
const RSA_BYTES_MIN: usize = 264;

/// A public key.
#[derive(Debug, Clone)]
pub struct Key {
    pub kind: Kind,
    pub decoding: DecodingKey,
}

/// Kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Reason why a verification key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// A private key, which the proxy does not need and must not have.
    #[error("the file has a private key; replace it with its public key (openssl pkey -pubout)")]
    Private,
    /// Not a key, or of a kind that is not supported.
    #[error("not a PEM public key (RSA of 2048 bits or more, EC P-256 or P-384, or Ed25519)")]
    Unusable,
}

impl Kind {
    /// All variants, in the order of their declaration.
    pub const ALL: [Kind; 4] = [Kind::Rsa, Kind::P256, Kind::P384, Kind::Ed25519];

    /// The algorithms that a key of this kind is for. All are asymmetric.
    #[must_use]
    pub fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Kind::Rsa => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Kind::P256 => &[Algorithm::ES256],
            Kind::P384 => &[Algorithm::ES384],
            Kind::Ed25519 => &[Algorithm::EdDSA],
        }
    }
}

impl Key {
    /// Parses a PEM public key.
    pub fn from_pem(pem: &[u8]) -> Result<Key, BadKey> {
        // Looked for in the text: the library would read a private RSA key (PKCS #1) as a public one.
        if pem.windows(11).any(|text| text == b"PRIVATE KEY") {
            return Err(BadKey::Private);
        }
        parse(pem).ok_or(BadKey::Unusable)
    }

    /// An RSA key in DER (PKCS #1); `None` if it is too short.
    #[must_use]
    pub fn rsa(decoding: DecodingKey) -> Option<Key> {
        let long = decoding.try_get_as_bytes().ok()?.len() >= RSA_BYTES_MIN;
        long.then_some(Key {
            kind: Kind::Rsa,
            decoding,
        })
    }
}

fn parse(pem: &[u8]) -> Option<Key> {
    if let Ok(decoding) = DecodingKey::from_rsa_pem(pem) {
        return Key::rsa(decoding);
    }
    if let Ok(decoding) = DecodingKey::from_ec_pem(pem) {
        // The length of an uncompressed point identifies the curve.
        let kind = match decoding.try_get_as_bytes().ok()?.len() {
            65 => Kind::P256,
            97 => Kind::P384,
            _ => return None,
        };
        return Some(Key { kind, decoding });
    }
    let decoding = DecodingKey::from_ed_pem(pem).ok()?;
    Some(Key {
        kind: Kind::Ed25519,
        decoding,
    })
}
