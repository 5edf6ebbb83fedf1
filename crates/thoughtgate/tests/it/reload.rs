//! Hot reload: the new set takes effect, or the old one stays in force and the reason is logged.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use thoughtgate_test::client::{Connection, RawConnection};
use thoughtgate_test::mock_mcp::{self, MockMcp};
use thoughtgate_test::process::Output;

use crate::support::{PATIENCE, Proxy, before, call, is_permitted, refusal, refused_reloads};

const A: &str = r#"permit (principal, action == Action::"tools/call", resource == Tool::"a");"#;
const B: &str = r#"permit (principal, action == Action::"tools/call", resource == Tool::"b");"#;

/// Whether `a` and `b` may be called.
async fn allowed(proxy: &Proxy) -> (bool, bool) {
    let mut found = [false; 2];
    for (tool, found) in ["a", "b"].into_iter().zip(&mut found) {
        *found = is_permitted(&proxy.post(&call(tool)).await.json());
    }
    (found[0], found[1])
}

async fn generation_is(proxy: &Proxy, wanted: f64) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while proxy.metric("thoughtgate_policy_generation").await != Some(wanted) {
        assert!(
            tokio::time::Instant::now() < until,
            "generation {wanted} never came"
        );
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

fn set_up(text: &str) -> (MockMcp, tempfile::TempDir) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.cedar"), text).unwrap();
    (upstream, folder)
}

fn rename_into(folder: &Path, text: &str) {
    let aside = folder.join("p.cedar.new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, folder.join("p.cedar")).unwrap();
}

#[tokio::test]
async fn written_in_place_and_renamed() {
    let (upstream, folder) = set_up(A);
    let proxy = Proxy::start(&upstream.url(), &folder.path().join("p.cedar"));
    assert_eq!(allowed(&proxy).await, (true, false));
    std::fs::write(folder.path().join("p.cedar"), B).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (false, true));
    rename_into(folder.path(), A);
    while allowed(&proxy).await != (true, false) {}
}

#[tokio::test]
async fn a_bad_set_is_refused_and_the_last_good_one_stays() {
    let (upstream, folder) = set_up(A);
    let proxy = Proxy::start(&upstream.url(), &folder.path().join("p.cedar"));
    for (index, (text, reason)) in [
        ("permit (", "p.cedar:1:"),
        ("", "the policy files contain no policy"),
        (
            "permit (principal, action == Action::\"x\", resource);",
            "unrecognized action",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        rename_into(folder.path(), text);
        let error = refused_reloads(&proxy, index + 1).await;
        assert!(error.contains(reason), "{error}");
        assert_eq!(allowed(&proxy).await, (true, false));
        assert_eq!(
            proxy.get("/ready").await.status,
            200,
            "the last good set still serves"
        );
    }
    rename_into(folder.path(), B);
    while allowed(&proxy).await != (false, true) {}
    assert!(proxy.get("/ready").await.json()["checks"]["policies"]["last_reload_error"].is_null());
}

#[tokio::test]
async fn a_config_map_swaps_links() {
    let (upstream, folder) = set_up(A);
    let mount = folder.path().join("mount");
    for (version, text) in [("v1", A), ("v2", B)] {
        std::fs::create_dir_all(mount.join(version)).unwrap();
        std::fs::write(mount.join(version).join("p.cedar"), text).unwrap();
    }
    std::os::unix::fs::symlink("v1", mount.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/p.cedar", mount.join("p.cedar")).unwrap();
    let proxy = Proxy::start(&upstream.url(), &mount.join("p.cedar"));
    assert_eq!(allowed(&proxy).await, (true, false));
    std::os::unix::fs::symlink("v2", mount.join("..data_tmp")).unwrap();
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (false, true));
}

#[tokio::test]
async fn half_written_files_are_not_read() {
    let (upstream, folder) = set_up(A);
    let proxy = Proxy::start(&upstream.url(), &folder.path().join("p.cedar"));
    let mut file = std::fs::File::create(folder.path().join("p.cedar")).unwrap();
    // A whole policy, but not the whole file.
    file.write_all(B.as_bytes()).unwrap();
    file.sync_all().unwrap();
    for _ in 0..20 {
        assert_eq!(allowed(&proxy).await, (true, false));
    }
    file.write_all(A.as_bytes()).unwrap();
    drop(file);
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (true, true));
}

