//! Warning of an address that others can reach while no agent has to prove who it is.
//!
//! Refuses nothing: in a container, and behind a proxy that sets the header, such an address is needed.

use std::net::IpAddr;

use thoughtgate_panic::warn;

use crate::config::Agent;
use crate::settings::fixed_agent;

/// Warns once if anyone who can connect to `listen` can call tools as an agent, at the start.
pub fn warn_at_start(listen: IpAddr, agent: &Agent) {
    if let Some(warning) = warning(listen, agent) {
        warn!("{warning}");
    }
}

/// Warns if a reload has opened this.
pub fn warn_at_reload(listen: IpAddr, before: &Agent, now: &Agent) {
    if warning(listen, before) != warning(listen, now) {
        warn_at_start(listen, now);
    }
}

fn warning(listen: IpAddr, agent: &Agent) -> Option<String> {
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
            warning(listen.parse().unwrap(), &config.agent)
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
}
