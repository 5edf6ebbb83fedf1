//! Claims of bearer tokens in policies: real tokens, signed here.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_mcp::{self, MockMcp};

use crate::support::{Proxy, before, call, is_permitted, policy, refusal, told};

const POLICIES: &str = r#"
    @id("sre") permit (principal, action == Action::"tools/call", resource == Tool::"echo")
      when { principal has groups && principal.groups.contains("sre") };
    @id("roles") permit (principal, action == Action::"tools/call", resource == Tool::"tool_0")
      when { principal has roles && principal.roles.contains("admin") };
    @id("url") permit (principal, action == Action::"tools/call", resource == Tool::"tool_1")
      when { principal has url_roles && principal.url_roles.contains("admin") };
    @id("suspended") forbid (principal, action, resource)
      when { principal has suspended && principal.suspended };
"#;

/// Signs tokens, and has the key that verifies them in a file.
pub struct Issuer {
    key: Ed25519KeyPair,
    pub key_file: PathBuf,
}

impl Issuer {
    pub fn new(folder: &Path) -> Issuer {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        // The head of a public key of this kind (RFC 8410).
        let head = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
        let der = BASE64.encode(&[&head[..], key.public_key().as_ref()].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        let key_file = folder.join("key.pem");
        std::fs::write(&key_file, pem).unwrap();
        Issuer { key, key_file }
    }

    /// `Authorization` with a token that has these claims, of `alice` unless they name another `sub`.
    pub fn bearer(&self, claims: Value) -> String {
        self.signed(&json!({"alg": "EdDSA"}), claims)
    }

    /// The same, with this head of the token.
    pub fn signed(&self, head: &Value, mut claims: Value) -> String {
        if claims["sub"].is_null() {
            claims["sub"] = json!("alice");
        }
        claims["exp"] = json!(4_102_444_800_u64);
        let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
        let text = format!("{}.{}", encode(head), encode(&claims));
        let signature = self.key.sign(text.as_bytes());
        format!(
            "Bearer {text}.{}",
            BASE64URL_NOPAD.encode(signature.as_ref())
        )
    }

    /// Its public key as a JWK.
    pub fn jwk(&self, id: &str) -> Value {
        let x = BASE64URL_NOPAD.encode(self.key.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig"})
    }
}

/// A proxy whose policies read claims, two of them by their path.
struct Scene {
    upstream: MockMcp,
    issuer: Issuer,
    proxy: Proxy,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Scene {
        let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::new(folder.path());
        let file = policy(POLICIES);
        let url = upstream.url();
        let environment = [
            (
                "THOUGHTGATE_AGENT_JWT_KEY_FILE",
                issuer.key_file.to_str().unwrap(),
            ),
            (
                "THOUGHTGATE_AGENT_JWT_CLAIMS",
                "{groups: set, suspended: bool, roles: {path: [realm_access, roles], type: set}, \
                 url_roles: {path: ['https://example.com/roles'], type: set}}",
            ),
        ];
        let proxy = Proxy::with(&before(&url, file.path()), &environment);
        Scene {
            upstream,
            proxy,
            issuer,
            _folder: folder,
        }
    }

    async fn post(&self, claims: Value, body: &str) -> Response {
        let bearer = self.issuer.bearer(claims);
        let headers = [("authorization", bearer.as_str())];
        client::post_json(&self.proxy.url(), &headers, body.to_owned())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn one_agent_is_decided_by_the_claims_of_each_of_its_tokens() {
    let scene = Scene::start();
    // Twice, since decisions are cached.
    for _ in 0..2 {
        for (claims, permitted) in [
            (json!({"groups": ["dev", "sre"]}), true),
            (json!({"groups": ["dev"]}), false),
            (json!({}), false),
            (json!({"groups": ["sre"], "suspended": true}), false),
            (json!({"groups": ["sre"], "suspended": false}), true),
        ] {
            let answer = scene.post(claims.clone(), &call("echo")).await.json();
            assert_eq!(is_permitted(&answer), permitted, "{claims}: {answer}");
            let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
            let listed = scene.post(claims.clone(), list).await.text();
            assert_eq!(
                listed.contains(r#""name":"echo""#),
                permitted,
                "{claims}: {listed}"
            );
        }
    }
    let suspended = json!({"groups": ["sre"], "suspended": true});
    let answer = scene.post(suspended, &call("echo")).await.json();
    assert!(told(&answer).contains("by policy `suspended`"), "{answer}");
    assert_eq!(refusal(&answer)["code"], 40301);
    assert_eq!(scene.upstream.stats().tool_calls, 4);
}

#[tokio::test]
async fn a_nested_claim_is_read_by_its_path_only() {
    let scene = Scene::start();
    for (claims, tool, permitted) in [
        (
            json!({"realm_access": {"roles": ["admin"]}}),
            "tool_0",
            true,
        ),
        (json!({"realm_access": {"roles": []}}), "tool_0", false),
        (json!({"realm_access": {}}), "tool_0", false),
        (json!({"roles": ["admin"]}), "tool_0", false),
        (
            json!({"https://example.com/roles": ["admin"]}),
            "tool_1",
            true,
        ),
        (json!({"url_roles": ["admin"]}), "tool_1", false),
    ] {
        let answer = scene.post(claims.clone(), &call(tool)).await.json();
        assert_eq!(is_permitted(&answer), permitted, "{claims}: {answer}");
    }
    assert_eq!(scene.upstream.stats().tool_calls, 2);
}

#[tokio::test]
async fn a_claim_of_another_type_is_refused_and_named() {
    let scene = Scene::start();
    for (claims, says) in [
        (
            json!({"groups": "sre"}),
            "claim `groups` of the token is not a list of strings",
        ),
        (
            json!({"groups": ["sre"], "suspended": "no"}),
            "claim `suspended` of the token is not a boolean",
        ),
        (
            json!({"realm_access": {"roles": "admin"}}),
            "claim `realm_access.roles` of the token is not a list of strings",
        ),
        (
            json!({"realm_access": "admin"}),
            "claim `realm_access` of the token is not an object",
        ),
    ] {
        let response = scene.post(claims, &call("echo")).await;
        assert_eq!(response.status, 401);
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert_eq!(response.json()["error"]["message"], says);
    }
    assert_eq!(scene.upstream.stats().requests, 0);
}

#[tokio::test]
async fn a_policy_on_an_undeclared_claim_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(folder.path());
    std::fs::write(folder.path().join("p.cedar"), POLICIES).unwrap();
    let config = |claims: &str| {
        let text = format!(
            "upstream: {{url: 'http://127.0.0.1:1/mcp'}}\npolicy: p.cedar\nagent: {{jwt: {{key_file: '{}', claims: {claims}}}}}\n",
            issuer.key_file.display()
        );
        let file = folder.path().join("thoughtgate.yaml");
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
            .args(["--check", "--config", file.to_str().unwrap()])
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let roles = "roles: {path: [realm_access, roles], type: set}, url_roles: {path: ['https://example.com/roles'], type: set}";
    let config = |claims: &str| config(&format!("{{{claims}, suspended: bool, {roles}}}"));
    assert_eq!(config("groups: set").0, Some(0));
    let (code, error) = config("level: number");
    assert_eq!(code, Some(2));
    assert!(
        error.contains("p.cedar:2:") && error.contains("`groups: set`"),
        "{error}"
    );
    let (code, error) = config("groups: list");
    assert_eq!(code, Some(2));
    assert!(
        error.contains("agent.jwt.claims") && !error.contains("list,"),
        "{error}"
    );
}
