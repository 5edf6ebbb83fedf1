//! Why a set of policies is not accepted. Each names the place and the way out.

/// A policy set that cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not Cedar.
    #[error("{place}: {message}")]
    Parse {
        /// `file:line:column`.
        place: String,
        /// What the parser says, with its help.
        message: String,
    },
    /// A stack could not hold it.
    #[error(
        "{place}: the policy is nested too deeply; split it into several, or use groups in place of long chains"
    )]
    TooDeep {
        /// `file:line:column` of where it becomes too deep.
        place: String,
    },
    /// Cedar, but not about our agents, tools and actions.
    #[error("{place}: {message}")]
    Invalid {
        /// `file:line:column`.
        place: String,
        /// What the validator says, with the policy's id and its help.
        message: String,
    },
    /// Two policies with one id would make a decision's reasons ambiguous.
    #[error("{place}: the id `{policy}` is used twice; give each policy its own @id")]
    DuplicateId {
        /// `file:line:column` of the second one.
        place: String,
        /// The id.
        policy: String,
    },
    /// Templates have no place to be linked.
    #[error(
        "{place}: policy templates (`?principal`, `?resource`) are not supported; write the policy out, or use groups"
    )]
    Template {
        /// `file:line:column`.
        place: String,
    },
    /// `@approve` says how a permit is carried out.
    #[error(
        "{place}: policy `{policy}` is a forbid with @approve; an approval can only be asked by a permit"
    )]
    ApproveOnForbid {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
    },
    /// Nobody could be asked.
    #[error(
        "{place}: policy `{policy}` asks for approval, but no approval channel is configured; set `approval.slack` or remove @approve"
    )]
    NoApprovalChannel {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
    },
    /// The value of `@approve` names no channel.
    #[error(
        "{place}: policy `{policy}` has `@approve(\"{value}\")`, which is not a channel (`#name` in small letters, or an id such as C0123456789)"
    )]
    NotAChannel {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
        /// The value.
        value: String,
    },
    /// `@id` without a text.
    #[error("{place}: a policy has an empty @id; name the policy, or leave @id out")]
    EmptyId {
        /// `file:line:column`.
        place: String,
    },
    /// An annotation that nothing reads, perhaps a misspelt one that something would.
    #[error("{place}: policy `{policy}` has the unknown annotation `@{annotation}`; {help}")]
    Annotation {
        /// `file:line:column` of the annotation.
        place: String,
        /// The policy's id.
        policy: String,
        /// The annotation's name.
        annotation: String,
        /// What was probably meant, or what is known.
        help: String,
    },
    /// An entity that no request can have.
    #[error("{place}: policy `{policy}` names `{entity}`, {problem}")]
    Reference {
        /// `file:line:column` of the entity.
        place: String,
        /// The policy's id.
        policy: String,
        /// The entity, as Cedar writes it.
        entity: String,
        /// Why nothing can be it, and what was probably meant.
        problem: String,
    },
    /// A group of the configuration that cannot be meant as it is.
    #[error("group `{group}` of `{setting}`: {problem}")]
    Group {
        /// The setting that defines it.
        setting: &'static str,
        /// Its name.
        group: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// The whole context, or the whole of the arguments, is used as one value.
    #[error(
        "{place}: policy `{policy}` uses `{expression}` as a whole; read single arguments, such as `context.arguments.path`"
    )]
    WholeRecord {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
        /// What is used.
        expression: String,
    },
    /// One argument would need two types.
    #[error(
        "{place}: policy `{policy}` uses `context.arguments.{argument}` as {second}, elsewhere it is {first}; scope the policies to tools whose argument has one type, or rename it"
    )]
    TypeConflict {
        /// `file:line:column`.
        place: String,
        /// The policy's id.
        policy: String,
        /// The argument's path.
        argument: String,
        /// The type found first.
        first: &'static str,
        /// The type found here.
        second: &'static str,
    },
    /// Cedar refused what this crate made itself.
    #[error("internal error while loading policies: {0}")]
    Internal(String),
}
