//! Keys that must not verify a token, and tokens that name no single key.

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;

use super::*;

/// A token that is signed with a shared secret.
fn symmetric(secret: &[u8], id: &str) -> String {
    let encode = |part: Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let head = encode(json!({"alg": "HS256", "kid": id}));
    let claims = encode(json!({"sub": "alice", "exp": 4_102_444_800_u64}));
    let text = format!("{head}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, text.as_bytes());
    format!(
        "Bearer {text}.{}",
        BASE64URL_NOPAD.encode(signature.as_ref())
    )
}

#[tokio::test]
async fn only_one_key_that_fits_verifies_a_token() {
    let (good, twin, other) = (issuer(), issuer(), issuer());
    let with = |mut key: Value, member: &str, value: Value| {
        key[member] = value;
        key
    };
    let public = good.jwk("x")["x"].as_str().unwrap().to_owned();
    let endpoint = KeyEndpoint::start(&[
        good.jwk("good"),
        twin.jwk("twin"),
        good.jwk("twin"),
        json!({"kty": "oct", "k": BASE64URL_NOPAD.encode(b"secret"), "kid": "oct", "alg": "HS256"}),
        with(other.jwk("enc"), "use", json!("enc")),
        with(other.jwk("alg"), "alg", json!("ES256")),
        with(other.jwk("private"), "d", json!("AQ")),
        json!("no key"),
        good.jwk("good"),
    ])
    .await;
    let (upstream, proxy) = proxy(&endpoint);
    let ready = proxy.ready_is(200).await;
    assert_eq!(ready["checks"]["token_keys"]["keys"], 3);
    let head = |head: Value| signed(&good, &head);
    let bytes = BASE64URL_NOPAD.decode(public.as_bytes()).unwrap();
    for (token, expected) in [
        (symmetric(b"secret", "oct"), "names no key"),
        // A public key taken for the secret of HMAC.
        (symmetric(&bytes, "good"), "does not fit its key"),
        (
            head(json!({"alg": "ES256", "kid": "good"})),
            "does not fit its key",
        ),
        (
            head(json!({"alg": "none", "kid": "good"})),
            "not a valid JWT",
        ),
        (bearer(&good, "twin"), "several keys of the issuer fit"),
        (
            head(json!({"alg": "EdDSA"})),
            "several keys of the issuer fit",
        ),
        (bearer(&other, "enc"), "names no key"),
        (bearer(&other, "alg"), "names no key"),
        (bearer(&other, "private"), "names no key"),
        (bearer(&other, "good"), "its signature is invalid"),
        // A key that a token brings along is not looked at.
        (
            signed(
                &other,
                &json!({"alg": "EdDSA", "jwk": other.jwk("a"), "kid": "good"}),
            ),
            "its signature is invalid",
        ),
    ] {
        let refused = post(&proxy, &token).await;
        assert_eq!(refused.status, 401, "{expected}: {}", refused.text());
        assert!(
            reason(&refused).contains(expected),
            "{expected}: {}",
            refused.text()
        );
    }
    assert_eq!(upstream.stats().requests, 0);
    let answer = post(&proxy, &bearer(&good, "good")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
}

#[tokio::test]
async fn without_kid_the_only_key_that_fits_is_used() {
    let only = issuer();
    let mut key = only.jwk("");
    key.as_object_mut().unwrap().remove("kid");
    let endpoint = KeyEndpoint::start(&[key]).await;
    let (_upstream, proxy) = proxy(&endpoint);
    proxy.ready().await;
    let token = signed(&only, &json!({"alg": "EdDSA"}));
    let answer = post(&proxy, &token).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    // A token that names a key is verified with that one alone.
    let refused = post(&proxy, &bearer(&only, "a")).await;
    assert!(
        reason(&refused).contains("names no key"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn a_token_of_another_tenant_with_the_same_keys_is_refused() {
    let keys = issuer();
    let endpoint = KeyEndpoint::start(&[keys.jwk("a")]).await;
    let (_upstream, proxy) = proxy(&endpoint);
    proxy.ready().await;
    let head = json!({"alg": "EdDSA", "kid": "a"});
    for claims in [json!({ "iss": "https://idp.test/b" }), json!({})] {
        let refused = post(&proxy, &keys.signed(&head, claims)).await;
        let text = refused.text();
        assert!(text.contains("`iss` is not `agent.jwt.issuer`"), "{text}");
    }
}

#[tokio::test]
async fn that_an_issuer_has_no_keys_is_no_fault_of_a_token() {
    let endpoint = KeyEndpoint::start(&[json!({"kty": "oct", "k": "AQ"})]).await;
    let (_upstream, proxy) = proxy(&endpoint);
    let refused = post(&proxy, &bearer(&issuer(), "a")).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(refused.header("www-authenticate"), None);
    assert_eq!(
        proxy.ready_is(503).await["checks"]["token_keys"]["ok"],
        false
    );
}
