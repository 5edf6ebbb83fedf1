//! Tokens signed here with Ed25519, and tokens of every other algorithm from `test_data` (made with
//! Python's `cryptography`, good until 2100; their private keys were thrown away).

use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use thoughtgate_approval::chain;

use super::*;

/// Base64 with padding as in PEM, or base64url without padding as in JWT (`url`).
fn base64(bytes: &[u8], url: bool) -> String {
    let last = if url { "-_" } else { "+/" };
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(last.chars())
        .collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .chain([&0, &0])
            .take(3)
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        for index in 0..=chunk.len() {
            text.push(alphabet[(bits >> (18 - 6 * index) & 63) as usize]);
        }
        if !url {
            text.push_str(&"="[..].repeat(3 - chunk.len()));
        }
    }
    text
}

struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Issuer {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Issuer(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    fn pem(&self) -> String {
        let prefix = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
        let der = [&prefix[..], self.0.public_key().as_ref()].concat();
        let text = base64(&der, false);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    fn token(&self, header: &str, claims: &str) -> String {
        let text = format!(
            "{}.{}",
            base64(header.as_bytes(), true),
            base64(claims.as_bytes(), true)
        );
        let signature = base64(self.0.sign(text.as_bytes()).as_ref(), true);
        format!("{text}.{signature}")
    }
}

fn expected(audience: Option<&str>, issuer: Option<&str>) -> Expected {
    Expected {
        claim: "sub".to_owned(),
        audience: audience.map(str::to_owned),
        issuer: issuer.map(str::to_owned),
        leeway: Duration::from_secs(60),
        declared: Declared::default(),
    }
}

fn agent(jwt: &Jwt, token: &str) -> Result<String, String> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        format!("Bearer {token}").parse().unwrap(),
    );
    let found = jwt.agent(&headers).map_err(|error| chain(&error))?;
    Ok(found.0)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"../../x","ver":1}"#;
const END: &str = r#""exp":4102444800"#;

