//! Verification of JWT signatures with ring.
//!
//! `jsonwebtoken` has two backends of its own: aws-lc, which would be a second crypto library besides
//! ring, and one whose RSA has an open advisory (RUSTSEC-2023-0071). Neither is compiled in. Nothing is
//! signed here.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::InvalidAlgorithm)),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    // For keys in JSON (JWK), which are not read.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the library's only backend; to be called before the first token is decoded.
pub fn install() {
    // Fails only if an earlier load has installed it already.
    let _ = PROVIDER.install_default();
}

struct Ring {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        // JWS has two numbers of fixed length as the signature, not ASN.1 (RFC 7518 §3.4).
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        _ => return Err(new_error(ErrorKind::InvalidAlgorithm)),
    };
    // A key of one kind is never read as one of another, whatever algorithm the token names.
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(Ring {
        algorithm,
        key: UnparsedPublicKey::new(verification, key.try_get_as_bytes()?.to_vec()),
    }))
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), SignatureError> {
        self.key
            .verify(message, signature)
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
