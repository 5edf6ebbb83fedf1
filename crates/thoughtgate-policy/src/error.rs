//! Reasons for not accepting a set of policies. Each message names the place and a remedy.

use std::error::Error;
use std::fmt;

/// The reason why a set of policies was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A syntax error.
    #[error("{place}: {message}")]
    Parse {
        /// `file:line:column`.
        place: String,
        /// Cedar's message, with its help.
        message: String,
    },
    /// Nesting that could overflow the stack of the parser or of the evaluator.
    #[error(
        "{place}: the policy is nested too deeply; split it into several policies, or use groups instead of long chains of conditions"
    )]
    TooDeep {
        /// `file:line:column` of the first token that is too deep.
        place: String,
    },
    /// Valid Cedar that does not match the schema, or can never apply.
    #[error("{place}: {message}")]
    Invalid {
        /// `file:line:column`.
        place: String,
        /// Cedar's message, with the policy's id and its help.
        message: String,
    },
    /// An attribute of `principal` that is not a declared claim.
    #[error(
        "{place}: policy `{policy}` reads `principal.{claim}`, but no claim `{claim}` is declared; {help}"
    )]
    Claim {
        /// `file:line:column` of the policy.
        place: String,
        /// The policy's id.
        policy: String,
        /// The claim.
        claim: String,
        /// The declaration to write.
        help: String,
    },
    /// A declaration of a claim that cannot be used.
    #[error("claim `{claim}` of `agent.jwt.claims`: {problem}")]
    Declaration {
        /// The declared name.
        claim: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// Two policies with the same id; a decision's reasons would be ambiguous.
    #[error("{place}: the id `{policy}` is used twice; give each policy its own @id")]
    DuplicateId {
        /// `file:line:column` of the second policy.
        place: String,
        /// The duplicate id.
        policy: String,
    },
    /// A policy template: the configuration has no way to link one.
    #[error(
        "{place}: policy templates (`?principal`, `?resource`) are not supported; write a policy for each principal or resource, or use groups"
    )]
    Template {
        /// Name of the file.
        place: String,
    },
    /// `@approve` on a `forbid`, which never lets a call through.
    #[error(
        "{place}: policy `{policy}` is a forbid with @approve; only a permit can ask for approval"
    )]
    ApproveOnForbid {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
    },
    /// `@approve` on requests that are no calls of tools, which nobody can approve.
    #[error(
        "{place}: policy `{policy}` has @approve, but only calls of tools can be approved; write `action == Action::\"tools/call\"`, or remove @approve"
    )]
    ApproveOnOther {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
    },
    /// `@approve` although approvals are not configured.
    #[error(
        "{place}: policy `{policy}` asks for approval, but no approval channel is configured; set `approval.slack` or remove @approve"
    )]
    NoApprovalChannel {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
    },
    /// An `@approve` whose value is not a Slack channel.
    #[error(
        "{place}: policy `{policy}` has `@approve(\"{value}\")`, which is not a valid Slack channel (expected `#name` in lower case, or an id such as C0123456789)"
    )]
    NotAChannel {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
        /// The annotation's value.
        value: String,
    },
    /// An `@id` that is empty or white space.
    #[error("{place}: a policy has an empty @id; name the policy, or leave @id out")]
    EmptyId {
        /// `file:line:column`.
        place: String,
    },
    /// An unknown annotation, perhaps a misspelt one: an ignored `@aprove` would let calls through.
    #[error("{place}: policy `{policy}` has the unknown annotation `@{annotation}`; {help}")]
    Annotation {
        /// `file:line:column` of the annotation.
        place: String,
        /// The policy's id.
        policy: String,
        /// The annotation's name, without `@`.
        annotation: String,
        /// The probable intention, or the known annotations.
        help: String,
    },
    /// An entity, or a text that is compared with a name, a URI or a path, that no request can match.
    #[error("{place}: policy `{policy}` names `{entity}`, {problem}")]
    Reference {
        /// `file:line:column` of the entity or the text.
        place: String,
        /// The policy's id.
        policy: String,
        /// The entity or the text in Cedar's syntax.
        entity: String,
        /// A relative clause with the reason and, where known, the probable intention.
        problem: String,
    },
    /// A policy whose scope and conditions no request meets together.
    #[error(
        "{place}: policy `{policy}` can never apply: no value of `{subject}` meets its scope and all of its conditions; {help}"
    )]
    Impossible {
        /// `file:line:column` of the policy.
        place: String,
        /// The policy's id.
        policy: String,
        /// The expression that would need such a value.
        subject: String,
        /// The probable intention.
        help: &'static str,
    },
    /// A group of the configuration whose name or members are unusable.
    #[error("group `{group}` of `{setting}`: {problem}")]
    Group {
        /// `agent.groups` or `tool_groups`.
        setting: &'static str,
        /// Name of the group.
        group: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// Use of `context` or `context.arguments` as one value.
    #[error(
        "{place}: policy `{policy}` uses `{expression}` as a whole; read single arguments, such as `context.arguments.path`"
    )]
    WholeRecord {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
        /// `context` or `context.arguments`.
        expression: String,
    },
    /// A constructor that is applied to an argument: Cedar validates only those of literals.
    #[error(
        "{place}: policy `{policy}` calls `{function}(context.arguments.{argument})`, but `{function}` takes only a string literal; compare the argument itself, {instead}"
    )]
    Constructed {
        /// `file:line:column` of the argument.
        place: String,
        /// The policy's id.
        policy: String,
        /// The constructor.
        function: &'static str,
        /// The argument's path below `context.arguments`, such as `a.b`.
        argument: String,
        /// An expression without the constructor, and the type that it gives the argument.
        instead: String,
    },
    /// An argument that is used as two types.
    #[error(transparent)]
    TypeConflict(Box<TypeConflict>),
    /// An error of Cedar on input that this crate generated; a bug.
    #[error("internal error while loading policies")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// An argument that one policy, or two that may apply to one tool, use as two types.