#[tokio::test]
async fn a_file_written_in_two_goes_is_read_once() {
    let (upstream, folder) = set_up(A);
    let path = folder.path().join("p.cedar");
    let proxy = Proxy::start(&upstream.url(), &path);
    // A whole set, but shorter than the one in force.
    std::fs::write(&path, "forbid (principal, action, resource);").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(allowed(&proxy).await, (true, false));
    std::fs::write(&path, format!("{A}{B}")).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (true, true));
}

/// A call that is forbidden before and after an update must not pass during it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_updated_file_by_file_never_loses_a_forbid() {
    const FORBID: &str =
        r#"forbid (principal, action == Action::"tools/call", resource == Tool::"a");"#;
    let (upstream, folder) = set_up("permit (principal, action, resource);");
    let forbid = folder.path().join("forbid.cedar");
    std::fs::write(&forbid, FORBID).unwrap();
    let proxy = Proxy::start(&upstream.url(), folder.path());
    let stop = Arc::new(AtomicBool::new(false));
    let asking = {
        let (url, stop) = (proxy.url(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut connection = Connection::open(&url).await.unwrap();
            let headers = [("content-type", "application/json")];
            while !stop.load(Ordering::Relaxed) {
                let response = connection
                    .send(http::Method::POST, "/mcp", &headers, call("a"))
                    .await
                    .unwrap();
                assert_eq!(refusal(&response.json())["code"], 40301);
            }
        })
    };
    let pause = |millis| tokio::time::sleep(std::time::Duration::from_millis(millis));
    for _ in 0..3 {
        // Removed and written again.
        std::fs::remove_file(&forbid).unwrap();
        pause(150).await;
        std::fs::write(&forbid, FORBID).unwrap();
        pause(150).await;
        // Half written, longer than what it replaces, while another file is finished.
        let mut file = std::fs::File::create(&forbid).unwrap();
        let comment = format!("// {}\n", "x".repeat(FORBID.len()));
        file.write_all(comment.as_bytes()).unwrap();
        std::fs::write(folder.path().join("other.cedar"), "// nothing").unwrap();
        pause(150).await;
        file.write_all(FORBID.as_bytes()).unwrap();
        drop(file);
        pause(150).await;
    }
    stop.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn a_removed_policy_file_is_no_longer_in_force_after_a_while() {
    let (upstream, folder) = set_up(A);
    std::fs::write(folder.path().join("b.cedar"), B).unwrap();
    let proxy = Proxy::start(&upstream.url(), folder.path());
    assert_eq!(allowed(&proxy).await, (true, true));
    std::fs::remove_file(folder.path().join("b.cedar")).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (true, false));
}

#[tokio::test]
async fn other_files_of_the_folder_reload_nothing() {
    let (upstream, folder) = set_up(A);
    let config = folder.path().join("tg.yaml");
    let text = format!(
        "upstream: {{url: '{}'}}\npolicy: .\naudit: audit.jsonl\n",
        upstream.url()
    );
    std::fs::write(&config, &text).unwrap();
    let proxy = Proxy::with(&["--config", config.to_str().unwrap()], &[]);
    for name in ["x", ".#p.cedar", "p.cedar.swp", "p.cedar~", "tg.yaml.new"] {
        std::fs::write(folder.path().join(name), B).unwrap();
    }
    assert_eq!(allowed(&proxy).await, (true, false));
    // Writing the same text again makes no new generation either.
    std::fs::write(&config, &text).unwrap();
    rename_into(folder.path(), A);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    std::fs::write(folder.path().join("b.cedar"), B).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (true, true));
    let loads = "thoughtgate_policy_reloads_total{result=\"accepted\"}";
    assert_eq!(proxy.metric(loads).await, Some(1.0));
}

#[tokio::test]
async fn a_directory_behind_a_link_is_swapped_at_once() {
    let (upstream, folder) = set_up(A);
    for (version, text) in [("v1", format!("{A}\n{B}")), ("v2", B.to_owned())] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        std::fs::write(folder.path().join(version).join("p.cedar"), text).unwrap();
    }
    let current = folder.path().join("current");
    std::os::unix::fs::symlink("v1", &current).unwrap();
    let proxy = Proxy::start(&upstream.url(), &current);
    assert_eq!(allowed(&proxy).await, (true, true));
    std::os::unix::fs::symlink("v2", folder.path().join("next")).unwrap();
    std::fs::rename(folder.path().join("next"), &current).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (false, true));
    // The new folder is watched too.
    std::fs::write(current.join("a.cedar"), A).unwrap();
    generation_is(&proxy, 3.0).await;
    assert_eq!(allowed(&proxy).await, (true, true));
}