#[test]
fn every_algorithm_of_a_key_is_verified_and_none_of_another() {
    let pem = |name: &str| match name {
        "rsa" => include_bytes!("../../../test_data/rsa.pem").to_vec(),
        "p256" => include_bytes!("../../../test_data/p256.pem").to_vec(),
        "p384" => include_bytes!("../../../test_data/p384.pem").to_vec(),
        _ => include_bytes!("../../../test_data/ed25519.pem").to_vec(),
    };
    let tokens = include_str!("../../../test_data/tokens.txt");
    assert_eq!(tokens.lines().count(), 9);
    for line in tokens.lines() {
        let (of, token) = line.split_once(' ').unwrap();
        for name in ["rsa", "p256", "p384", "ed25519"] {
            let jwt = Jwt::new(&pem(name), expected(None, None)).unwrap();
            let found = agent(&jwt, token);
            assert_eq!(found.is_ok(), name == of, "{name} {line}: {found:?}");
            let at = token.len() - 10;
            let other = if token.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert!(agent(&jwt, &altered).is_err(), "{name} {altered}");
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_at_load() {
    let private =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
    for (pem, part) in [
        (private.as_bytes(), "private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n", "private key"),
        (b"", "not a PEM public key"),
        (b"  \n", "not a PEM public key"),
        (b"secret", "not a PEM public key"),
        (include_bytes!("../../../test_data/rsa1024.pem"), "2048"),
        (include_bytes!("../../../test_data/p521.pem"), "P-384"),
    ] {
        let error = Jwt::new(pem, expected(None, None)).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn what_is_configured_must_be_in_the_token_in_its_type() {
    let issuer = Issuer::new();
    let pem = issuer.pem();
    let jwt = Jwt::new(pem.as_bytes(), expected(Some("me"), Some("idp"))).unwrap();
    let check = |claims: &str, good: bool| {
        let found = agent(&jwt, &issuer.token(HEADER, claims));
        assert_eq!(found.is_ok(), good, "{claims}: {found:?}");
    };
    for (audience, issuer, good) in [
        (r#""aud":"me","#, r#""iss":"idp","#, true),
        (r#""aud":["x","me"],"#, r#""iss":"idp","#, true),
        ("", r#""iss":"idp","#, false),
        (r#""aud":"me","#, "", false),
        (r#""aud":7,"#, r#""iss":"idp","#, false),
        (r#""aud":null,"#, r#""iss":"idp","#, false),
        (r#""aud":[],"#, r#""iss":"idp","#, false),
        (r#""aud":["me",7],"#, r#""iss":"idp","#, false),
        (r#""aud":[["me"]],"#, r#""iss":"idp","#, false),
        (r#""aud":{"me":1},"#, r#""iss":"idp","#, false),
        (r#""aud":"Me","#, r#""iss":"idp","#, false),
        (r#""aud":"me ","#, r#""iss":"idp","#, false),
        (r#""aud":"me","#, r#""iss":7,"#, false),
        (r#""aud":"me","#, r#""iss":null,"#, false),
        (r#""aud":"me","#, r#""iss":["idp"],"#, false),
        (r#""aud":"me","#, r#""iss":"idp.evil","#, false),
    ] {
        check(&format!(r#"{{{audience}{issuer}"sub":"a",{END}}}"#), good);
    }
}

#[test]
fn times_have_a_type_and_hold_within_the_leeway() {
    let issuer = Issuer::new();
    let pem = issuer.pem();
    let jwt = Jwt::new(pem.as_bytes(), expected(None, None)).unwrap();
    let now = now();
    let end = |seconds: u64| format!(r#""exp":{seconds}"#);
    let also = |claim: &str| format!("{END},{claim}");
    for (claims, good) in [
        (end(now - 30), true),
        (end(now - 90), false),
        (format!("\"exp\":{}.5", now + 60), true),
        (format!("\"exp\":\"{}\"", now + 60), false),
        ("\"exp\":null".to_owned(), false),
        ("\"exp\":1e300".to_owned(), false),
        ("\"exp\":-1".to_owned(), false),
        ("\"iat\":1".to_owned(), false),
        (also(&format!("\"nbf\":{}", now + 30)), true),
        (also(&format!("\"nbf\":{}", now + 600)), false),
        (also("\"nbf\":\"1\""), false),
        (also("\"nbf\":null"), false),
        (also("\"nbf\":[1]"), false),
        (also("\"iat\":1"), true),
        (also("\"iat\":\"1\""), false),
        (also("\"iat\":null"), false),
    ] {
        let found = agent(
            &jwt,
            &issuer.token(HEADER, &format!(r#"{{"sub":"a",{claims}}}"#)),
        );
        assert_eq!(found.is_ok(), good, "{claims}: {found:?}");
    }
}

#[test]
fn a_token_has_one_reading_and_names_an_agent() {
    let issuer = Issuer::new();
    let pem = issuer.pem();
    let jwt = Jwt::new(pem.as_bytes(), expected(None, None)).unwrap();
    for (header, claims, good) in [
        (HEADER, r#""sub":"a""#, true),
        (HEADER, r#""sub":"a","sub":"admin""#, false),
        (HEADER, r#""sub":"a","s\u0075b":"admin""#, false),
        (HEADER, r#""sub":"a","x":{"y":1,"y":2}"#, false),
        (HEADER, r#""sub":"a","exp":1"#, false),
        (HEADER, r#""sub":"""#, false),
        (HEADER, r#""sub":" ""#, false),
        (HEADER, r#""sub":5"#, false),
        (HEADER, r#""sub":["a"]"#, false),
        (HEADER, r#""sub":null"#, false),
        (HEADER, r#""Sub":"a""#, false),
        (
            r#"{"alg":"EdDSA","crit":["x"],"x":1}"#,
            r#""sub":"a""#,
            false,
        ),
        (r#"{"alg":"EdDSA","crit":[]}"#, r#""sub":"a""#, false),
        (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, r#""sub":"a""#, false),
        (r#"{"alg":"none"}"#, r#""sub":"a""#, false),
        (r#"{"alg":"HS256"}"#, r#""sub":"a""#, false),
        (r#"{"alg":"ES256"}"#, r#""sub":"a""#, false),
    ] {
        let found = agent(&jwt, &issuer.token(header, &format!("{{{claims},{END}}}")));
        assert_eq!(found.is_ok(), good, "{header} {claims}: {found:?}");
        let error = found.err().unwrap_or_default();
        assert!(!error.contains("admin"), "{error}");
    }
    for token in ["", ".", "..", "a.b.c", "a.b", "a.b.c.d"] {
        assert!(agent(&jwt, token).is_err(), "{token}");
    }
}

#[test]
fn published_keys_of_every_kind_verify_their_tokens() {
    let tokens = include_str!("../../../test_data/tokens.txt");
    let set = KeySet::new("http://127.0.0.1/").unwrap();
    let jwt = Jwt::published(Arc::clone(&set), expected(None, None));
    let (_, token) = tokens.lines().next().unwrap().split_once(' ').unwrap();
    assert!(
        agent(&jwt, token)
            .unwrap_err()
            .contains("could not be fetched")
    );
    let document = include_bytes!("../../../test_data/jwks.json");
    set.put(Some(crate::identity::read_keys(document).unwrap()));
    for line in tokens.lines() {
        let (_, token) = line.split_once(' ').unwrap();
        // No token names a key, and one key of each kind fits.
        assert_eq!(agent(&jwt, token).as_deref(), Ok("alice"), "{line}");
    }
    set.put(Some(Vec::new()));
    // The fault is the issuer's, not the token's.
    assert!(agent(&jwt, token).unwrap_err().contains("there are none"));
}
