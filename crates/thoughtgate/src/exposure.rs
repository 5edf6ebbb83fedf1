//! Warnings of settings that are valid and let in more than their author may know: an address that others can
//! reach while no agent has to prove who it is, and tokens that were made for other services.
//!
//! Refuses nothing: in a container, and behind a proxy that sets the header, such an address is needed, and some
//! issuers name no audience.

use std::net::IpAddr;

use thoughtgate_panic::warn;

use crate::config::Agent;
use crate::settings::fixed_agent;

/// Warns once at the start.
pub fn warn_at_start(listen: IpAddr, agent: &Agent) {
    for warning in warnings(listen, agent) {
        warn!("{warning}");
    }
}

/// Warns of what a reload has opened.
pub fn warn_at_reload(listen: IpAddr, before: &Agent, now: &Agent) {
    let known = warnings(listen, before);
    for warning in warnings(listen, now) {
        if !known.contains(&warning) {
            warn!("{warning}");
        }
    }
}

fn warnings(listen: IpAddr, agent: &Agent) -> Vec<String> {
    let all = [unproven(listen, agent), of_other_services(agent)];
    all.into_iter().flatten().collect()
}

/// An issuer signs the tokens for all services with the same keys.
fn of_other_services(agent: &Agent) -> Option<String> {
    let jwt = &agent.jwt;
    let is_any = jwt.audience.is_none() && jwt.authorization_servers.is_empty();
    (is_any && jwt.jwks_url.is_some()).then(|| {
        "tokens that their issuer has made for other services are accepted: set `agent.jwt.audience`"
            .to_owned()
    })
}

/// Anyone who can connect to `listen` can call tools as an agent.
fn unproven(listen: IpAddr, agent: &Agent) -> Option<String> {
    let is_verified = agent.header.is_none() && fixed_agent(agent).is_none();
    if is_verified || listen.to_canonical().is_loopback() {
        return None;
    }
    let (whom, why) = match &agent.header {
        Some(_) => ("any agent", "`agent.header` is not verified"),
        None => (
            "the configured agent",
            "`agent.id` is the agent of every request",
        ),
    };
    Some(format!(
        "anyone who can connect to {listen} can call tools as {whom}, since {why}: set `agent.jwt`, or limit \
         who can connect (`listen: 127.0.0.1:8080`; in a container, publish the port on 127.0.0.1 or set a \
         network policy)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, yaml};

    #[test]
    fn only_agents_that_prove_nothing_on_addresses_for_others_are_warned_of() {
        let warning = |listen: &str, agent: &str| {
            let config: Config = yaml::parse(&format!("agent: {agent}")).unwrap();
            let found = warnings(listen.parse().unwrap(), &config.agent);
            assert!(found.len() <= 1, "{found:?}");
            found.into_iter().next()
        };
        for listen in ["0.0.0.0", "::", "10.1.2.3", "fd00::1"] {
            let header = warning(listen, "{header: x-agent}").unwrap();
            assert!(header.contains("as any agent, since `agent.header`"));
            let fixed = warning(listen, "{id: SECRET}").unwrap();
            assert!(fixed.contains("as the configured agent, since `agent.id`"));
            assert!(fixed.contains(listen) && !fixed.contains("SECRET"));
            assert_eq!(warning(listen, "{}"), Some(fixed));
            assert_eq!(warning(listen, "{jwt: {key_file: k}}"), None);
        }
        for listen in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(warning(listen, "{header: x-agent}"), None);
            assert_eq!(warning(listen, "{}"), None);
        }
    }

    #[test]
    fn published_keys_verify_tokens_for_other_services_unless_an_audience_is_set() {
        let warnings = |jwt: &str| {
            let config: Config = yaml::parse(&format!("agent: {{jwt: {{{jwt}}}}}")).unwrap();
            warnings("127.0.0.1".parse().unwrap(), &config.agent)
        };
        let found = warnings("jwks_url: SECRET");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("set `agent.jwt.audience`"), "{found:?}");
        assert!(!found[0].contains("SECRET"));
        for fine in [
            "jwks_url: u, audience: a",
            "jwks_url: u, authorization_servers: [a]",
            "key_file: k",
        ] {
            assert_eq!(warnings(fine), Vec::<String>::new(), "{fine}");
        }
    }
}
