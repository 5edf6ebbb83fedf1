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
    /// Cedar, but not about our agents, tools and actions.
    #[error("{place}: {message}")]
    Invalid {
        /// `file:line:column`.
        place: String,
        /// What the validator says, with the policy's id and its help.
        message: String,
    },
    /// Two policies with one id would make a decision's reasons ambiguous.
    #[error("{file}: the id `{policy}` is used twice; give each policy its own @id")]
    DuplicateId {
        /// The second one's file.
        file: String,
        /// The id.
        policy: String,
    },
    /// Templates have no place to be linked.
    #[error(
        "{file}: policy templates (`?principal`, `?resource`) are not supported; write the policy out, or use groups"
    )]
    Template {
        /// Where it stands.
        file: String,
    },
    /// `@approve` says how a permit is carried out.
    #[error(
        "{file}: policy `{policy}` is a forbid with @approve; an approval can only be asked by a permit"
    )]
    ApproveOnForbid {
        /// Where it stands.
        file: String,
        /// The policy's id.
        policy: String,
    },
    /// Nobody could be asked.
    #[error(
        "{file}: policy `{policy}` asks for approval, but no approval channel is configured; set `approval.slack` or remove @approve"
    )]
    NoApprovalChannel {
        /// Where it stands.
        file: String,
        /// The policy's id.
        policy: String,
    },
    /// The whole context, or the whole of the arguments, is used as one value.
    #[error(
        "{file}: policy `{policy}` uses `{expression}` as a whole; read single arguments, such as `context.arguments.path`"
    )]
    WholeRecord {
        /// Where it stands.
        file: String,
        /// The policy's id.
        policy: String,
        /// What is used.
        expression: String,
    },
    /// One argument would need two types.
    #[error(
        "{file}: policy `{policy}` uses `context.arguments.{argument}` as {second}, elsewhere it is {first}; scope the policies to tools whose argument has one type, or rename it"
    )]
    TypeConflict {
        /// Where it stands.
        file: String,
        /// The policy's id.
        policy: String,
        /// The argument's path.
        argument: String,
        /// The type found first.
        first: String,
        /// The type found here.
        second: String,
    },
    /// Cedar refused what this crate made itself.
    #[error("internal error while loading policies: {0}")]
    Internal(String),
}
