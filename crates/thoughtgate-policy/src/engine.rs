//! A loaded set of policies, which decides requests.
//!
//! Reads no file: the caller passes the text of the policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::Schema;
use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

use crate::agreement;
use crate::annotations;
use crate::cache::{DecisionCache, Lookup};
use crate::claims::Claims;
use crate::decision::Decision;
use crate::declared;
use crate::errors::LoadErrors;
use crate::fault::ResidualError;
use crate::index::Index;
use crate::options::{self, Options, Source};
use crate::policy::{self, BASELINE_FILE, LoadedPolicy};
use crate::query::{Principal, Query, Target};
use crate::references;
use crate::residual::Residual;
use crate::schema::{self, Actions};
use crate::scope::Scope;
use crate::spelling::ComparedPaths;
use crate::tools;

/// One generation of policies. Immutable, except for a cache of partial decisions.
pub struct Engine {
    policies: Vec<Arc<LoadedPolicy>>,
    index: Index,
    actions: Actions,
    options: Options,
    /// Whether a policy reads the name or URI of the resource.
    named: bool,
    /// Names of the tools that policies name, sorted.
    tools: Vec<Box<str>>,
    /// The policies that compare names or URIs with paths.
    paths: ComparedPaths,
    /// Whether a policy may read claims of the agent.
    claims: bool,
    /// Whether a policy reads the time.
    now: bool,
    cache: DecisionCache,
    sha256: Arc<str>,
}

impl Engine {
    /// Parses and validates `sources`; one error refuses them all, and all errors are returned. Recurses
    /// deeply: call it on a stack of [`crate::LOAD_STACK_BYTES`].
    pub fn load(sources: &[Source], options: &Options) -> Result<Engine, LoadErrors> {
        let sha256 = sha256(sources);
        let sources = &options::without_marks(sources)[..];
        let mut errors = Vec::new();
        references::check_groups(options, &mut errors);
        declared::check(&options.claims, &mut errors);
        let policies = policy::parse_all(sources, options, &mut errors);
        let groups = agreement::groups(&policies, sources, options, &mut errors);
        let schemas = groups
            .iter()
            .map(|group| schema::complete(&options.claims, &group.arguments));
        let schemas: Vec<Schema> = schemas.collect::<Result<_, _>>()?;
        // The schemas differ only in the types of arguments.
        let actions = Actions::of(&schemas[0])?;
        for (group, schema) in groups.iter().zip(schemas) {
            policy::validate(&group.policies, sources, schema, &mut errors);
        }
        if !errors.is_empty() {
            return Err(LoadErrors::new(errors, sources));
        }
        let index = Index::new(policies.iter().map(|policy| &**policy));
        let named = policies.iter().any(|policy| policy.reads.name.is_some());
        let tools = tools::named(policies.iter().map(|policy| &**policy), options);
        let paths = ComparedPaths::of(&policies);
        let claims = policies.iter().any(|policy| !policy.claims.is_empty());
        let now = policies.iter().any(|policy| policy.reads.now);
        let options = options.clone();
        Ok(Engine {
            policies,
            index,
            actions,
            options,
            named,
            tools,
            paths,
            claims,
            now,
            cache: DecisionCache::default(),
            sha256,
        })
    }

