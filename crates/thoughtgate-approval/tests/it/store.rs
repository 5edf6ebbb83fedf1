//! The store's file: access, contents, damage, and a disk that loses it.

use std::path::PathBuf;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use thoughtgate_approval::{Call, ClaimError, OpenError, Settings, State, StoreLocation, chain};

use crate::support::{
    AGENT, Setup, Slack, approved, call, digest_of, eventually, filed, is_healthy, open, raw,
    request, request_later, settings, try_open, view,
};

fn path(settings: &Settings) -> PathBuf {
    match &settings.store {
        StoreLocation::File(path) => path.clone(),
        StoreLocation::Memory => panic!("a store in a file"),
    }
}

/// A store with one approval in it, closed, and the directory that must outlive it.
async fn used() -> (Setup, tempfile::TempDir) {
    let (directory, _slack, settings) = filed().await;
    let approvals = open(&settings).await;
    let arguments = raw(r#"{"note":"visible-text","password":"hunter2"}"#);
    approvals
        .request(Call {
            arguments: Some(&arguments),
            ..call("tool")
        })
        .await
        .unwrap();
    approvals.close().await;
    (settings, directory)
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (settings, _directory) = used().await;
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = path(&settings);
    assert_eq!(mode(&path), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let approvals = open(&settings).await;
    assert_eq!(mode(&path), 0o600);
    approvals.close().await;
}

#[tokio::test]
async fn redacted_arguments_and_tokens_are_not_in_it() {
    let (settings, _directory) = used().await;
    let bytes = std::fs::read(path(&settings)).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("visible-text"));
    assert!(!holds("hunter2") && !holds("xoxb-test"));
}

#[tokio::test]
async fn a_second_proxy_is_refused() {
    let (settings, _directory) = used().await;
    let approvals = open(&settings).await;
    let error = try_open(&settings).await.unwrap_err();
    assert!(matches!(&error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("approvals.redb"));
    approvals.close().await;
    open(&settings).await.close().await;
}

#[tokio::test]
async fn damage_is_told_and_leaves_the_file_alone() {
    let (settings, _directory) = used().await;
    let path = path(&settings);
    let good = std::fs::read(&path).unwrap();
    let mut zeroed = good.clone();
    zeroed[..64].fill(0);
    let mut flipped = good.clone();
    for byte in &mut flipped[4096..] {
        *byte ^= 0x55;
    }
    let damaged = [
        ("no store at all", b"once upon a time".repeat(999)),
        ("a lost header", zeroed),
        ("flipped bits", flipped),
        ("a lost end", good[..good.len() / 2].to_vec()),
    ];
    for (what, bytes) in damaged {
        std::fs::write(&path, &bytes).unwrap();
        let error = try_open(&settings).await.expect_err(what);
        assert!(
            matches!(&error, OpenError::Corrupted { .. }),
            "{what}: {error:?}"
        );
        assert!(
            error.to_string().contains("move it away"),
            "{what}: {error}"
        );
        // The chain adds the fault that was found.
        assert!(chain(&error).len() > error.to_string().len() + 2);
    }
    std::fs::write(&path, &good).unwrap();
    open(&settings).await.close().await;
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let (settings, _directory) = used().await;
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let database = Database::open(path(&settings)).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(meta)
        .unwrap()
        .insert("format", 2_u64.to_be_bytes().as_slice())
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let error = try_open(&settings).await.unwrap_err();
    assert!(
        matches!(
            &error,
            OpenError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_is_removed_with_the_end_of_its_approval() {
    let (_directory, _slack, settings) = filed().await;
    let bodies: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("bodies");
    let count = || {
        let database = Database::open(path(&settings)).unwrap();
        let read = database.begin_read().unwrap();
        read.open_table(bodies).unwrap().len().unwrap()
    };
    let approvals = open(&settings).await;
    let body = b"later";
    let id = request_later(&approvals, "tool", body).await;
    approvals.close().await;
    assert_eq!(count(), 1);
    let approvals = open(&settings).await;
    approvals.cancel(id, AGENT);
    approvals.close().await;
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn an_impossible_place_is_named() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.store = StoreLocation::File(PathBuf::from("/nonexistent/approvals.redb"));
    let error = try_open(&settings).await.unwrap_err();
    assert!(matches!(&error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("/nonexistent/approvals.redb"));
}

#[tokio::test]
async fn memory_forgets() {
    let slack = Slack::start();
    let settings = settings(&slack);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    approvals.close().await;
    assert!(open(&settings).await.find(id, AGENT).is_none());
}

#[tokio::test]
async fn a_store_that_is_deleted_is_written_anew() {
    let (_directory, slack, settings) = filed().await;
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    std::fs::remove_file(path(&settings)).unwrap();
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    claim.unwrap().complete(None).await;
    approvals.close().await;
    let approvals = open(&settings).await;
    assert_eq!(view(&approvals, id).state, State::Done);
    approvals.close().await;
}

#[tokio::test]
async fn a_store_that_is_replaced_lets_nothing_through_until_it_is_gone() {
    let (directory, slack, settings) = filed().await;
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    let old = directory.path().join("old");
    std::fs::copy(path(&settings), &old).unwrap();
    std::fs::rename(&old, path(&settings)).unwrap();
    let refused = approvals.request(call("other")).await.unwrap_err();
    let refused = chain(&refused);
    assert!(refused.contains("another file"), "{refused}");
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    assert!(matches!(claim, Err(ClaimError::Store(_))), "{claim:?}");
    std::fs::remove_file(path(&settings)).unwrap();
    eventually("it is written again", || is_healthy(&approvals)).await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    claim.unwrap().complete(None).await;
    approvals.close().await;
    let approvals = open(&settings).await;
    assert_eq!(view(&approvals, id).state, State::Done);
    approvals.close().await;
}
