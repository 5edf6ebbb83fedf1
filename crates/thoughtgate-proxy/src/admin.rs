//! `/health`, `/ready` and `/metrics`.
//!
//! Health says that the process answers; readiness that it can govern a call now. Both are read
//! from what is known, so that asking costs the upstream nothing. Whoever can call a tool can read
//! them, so they name what is wrong and leave the reason, which may quote a configuration, to the log.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use thoughtgate_approval::Approvals;

use crate::answer;
use crate::body::Body;
use crate::metrics;
use crate::state::{Part, Reachability, Shared};

/// The answer to an admin path, or `None` when `path` is not one.
pub fn serve(shared: &Shared, method: &Method, path: &str) -> Option<Response<Body>> {
    let answer: fn(&Shared) -> Response<Body> = match path {
        "/health" => health,
        "/ready" => ready,
        "/metrics" => scrape,
        _ => return None,
    };
    if *method == Method::GET || *method == Method::HEAD {
        return Some(answer(shared));
    }
    let mut response = answer::closing(answer::json(
        StatusCode::METHOD_NOT_ALLOWED,
        json!({"error": "use GET"}).to_string().into_bytes(),
    ));
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(response)
}

fn health(_: &Shared) -> Response<Body> {
    answer::json(
        StatusCode::OK,
        json!({"status": "alive"}).to_string().into_bytes(),
    )
}

fn ready(shared: &Shared) -> Response<Body> {
    let mut checks = Map::new();
    checks.insert("policies".to_owned(), policies(shared));
    checks.insert("upstream".to_owned(), upstream(shared));
    if let Some(approvals) = shared.approvals() {
        checks.insert("approvals".to_owned(), approval(&approvals.health()));
    }
    checks.insert("draining".to_owned(), json!({"ok": !shared.is_draining()}));
    let ready = checks
        .values()
        .all(|check| check["ok"] == Value::Bool(true));
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    answer::json(
        status,
        json!({"ready": ready, "checks": checks})
            .to_string()
            .into_bytes(),
    )
}

fn policies(shared: &Shared) -> Value {
    let snapshot = shared.snapshot();
    let mut check = match &snapshot.engine {
        Some(engine) => {
            json!({"ok": true, "generation": snapshot.generation, "policies": engine.policy_count()})
        }
        None => json!({"ok": false, "reason": "no policies are loaded"}),
    };
    if let Some(part) = shared.reload_refused() {
        // The last good set goes on serving: not ready would take the sidecar out for a typo.
        check["last_reload_error"] = json!(match part {
            Part::Configuration => "the configuration was refused; the log has the reason",
            Part::Policies => "the policies were refused; the log has the reason",
        });
    }
    check
}

fn approval(health: &thoughtgate_approval::Health) -> Value {
    // Calls that need nobody go on: not ready would take those out as well.
    let mut check = json!({"ok": true});
    if health.store.is_some() {
        check["store"] = json!("the approval store cannot be written; the log has the reason");
    }
    if health.approvers.is_some() {
        check["approvers"] = json!("approvers cannot be asked; the log has the reason");
    }
    check
}

fn upstream(shared: &Shared) -> Value {
    match shared.upstream() {
        Reachability::Up => json!({"ok": true}),
        Reachability::Unknown => json!({"ok": false, "reason": "not probed yet"}),
        Reachability::Down => {
            json!({"ok": false, "reason": "not reachable; the log has the reason"})
        }
    }
}

fn scrape(shared: &Shared) -> Response<Body> {
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
