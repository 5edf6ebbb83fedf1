//! The user behind an agent, whose id may stand for many: what tells users apart when a call is kept
//! with the credentials of one of them.

use http::{HeaderMap, HeaderName, header};
use serde_json::{Map, Value};

use crate::provenance::USERS;

/// Headers with which clients identify themselves to servers, besides those that a proxy in front may set.
static CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
];

/// The user of a verified token, by its issuer and subject, which a refreshed token has, too. `None`
/// without a subject.
pub(super) fn of_token(claims: &Map<String, Value>) -> Option<Vec<u8>> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    let mut user = b"token".to_vec();
    push(&mut user, text("iss").unwrap_or_default().as_bytes());
    push(&mut user, text("sub")?.as_bytes());
    Some(user)
}

/// The user with exactly these credentials: what they mean, only the server knows. A query may have some.
pub(super) fn of_credentials(headers: &HeaderMap, query: Option<&str>) -> Vec<u8> {
    let mut user = b"credentials".to_vec();
    let forwarded = USERS.map(|end| format!("x-forwarded-{end}"));
    let names = CREDENTIALS.iter().map(HeaderName::as_str);
    for name in names.chain(forwarded.iter().map(String::as_str)) {
        for value in headers.get_all(name) {
            push(&mut user, name.as_bytes());
            push(&mut user, value.as_bytes());
        }
    }
    if let Some(query) = query {
        push(&mut user, b"?");
        push(&mut user, query.as_bytes());
    }
    user
}

/// With its length, so that no two users are the same bytes.
fn push(user: &mut Vec<u8>, field: &[u8]) {
    user.extend_from_slice(&(field.len() as u64).to_be_bytes());
    user.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_claims(claims: &Value) -> Option<Vec<u8>> {
        of_token(claims.as_object().unwrap())
    }

    #[test]
    fn a_refreshed_token_is_of_the_same_user() {
        let first = of_claims(&json!({"iss": "i", "sub": "a", "exp": 1, "groups": ["x"]}));
        assert!(first.is_some());
        assert_eq!(first, of_claims(&json!({"iss": "i", "sub": "a", "exp": 2})));
        for other in [
            json!({"iss": "i", "sub": "b"}),
            json!({"iss": "j", "sub": "a"}),
            json!({"iss": "ia", "sub": ""}),
            json!({"sub": "a"}),
            json!({"iss": "i"}),
        ] {
            assert_ne!(first, of_claims(&other), "{other}");
        }
    }

    #[test]
    fn other_credentials_are_another_user() {
        let with = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            of_credentials(&headers, None)
        };
        let users = [
            with(&[]),
            with(&[("authorization", "Bearer a")]),
            with(&[("authorization", "Bearer b")]),
            with(&[("x-api-key", "Bearer a")]),
            with(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
            with(&[("authorization", "Bearer a"), ("x-api-key", "b")]),
            with(&[("cookie", "session=a")]),
            with(&[("x-forwarded-user", "a")]),
            with(&[("x-forwarded-email", "a")]),
            of_credentials(&HeaderMap::new(), Some("api_key=a")),
            of_credentials(&HeaderMap::new(), Some("api_key=b")),
        ];
        for (index, user) in users.iter().enumerate() {
            assert!(!users[..index].contains(user), "{index}");
        }
        let same = with(&[("mcp-session-id", "s"), ("authorization", "Bearer a")]);
        assert_eq!(same, users[1]);
    }
}
