//! Decisions that read arguments: what the engine forwards, Cedar's own authorizer permits with the
//! whole context, for every way in which a server may read the arguments.

mod cedar;
mod policies;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cedar_policy::PolicySet;
use thoughtgate_mcp::{Limits, parse};
use thoughtgate_policy::{Decision, Engine, Options, Outcome, Query, Source, Target as Asked};

use self::cedar::{Verdict, verdict};
use super::target::{CUT, Check, Target, kind, wording};
use crate::generate::Writer;
use crate::json;
use crate::random::Random;
use crate::readers::Reader;

pub const TARGET: Target = Target {
    name: "arguments",
    generate,
    check: || {
        let mut loaded = HashMap::new();
        Ok(Box::new(move |input: &[u8]| check(&mut loaded, input)) as Check)
    },
};

/// Sets of policies that are generated, each of which meets many calls.
const SETS: usize = 64;
/// Sets that are kept loaded; changed ones come on top of the generated ones.
const LOADED_MAX: usize = 256;
/// A time that policies see: 2026-07-28, at noon.
const NOW_S: u64 = 1_785_240_000;

/// A set that was loaded, in both forms; none when it was refused.
type Loaded = Arc<Result<(Engine, PolicySet), u64>>;

fn generate(random: &mut Random) -> Vec<u8> {
    // One of few sets from a fixed seed, so that a loaded set is used for many inputs.
    let set = policies::generate(&mut Random::new(0x5E7, random.below(SETS) as u64));
    let agent = random.pick(&["alice", "bob", "agent"]);
    let tool = random.pick(&["deploy", "read_file", "list", "Deploy"]);
    let faults = [0, 0, 16][random.below(3)];
    let arguments = policies::arguments(&mut Writer::new(random, faults));
    [set.as_str(), agent, tool, &arguments]
        .join(CUT)
        .into_bytes()
}

fn check(loaded: &mut HashMap<String, Loaded>, input: &[u8]) -> Result<u64, String> {
    let Ok(text) = std::str::from_utf8(input) else {
        return Ok(0);
    };
    let parts: Vec<&str> = text.split(CUT).collect();
    let [policies, agent, tool, arguments] = parts[..] else {
        return Ok(1);
    };
    let set = load(loaded, policies)?;
    let (engine, all) = match set.as_ref() {
        Ok(set) => set,
        Err(refused) => return Ok(*refused),
    };
    let now = UNIX_EPOCH + Duration::from_secs(NOW_S);
    let decision = decide(engine, agent, tool, arguments, now);
    let Some(json) = json::parse(arguments) else {
        let passes = decision.outcome != Outcome::Reject;
        return if passes {
            Err("passed: arguments that are not JSON".to_owned())
        } else {
            Ok(2)
        };
    };
    let names = policies::words(policies);
    let mut verdicts = Vec::new();
    for reader in Reader::ALL {
        let call = cedar::Call {
            agent,
            tool,
            json: &json,
            names: &names,
            reader,
            now_s: NOW_S,
        };
        let verdict = verdict(all, &call);
        judge(&decision, &verdict, reader)?;
        if policies::tests_paths_alone(policies) {
            judge(&decision, &cedar::verdict_on_real_path(all, &call), reader)
                .map_err(|reason| format!("path: {reason}"))?;
        }
        verdicts.push(verdict);
    }
    // Where readers differ, the engine may refuse for the ambiguity alone.
    let plain = json.spelt().is_some() && verdicts.iter().all(|verdict| *verdict == verdicts[0]);
    if plain && decision.outcome == Outcome::Reject && decision.error.is_none() {
        // Without an error it is the policies that refuse.
        if let Verdict::Permitted { .. } = verdicts[0] {
            return Err(format!("refused: Cedar says {:?}", verdicts[0]));
        }
    }
    let error = decision.error.as_deref().map(wording);
    Ok(kind((
        format!("{:?}", decision.outcome),
        error,
        decision.policies.len(),
    )))
}

fn judge(decision: &Decision, verdict: &Verdict, reader: Reader) -> Result<(), String> {
    let expected = match (&decision.outcome, verdict) {
        // A refusal is safe whatever Cedar says; whether it is due is checked by the caller.
        (Outcome::Reject, _) => true,
        (Outcome::Forward, Verdict::Permitted { asks }) => !asks,
        (Outcome::Approve { .. }, Verdict::Permitted { asks }) => *asks,
        _ => false,
    };
    expected.then_some(()).ok_or_else(|| {
        format!("passed: the engine says {decision:?}, Cedar {verdict:?} to what {reader:?} reads")
    })
}

/// As the proxy decides a call, without its HTTP.
fn decide(engine: &Engine, agent: &str, tool: &str, arguments: &str, now: SystemTime) -> Decision {
    // Escaped, since a mutated input may name any text as the tool.
    let name = serde_json::Value::from(tool);
    let message = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":{name},\"arguments\":{arguments}}}}}"
    );
    let envelope = match parse(message.as_bytes(), &Limits { depth: 64 }) {
        Ok(envelope) => envelope,
        Err(refusal) => return Decision::error(&refusal.message),
    };
    engine.decide(&Query {
        principal: agent.into(),
        target: Asked::Tool(tool),
        arguments: envelope.params.arguments,
        now,
    })
}

fn load(loaded: &mut HashMap<String, Loaded>, policies: &str) -> Result<Loaded, String> {
    if let Some(known) = loaded.get(policies) {
        return Ok(Arc::clone(known));
    }
    if loaded.len() >= LOADED_MAX {
        // Changed sets rarely come again, and the generated ones are soon loaded again.
        loaded.clear();
    }
    let source = Source {
        name: "fuzz.cedar".to_owned(),
        text: policies.to_owned(),
    };
    let group = |name: &str, members: &[&str]| {
        let members = members.iter().map(ToString::to_string).collect();
        [(name.to_owned(), members)].into()
    };
    let options = Options {
        approvals: true,
        agent_groups: group("ops", cedar::OPS),
        tool_groups: group("read-only", cedar::READ_ONLY),
        ..Options::default()
    };
    let set = match Engine::load(&[source], &options) {
        Ok(engine) => {
            let set: PolicySet = policies
                .parse()
                .map_err(|error| format!("loaded: policies that Cedar cannot parse: {error}"))?;
            Ok((engine, set))
        }
        Err(error) => Err(kind(wording(&error.to_string()))),
    };
    let set = Arc::new(set);
    loaded.insert(policies.to_owned(), Arc::clone(&set));
    Ok(set)
}