#[tokio::test]
async fn a_bad_set_that_is_taken_back_is_no_longer_complained_of() {
    let (upstream, folder) = set_up(A);
    let proxy = Proxy::start(&upstream.url(), &folder.path().join("p.cedar"));
    rename_into(folder.path(), "permit (");
    refused_reloads(&proxy, 1).await;
    rename_into(folder.path(), A);
    let line = "thoughtgate: nothing changed: generation 1 stays in force";
    let found = proxy.process.wait_line(Output::Stderr, line, PATIENCE);
    found.unwrap();
    assert!(proxy.get("/ready").await.json()["checks"]["policies"]["last_reload_error"].is_null());
}

#[tokio::test]
async fn configuration_reloads_with_the_policies() {
    let (upstream, folder) =
        set_up(r#"permit (principal in Group::"ops", action == Action::"tools/call", resource);"#);
    let config = folder.path().join("thoughtgate.yaml");
    let text = |agents: &str, workers: u32| {
        format!(
            "upstream: {{url: '{}'}}\npolicy: p.cedar\nagent: {{groups: {{ops: [{agents}]}}}}\nworkers: {workers}\n",
            upstream.url()
        )
    };
    std::fs::write(&config, text("somebody", 1)).unwrap();
    let proxy = Proxy::with(&["--config", config.to_str().unwrap()], &[]);
    assert_eq!(allowed(&proxy).await, (false, false));
    std::fs::write(&config, text("agent", 1)).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (true, true));
    std::fs::write(&config, text("somebody", 2)).unwrap();
    let error = refused_reloads(&proxy, 1).await;
    assert!(
        error.contains("`workers` cannot change while running"),
        "{error}"
    );
    let log = proxy.process.output(Output::Stderr).join("\n");
    assert!(log.contains(" (1 worker, upstream "), "{log}");
    assert_eq!(allowed(&proxy).await, (true, true));
}

#[tokio::test]
async fn sighup_reloads_and_says_when_nothing_changed() {
    let (upstream, folder) = set_up(A);
    let path = folder.path().join("p.cedar");
    let proxy = Proxy::start(&upstream.url(), &path);
    proxy.process.signal(Signal::HUP).unwrap();
    let line = "thoughtgate: nothing changed: generation 1 stays in force";
    let found = proxy.process.wait_line(Output::Stderr, line, PATIENCE);
    found.unwrap();
    // Not yet closed, so not loaded by itself, but SIGHUP loads it.
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(format!("{A}{B}").as_bytes()).unwrap();
    proxy.process.signal(Signal::HUP).unwrap();
    generation_is(&proxy, 2.0).await;
    assert_eq!(allowed(&proxy).await, (true, true));
}

#[tokio::test]
async fn a_changed_file_with_a_secret_is_left_unread_and_warned_of() {
    let (upstream, folder) = set_up(A);
    let token = folder.path().join("token");
    std::fs::write(&token, "xoxb-one\n").unwrap();
    let (url, policy) = (upstream.url(), folder.path().join("p.cedar"));
    let environment = [
        (
            "THOUGHTGATE_APPROVAL_SLACK_TOKEN_FILE",
            token.to_str().unwrap(),
        ),
        ("THOUGHTGATE_APPROVAL_SLACK_BASE_URL", "http://127.0.0.1:1"),
        ("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", "C0APPROVALS"),
        ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", "U0APPROVER"),
    ];
    let proxy = Proxy::with(&before(&url, &policy), &environment);
    for (text, lines) in [
        (
            "xoxb-one",
            &["thoughtgate: nothing changed: generation 1"][..],
        ),
        (
            "xoxb-two\n",
            &[
                "`approval.slack.token_file` has changed, and is read only at the start; restart",
                "thoughtgate: nothing else changed: generation 1",
            ],
        ),
    ] {
        std::fs::write(&token, text).unwrap();
        proxy.process.signal(Signal::HUP).unwrap();
        for line in lines {
            let found = proxy.process.wait_line(Output::Stderr, line, PATIENCE);
            assert!(!found.unwrap().contains("xoxb"));
        }
    }
}

