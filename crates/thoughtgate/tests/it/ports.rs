//! Ports of configured addresses: one that cannot be meant is refused, not replaced by the scheme's default.

use crate::mistakes::{config, run};

const UPSTREAM: &str = "http://127.0.0.1:1/mcp";

/// Exit code and errors of a check of this configuration.
fn check(text: &str) -> (Option<i32>, String) {
    let (_folder, path) = config(&format!("policy: p.cedar\n{text}\n"));
    let (code, _, err) = run(&["--config", &path, "--check"], &[]);
    (code, err)
}

#[test]
fn a_port_that_no_server_has_is_refused_in_every_url() {
    let upstream = format!("upstream: {{url: '{UPSTREAM}'}}\n");
    let slack = "token: xoxb-x, channel: C0APPROVALS, approvers: [U0APPROVER]";
    let settings = [
        "upstream: {url: 'http://127.0.0.1PORT/mcp'}".to_owned(),
        "upstream: {url: 'https://[::1]PORT/mcp'}".to_owned(),
        format!("{upstream}public_url: https://gate.testPORT/mcp"),
        format!(
            "{upstream}agent: {{jwt: {{issuer: 'https://idp.test', jwks_url: 'https://idp.testPORT/keys'}}}}"
        ),
        format!(
            "{upstream}public_url: https://gate.test/mcp\nagent: {{jwt: {{issuer: 'https://idp.test', jwks_url: 'https://idp.test/keys', \
             authorization_servers: ['https://idp.testPORT/a']}}}}"
        ),
        format!("{upstream}allowed_hosts: ['gate.testPORT']"),
        format!("{upstream}allowed_origins: ['https://gate.testPORT']"),
        format!(
            "{upstream}approval: {{slack: {{{slack}, base_url: 'https://slack.testPORT/api'}}}}"
        ),
    ];
    for setting in settings {
        let (code, err) = check(&setting.replace("PORT", ":8443"));
        assert_eq!(code, Some(0), "{setting}: {err}");
        for port in [":99999", ":65536", ":0", ":"] {
            let (code, err) = check(&setting.replace("PORT", port));
            assert_eq!(code, Some(2), "{setting} {port}");
            assert!(err.contains("from 1 to 65535"), "{setting} {port}: {err}");
        }
    }
}

#[test]
fn a_port_that_is_out_of_range_is_refused_in_every_address_to_listen_on() {
    for setting in ["listen", "admin_listen"] {
        let of =
            |port: u32| format!("upstream: {{url: '{UPSTREAM}'}}\n{setting}: 127.0.0.1:{port}");
        assert_eq!(check(&of(99999)).0, Some(2), "{setting}");
        // Any free one.
        assert_eq!(check(&of(0)).0, Some(0), "{setting}");
    }
}
