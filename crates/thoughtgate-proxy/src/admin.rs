//! `/health`, `/ready` and `/metrics`.
//!
//! `/health` reports that the process answers, `/ready` that it can govern calls now. Both use what is
//! already known, so that a request to them costs the upstream nothing. Anyone who can call a tool can
//! read them, so they name the fault and leave its reason, which may quote configuration, to the log. Web
//! pages that [`crate::guard`] does not accept learn the status alone.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use thoughtgate_approval::Approvals;

use crate::answer;
use crate::body::Body;
use crate::guard::Rejected;
use crate::identity::KeySet;
use crate::metrics;
use crate::problem::{Elsewhere, Problem};
use crate::state::{Part, Reachability, Shared};

/// The answer to a request for an admin path, or `None` if its path is not one.
pub fn serve<B>(shared: &Shared, request: &Request<B>) -> Option<Response<Body>> {
    let answer: fn(&Shared, Reader) -> Response<Body> = match request.uri().path() {
        "/health" => health,
        "/ready" => ready,
        "/metrics" => scrape,
        _ => return None,
    };
    // hyper leaves out the body of an answer to HEAD.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let problem = Problem::Elsewhere(Elsewhere::AdminMethod);
        return Some(answer::problem(shared, &problem, None));
    }
    let guard = &shared.snapshot().rules.guard;
    Some(answer(shared, guard.check_reader(request.headers())))
}

/// Whether the reader may have more than the status. A probe by any name needs that alone; the rest a web
/// page could read by DNS rebinding.
type Reader = Result<(), Rejected>;

fn health(_: &Shared, _: Reader) -> Response<Body> {
    answer::json(
        StatusCode::OK,
        json!({"status": "alive"}).to_string().into_bytes(),
    )
}

fn ready(shared: &Shared, reader: Reader) -> Response<Body> {
    let mut checks = Map::new();
    checks.insert("policies".to_owned(), policies(shared));
    checks.insert("upstream".to_owned(), upstream(shared));
    if let Some(keys) = shared.key_set() {
        checks.insert("token_keys".to_owned(), token_keys(&keys));
    }
    if let Some(approvals) = shared.approvals() {
        checks.insert("approvals".to_owned(), approval(&approvals.health()));
    }
    checks.insert(
        "draining".to_owned(),
        json!({"ok": !shared.drain.has_started()}),
    );
    let ready = checks
        .values()
        .all(|check| check["ok"] == Value::Bool(true));
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if let Err(rejected) = reader {
        let body = json!({"ready": ready, "details": format!("not shown: {rejected}")});
        return answer::json(status, body.to_string().into_bytes());
    }
    let mut body = json!({"ready": ready, "checks": checks});
    if shared.snapshot().rules.observe {
        body["enforcing"] = json!(false);
        body["warning"] = json!("policies are NOT enforced: `mode: observe`");
    }
    answer::json(status, body.to_string().into_bytes())
}

fn policies(shared: &Shared) -> Value {
    let snapshot = shared.snapshot();
    let mut check = match &snapshot.engine {
        Some(engine) => {
            json!({"ok": true, "generation": snapshot.generation, "policies": engine.policy_count()})
        }
        None => json!({"ok": false, "reason": "no policies are loaded"}),
    };
    if let Some(engine) = &snapshot.engine {
        let (shown, count) = shared.seen.unlisted(engine);
        // No reason to be not ready: the upstream may list a tool later, or to another agent.
        if count > 0 {
            check["unlisted_tools"] = json!({ "count": count, "names": shown });
        }
    }
    if let Some(part) = shared.reload_refused() {
        // The last good set stays in force: not ready would take the sidecar out of service for a typo.
        check["last_reload_error"] = json!(match part {
            Part::Configuration => "the configuration was refused; see the log for the reason",
            Part::Policies => "the policies were refused; see the log for the reason",
        });
    }
    check
}

fn token_keys(keys: &KeySet) -> Value {
    let count = keys.count();
    if count == 0 {
        let reason = "there are no keys to verify bearer tokens with; see the log for the reason";
        return json!({"ok": false, "reason": reason});
    }
    let mut check = json!({"ok": true, "keys": count});
    if keys.failed() {
        // The last ones stay in force.
        check["last_fetch_error"] = json!("the last fetch failed; see the log for the reason");
    }
    check
}

fn approval(health: &thoughtgate_approval::Health) -> Value {
    // Calls that need no approval still work: not ready would stop those as well.
    let mut check = json!({"ok": true});
    if health.store.is_some() {
        check["store"] = json!("the approval store cannot be written; see the log for the reason");
    }
    if health.approvers.is_some() {
        check["approvers"] = json!("approvers cannot be asked; see the log for the reason");
    }
    check
}

fn upstream(shared: &Shared) -> Value {
    match shared.upstream() {
        Reachability::Up => json!({"ok": true}),
        Reachability::Compresses => json!({
            "ok": true,
            "warning": "compresses its answers, so that lists of tools are refused; see the log for the way out",
        }),
        Reachability::Unknown => json!({"ok": false, "reason": "not probed yet"}),
        Reachability::Down => {
            json!({"ok": false, "reason": "not reachable; see the log for the reason"})
        }
        Reachability::Silent => {
            json!({"ok": false, "reason": "no answer to an MCP request; see the log for the reason"})
        }
        Reachability::Redirects => {
            json!({"ok": false, "reason": "redirects MCP requests; see the log for the address"})
        }
        Reachability::NotMcp(status) => {
            let status = status.as_u16();
            let reason =
                format!("answers an MCP request with status {status}; see the log for the reason");
            json!({"ok": false, "reason": reason, "status": status})
        }
    }
}

fn scrape(shared: &Shared, reader: Reader) -> Response<Body> {
    if let Err(rejected) = reader {
        let problem = Problem::Elsewhere(Elsewhere::AdminGuard(rejected));
        return answer::problem(shared, &problem, None);
    }
    let mut response = Response::new(Body::own(
        shared
            .metrics
            .render(shared.approvals().map(Approvals::counters).as_ref()),
    ));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(metrics::CONTENT_TYPE),
    );
    response
}