#[derive(Debug, PartialEq, Eq)]
pub struct TypeConflict {
    /// `file:line:column` of the second use.
    pub place: String,
    /// The id of the policy with the second use.
    pub policy: String,
    /// The argument's path below `context.arguments`, such as `a.b`.
    pub argument: String,
    /// The type in the second use, as the message words it.
    pub used_as: &'static str,
    /// The id of the policy with the first use; `None` if it is the same one.
    pub other: Option<String>,
    /// Noun for a resource to which both policies may apply: `tool`, `prompt`, `resource` or `method`; empty if
    /// both uses are in one policy.
    pub shared: &'static str,
    /// `file:line:column` of the first use.
    pub other_place: String,
    /// The type in the first use.
    pub other_used_as: &'static str,
}

impl fmt::Display for TypeConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TypeConflict {
            place,
            policy,
            argument,
            used_as,
            other,
            shared,
            other_place,
            other_used_as,
        } = self;
        write!(
            formatter,
            "{place}: policy `{policy}` uses `context.arguments.{argument}` as {used_as}, but "
        )?;
        match other {
            None => write!(
                formatter,
                "at {other_place} as {other_used_as}; use it as one type"
            ),
            Some(other) => write!(
                formatter,
                "policy `{other}` at {other_place} uses it as {other_used_as}, and both may apply to one \
                 {shared}; use it as one type, or write scopes that have no {shared} in common, such as \
                 `resource == Tool::\"…\"`, or two groups of `tool_groups` without a common tool"
            ),
        }
    }
}

impl Error for TypeConflict {}

impl LoadError {
    /// `file:line:column`, or the file, or nothing for a mistake in no file.
    pub(crate) fn place(&self) -> &str {
        match self {
            LoadError::Parse { place, .. }
            | LoadError::TooDeep { place }
            | LoadError::Invalid { place, .. }
            | LoadError::Claim { place, .. }
            | LoadError::DuplicateId { place, .. }
            | LoadError::Template { place }
            | LoadError::ApproveOnForbid { place, .. }
            | LoadError::ApproveOnOther { place, .. }
            | LoadError::NoApprovalChannel { place, .. }
            | LoadError::NotAChannel { place, .. }
            | LoadError::EmptyId { place }
            | LoadError::Annotation { place, .. }
            | LoadError::Reference { place, .. }
            | LoadError::Impossible { place, .. }
            | LoadError::WholeRecord { place, .. }
            | LoadError::Constructed { place, .. } => place,
            LoadError::TypeConflict(conflict) => &conflict.place,
            LoadError::Group { .. } | LoadError::Declaration { .. } | LoadError::Internal(_) => "",
        }
    }
}