    /// Decides one request. A request that cannot be decided is rejected, with the reason.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        match self.residual(query.principal, &query.target) {
            Ok(residual) => residual.decide(query.arguments, query.now),
            Err(error) => Decision::error(&error.to_string()),
        }
    }

    /// Whether `principal` could call `tool` with some arguments, perhaps after approval. Decides
    /// whether `tools/list` shows the tool.
    #[must_use]
    pub fn may_call<'a>(&self, principal: impl Into<Principal<'a>>, tool: &str) -> bool {
        self.residual(principal.into(), &Target::Tool(tool))
            .is_ok_and(|residual| residual.may_pass())
    }

    /// Whether a decision can depend on [`Query::now`].
    #[must_use]
    pub fn reads_now(&self) -> bool {
        self.now
    }

    /// The facts about the policy with this id that concern whoever it refuses. Looks through all
    /// policies: for refusals, not for each call.
    #[must_use]
    pub fn about(&self, id: &str) -> Option<About<'_>> {
        let policy = self.policies.iter().find(|policy| &*policy.id == id)?;
        Some(About {
            reason: annotations::value(&policy.policy, "reason").filter(|text| !text.is_empty()),
            reads_arguments: !policy.reads.arguments.is_empty(),
            reads_time: policy.reads.now,
        })
    }

    /// Names of the tools that policies name, sorted: in scopes or conditions, or by a group of tools. A
    /// misspelt one is found only when the upstream lists its tools.
    pub fn named_tools(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(AsRef::as_ref)
    }

    /// Channels that policies name for their approvals, sorted, each once.
    #[must_use]
    pub fn approval_channels(&self) -> Vec<&str> {
        let approvals = self
            .policies
            .iter()
            .filter_map(|policy| policy.approve.as_ref());
        let channels: BTreeSet<&str> = approvals
            .filter_map(|approve| approve.channel.as_deref())
            .collect();
        channels.into_iter().collect()
    }

    /// Number of policies, the built-in baseline excluded.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies
            .iter()
            .filter(|policy| &*policy.file != BASELINE_FILE)
            .count()
    }

    /// Whether the source with this name has a policy.
    #[must_use]
    pub fn has_policy_of(&self, source: &str) -> bool {
        self.policies.iter().any(|policy| &*policy.file == source)
    }

    /// SHA-256 of the texts of the sources, one after the other, in hexadecimal digits: that of
    /// `cat *.cedar | sha256sum`.
    #[must_use]
    pub fn sha256(&self) -> Arc<str> {
        Arc::clone(&self.sha256)
    }

    /// The Cedar schema, with the placeholders `CLAIMS` for the attributes of agents, which
    /// the configuration declares, and `ARGUMENTS` for the type of a call's arguments, which is
    /// derived from the policies.
    #[must_use]
    pub fn schema() -> &'static str {
        schema::TEXT
    }

    /// All policies, the built-in baseline first.
    pub(crate) fn policies(&self) -> &[Arc<LoadedPolicy>] {
        &self.policies
    }

    /// The entities of a request.
    pub(crate) fn scope(
        &self,
        principal: Principal<'_>,
        target: &Target<'_>,
    ) -> Result<Scope, ResidualError> {
        let (action, _) = self.asked(target)?;
        let (options, actions) = (&self.options, &self.actions);
        let principal = Principal {
            claims: self.claims(principal)?,
            ..principal
        };
        Scope::new(options, actions, principal, action, target, self.named)
    }

    /// Name of the action, and id of the resource, if it has one of its own.
    fn asked<'a>(&'a self, target: &Target<'a>) -> Result<(&'a str, &'a str), ResidualError> {
        let named = |method| self.actions.name(method).ok_or(ResidualError::Lookalike);
        Ok(match *target {
            Target::Tool(name) => ("tools/call", name),
            Target::Resource { method, uri } => (named(method)?, uri),
            Target::Prompt(name) => ("prompts/get", name),
            Target::Method(method) => (named(method)?, ""),
            Target::Plain(plain) => (plain.action(), ""),
        })
    }

    /// The claims of `principal` if policies read any.
    fn claims<'a>(&self, principal: Principal<'a>) -> Result<Option<&'a Claims>, ResidualError> {
        match principal.claims {
            // Unread, they must not make agents differ: each token may have some that are its own.
            _ if !self.claims => Ok(None),
            Some(claims) if claims.are_of(&self.options.claims) => Ok(Some(claims)),
            _ => Err(ResidualError::Claims),
        }
    }

    fn residual(
        &self,
        principal: Principal<'_>,
        target: &Target<'_>,
    ) -> Result<Arc<Residual>, ResidualError> {
        let (action, resource) = self.asked(target)?;
        let claims = self.claims(principal)?;
        let lookup = Lookup {
            principal: principal.id,
            claims: claims.map_or("", Claims::key),
            action,
            resource,
        };
        if let Some(residual) = self.cache.get(&lookup) {
            return Ok(residual);
        }
        // Computed without a lock: two threads may do this for one request, and the cache keeps one result.
        let scope = self.scope(principal, target)?;
        self.paths.check(&scope)?;
        let positions = self.index.candidates(&scope.principal, &scope.resource);
        let candidates = positions.filter_map(|position| self.policies.get(position));
        let shared = |numbers: &[u32]| self.cache.shared(numbers);
        let residual = Arc::new(Residual::new(scope, candidates, shared)?);
        self.cache.put(&lookup, &residual);
        Ok(residual)
    }
}

/// Facts about one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About<'e> {
    /// Text of its `@reason`.
    pub reason: Option<&'e str>,
    /// Whether another call of the same tool may be decided otherwise.
    pub reads_arguments: bool,
    /// Whether the same call may be decided otherwise at another time.
    pub reads_time: bool,
}

fn sha256(sources: &[Source]) -> Arc<str> {
    let mut digest = Context::new(&SHA256);
    for source in sources {
        digest.update(source.text.as_bytes());
    }
    HEXLOWER.encode(digest.finish().as_ref()).into()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::cache::BYTES_MAX;

    /// Twenty policies that read arguments and apply to every tool, and five hundred that apply to one
    /// tool each.
    fn engine() -> Engine {
        let mut text = String::new();
        for number in 0..520 {
            let resource = match number {
                0..20 => "resource".to_owned(),
                _ => format!("resource == Tool::\"tool-{number}\""),
            };
            writeln!(
                text,
                "permit (principal, action == Action::\"tools/call\", {resource}) when {{ \
                 context.arguments has argument_{number} && context.arguments.argument_{number} > 5 }};"
            )
            .unwrap();
        }
        let name = "many.cedar".to_owned();
        Engine::load(&[Source { name, text }], &Options::default()).unwrap()
    }

    fn lookup(principal: &str) -> Lookup<'_> {
        Lookup {
            principal,
            claims: "",
            action: "tools/call",
            resource: "tool-0",
        }
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let engine = engine();
        for number in 0..3000 {
            let name = format!("{number:0>800}");
            assert!(engine.may_call(name.as_str(), "tool-0"));
            assert!(engine.may_call("alice", &format!("tool-{}", number % 600)));
            assert!(engine.may_call("bob", "tool-0"));
            assert!(engine.cache.bytes() <= BYTES_MAX);
        }
        assert!(engine.cache.bytes() > BYTES_MAX / 2);
        let first = format!("{:0>800}", 0);
        assert!(
            engine.cache.get(&lookup(&first)).is_none(),
            "asked for once"
        );
        assert!(
            engine.cache.get(&lookup("bob")).is_some(),
            "asked for all the time"
        );
        let long = "x".repeat(1 << 20);
        assert!(engine.may_call(long.as_str(), "tool-0"));
        assert!(engine.cache.get(&lookup(&long)).is_none());
    }

    #[test]
    fn what_the_same_policies_leave_is_shared() {
        let engine = engine();
        let residual = |principal: &str, tool| {
            engine
                .residual(principal.into(), &Target::Tool(tool))
                .unwrap()
        };
        let (alice, bob) = (residual("alice", "a"), residual("bob", "b"));
        assert!(Arc::ptr_eq(&alice.shared, &bob.shared));
        assert!(!Arc::ptr_eq(
            &alice.shared,
            &residual("bob", "tool-100").shared
        ));
    }
}
