//! A verified press of a button as a vote, by the same rules as reactions.
//!
//! Verifies and parses nothing: `interactivity.rs` does.

use super::interactivity::Interaction;
use super::workspace::Workspace;
use crate::cause::Cause;
use crate::error::StoreError;
use crate::record::Means;
use crate::state::State;
use crate::view::View;
use crate::vote::Vote;

/// Result of a button press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InteractionOutcome {
    /// The vote decided or withdrew the approval.
    Decided(View),
    /// The vote changed nothing: the approval was decided or had ended before.
    TooLate(View),
    /// The user is not an approver.
    NotAllowed,
    /// No such approval, or the button belongs to another message or workspace.
    Unknown,
    /// Whether the user is an approver cannot be read; press again.
    Unread(Cause),
    /// The decision cannot be stored; press again.
    Unstored(StoreError),
}

/// Applies `interaction`.
pub(super) async fn act(workspace: &Workspace, interaction: Interaction) -> InteractionOutcome {
    let ledger = &workspace.ledger;
    let view = || {
        let table = ledger.table();
        table.get(interaction.id).map(|entry| entry.record.view())
    };
    // Only the message that this proxy posted shows what the vote is about; a button elsewhere could show
    // anything.
    let here = ledger.table().get(interaction.id).is_some_and(|entry| {
        entry.record.message.as_ref().is_some_and(|message| {
            message.channel == interaction.channel && message.id == interaction.ts
        })
    });
    if !here {
        return InteractionOutcome::Unknown;
    }
    let (client, directory) = (&workspace.client, &workspace.directory);
    let me = match directory.me(client).await {
        Ok(me) => me,
        Err(error) => return InteractionOutcome::Unread(Cause::new(error)),
    };
    let both = interaction.team.as_ref().zip(me.team.as_ref());
    if both.is_some_and(|(theirs, own)| theirs != own) {
        return InteractionOutcome::Unknown;
    }
    match directory.allows(client, &interaction.user).await {
        Err(error) => return InteractionOutcome::Unread(Cause::new(error)),
        Ok(false) => {
            // Once the call is made or refused, there is nothing left to note on the message.
            let is_undecided = |view: View| matches!(view.state, State::Pending | State::Approved);
            if view().is_some_and(is_undecided) {
                ledger.refuse_voters(interaction.id, &[interaction.user]);
            }
            return InteractionOutcome::NotAllowed;
        }
        Ok(true) => {}
    }
    let vote = Vote {
        by: &interaction.user,
        approve: interaction.approve,
        means: Means::Interaction,
    };
    let decided = ledger.decide(interaction.id, vote);
    let is_decided = decided.is_some();
    // Unlike a reaction, it cannot be read again after a restart: report it once it is on disk.
    if let Some(flush) = decided
        && let Err(error) = flush.done().await
    {
        return InteractionOutcome::Unstored(error);
    }
    match view() {
        Some(view) if is_decided => InteractionOutcome::Decided(view),
        Some(view) => InteractionOutcome::TooLate(view),
        None => InteractionOutcome::Unknown,
    }
}
