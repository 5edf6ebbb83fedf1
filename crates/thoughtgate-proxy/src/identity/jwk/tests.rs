//! Sets of keys as issuers publish them, and as nobody should.

use serde_json::json;

use super::*;

/// Coordinates of a point of P-256; not checked here, but by ring at each signature.
fn p256() -> Value {
    let coordinate = BASE64URL_NOPAD.encode(&[7; 32]);
    json!({"kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate, "kid": "a"})
}

fn with(mut entry: Value, member: &str, value: Value) -> Value {
    entry[member] = value;
    entry
}

fn count(entries: &[Value]) -> usize {
    read(json!({ "keys": entries }).to_string().as_bytes())
        .unwrap()
        .len()
}

#[test]
fn keys_of_each_kind_are_for_their_own_algorithms() {
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(&[7; 32])});
    let rsa = json!({"kty": "RSA", "n": BASE64URL_NOPAD.encode(&[0xc5; 256]), "e": "AQAB"});
    let coordinate = BASE64URL_NOPAD.encode(&[7; 48]);
    let p384 = json!({"kty": "EC", "crv": "P-384", "x": coordinate, "y": coordinate});
    let only = with(rsa.clone(), "alg", json!("PS256"));
    let document = json!({"keys": [rsa, p256(), p384, ed, only]}).to_string();
    let found = read(document.as_bytes()).unwrap();
    let is_for =
        |algorithm| -> Vec<bool> { found.iter().map(|key| key.is_for(algorithm)).collect() };
    assert_eq!(is_for(Algorithm::RS256), [true, false, false, false, false]);
    assert_eq!(is_for(Algorithm::PS256), [true, false, false, false, true]);
    assert_eq!(is_for(Algorithm::ES256), [false, true, false, false, false]);
    assert_eq!(is_for(Algorithm::ES384), [false, false, true, false, false]);
    assert_eq!(is_for(Algorithm::EdDSA), [false, false, false, true, false]);
    assert_eq!(is_for(Algorithm::HS256), [false; 5]);
}

#[test]
fn keys_that_cannot_verify_tokens_are_left_out() {
    assert_eq!(count(&[p256(), json!({"kty": "none"}), json!(7)]), 1);
    for good in [
        with(p256(), "use", json!("sig")),
        with(p256(), "key_ops", json!(["verify"])),
        with(p256(), "alg", json!("ES256")),
        with(p256(), "x5c", json!(["MII"])),
    ] {
        assert_eq!(count(std::slice::from_ref(&good)), 1, "{good}");
    }
    for bad in [
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}),
        with(p256(), "alg", json!("HS256")),
        with(p256(), "alg", json!("none")),
        with(p256(), "alg", json!("RS256")),
        with(p256(), "alg", json!("RSA-OAEP")),
        with(p256(), "use", json!("enc")),
        with(p256(), "key_ops", json!(["sign"])),
        with(p256(), "d", json!("AQ")),
        with(p256(), "kid", json!(1)),
        with(p256(), "crv", json!("P-521")),
        with(p256(), "crv", json!("P-384")),
        with(p256(), "x", json!("AQ")),
        with(p256(), "y", json!("not base64!")),
        json!({"kty": "OKP", "crv": "X25519", "x": BASE64URL_NOPAD.encode(&[7; 32])}),
        json!({"kty": "RSA", "n": BASE64URL_NOPAD.encode(&[0xc5; 128]), "e": "AQAB"}),
        json!({"kty": "RSA", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "", "e": ""}),
    ] {
        assert_eq!(count(std::slice::from_ref(&bad)), 0, "{bad}");
    }
}

#[test]
fn other_documents_are_refused() {
    for document in [
        "",
        "[]",
        "{}",
        "<html>",
        r#"{"keys":{}}"#,
        r#"{"keys":[1,]}"#,
    ] {
        assert_eq!(read(document.as_bytes()).unwrap_err(), BadKeySet::Form);
    }
    let many = json!({"keys": vec![p256(); ENTRIES_MAX + 1]}).to_string();
    assert_eq!(read(many.as_bytes()).unwrap_err(), BadKeySet::TooMany);
    let numbered = |number: usize| {
        let mut key = p256();
        key["kid"] = json!(number.to_string());
        key
    };
    let most: Vec<Value> = (0..ENTRIES_MAX).map(numbered).collect();
    assert_eq!(count(&most), ENTRIES_MAX);
    // One that is there twice is one key.
    assert_eq!(count(&[numbered(1), numbered(2), numbered(1)]), 2);
}