/// Sends a call of `a` up to its last byte, lets `reload` happen, and returns the end of the answer.
async fn held_back(proxy: &Proxy, head: &str, reload: impl Future<Output = ()>) -> String {
    let body = call("a");
    let (first, last) = body.split_at(body.len() - 1);
    let mut client = RawConnection::open(&proxy.url()).await.unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\n{head}connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    client.send(request).await.unwrap();
    // The head must have been read with the old set in force.
    while proxy.metric("thoughtgate_requests_in_flight").await != Some(1.0) {}
    reload.await;
    client.send(last).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

#[tokio::test]
async fn a_request_whose_last_byte_is_late_is_decided_by_the_new_set() {
    let (upstream, folder) = set_up(A);
    let proxy = Proxy::start(&upstream.url(), &folder.path().join("p.cedar"));
    let answer = held_back(&proxy, "host: localhost\r\n", async {
        rename_into(folder.path(), B);
        generation_is(&proxy, 2.0).await;
    })
    .await;
    assert!(answer.contains("40301"), "{answer}");
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn and_identified_and_guarded_by_the_new_rules() {
    for (rules, expected) in [
        (
            "allowed_hosts: [tools.example]\nagent: {header: x-agent}",
            "invalid `x-agent` header",
        ),
        ("allowed_hosts: []", "Host header missing or not allowed"),
    ] {
        let (upstream, folder) = set_up(A);
        let config = folder.path().join("thoughtgate.yaml");
        let text = |rules: &str| {
            let url = upstream.url();
            format!("upstream: {{url: '{url}'}}\npolicy: p.cedar\n{rules}\n")
        };
        std::fs::write(&config, text("allowed_hosts: [tools.example]")).unwrap();
        let proxy = Proxy::with(&["--config", config.to_str().unwrap()], &[]);
        let answer = held_back(&proxy, "host: tools.example\r\n", async {
            std::fs::write(&config, text(rules)).unwrap();
            generation_is(&proxy, 2.0).await;
        })
        .await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{rules}: {answer}");
        assert!(answer.contains(expected), "{rules}: {answer}");
        assert_eq!(upstream.stats().requests, 0);
    }
}

/// Sets alternate between "only a" and "only b". A client that calls both between two reloads sees one
/// set or the other: never both permitted, never neither, never an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_there_are_only_old_and_new_decisions() {
    let (upstream, folder) = set_up(A);
    let proxy = Proxy::start(&upstream.url(), &folder.path().join("p.cedar"));
    let stop = Arc::new(AtomicBool::new(false));
    let checkers: Vec<_> = (0..4)
        .map(|_| {
            let (url, stop) = (proxy.url(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut connection = Connection::open(&url).await.unwrap();
                let (mut checked, mut changes, mut last) = (0, 0, None);
                while !stop.load(Ordering::Relaxed) {
                    for tool in ["a", "b"] {
                        let headers = [("content-type", "application/json")];
                        let response = connection
                            .send(http::Method::POST, "/mcp", &headers, call(tool))
                            .await
                            .expect("no request is dropped");
                        assert_eq!(response.status, 200);
                        let answer = response.json();
                        assert_eq!(answer["id"], 7);
                        let forwarded = is_permitted(&answer);
                        assert!(forwarded || refusal(&answer)["code"] == 40301, "{answer}");
                        let set = if forwarded == (tool == "a") { "A" } else { "B" };
                        changes += usize::from(last.is_some_and(|last| last != set));
                        last = Some(set);
                        checked += 1;
                    }
                }
                (checked, changes)
            })
        })
        .collect();
    for round in 0..40 {
        rename_into(folder.path(), if round % 2 == 0 { B } else { A });
        generation_is(&proxy, f64::from(round) + 2.0).await;
    }
    stop.store(true, Ordering::Relaxed);
    for checker in checkers {
        let (checked, changes) = checker.await.unwrap();
        assert!(checked > 40, "{checked} requests");
        // One set at a time: as many changes as there were reloads, at most.
        assert!(
            (1..=40).contains(&changes),
            "{changes} changes in {checked} requests"
        );
    }
}
