//! Schema 1 of a run: samples as bare numbers in each metric's record, and one binary.
//!
//! Only read. The rows made from it lack what it did not record: the time of a block, its disturbance,
//! and its number of calls.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    Arm, Binary, Git, Host, Note, Outcome, Part, Record, Run, SCHEMA, Sample, State, Value,
};
use crate::metrics::catalog::Tier;

/// The label of the only program that such a run measured.
const ARM: &str = "head";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Old {
    #[serde(rename = "schema")]
    _schema: u32,
    started: u64,
    finished: u64,
    complete: bool,
    quick: bool,
    tiers: Vec<Tier>,
    host: Host,
    tools: BTreeMap<String, String>,
    git: Git,
    subject: Binary,
    settings: BTreeMap<String, Json>,
    metrics: Vec<OldRecord>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldRecord {
    name: String,
    unit: String,
    outcome: Outcome,
    #[serde(default)]
    samples: Vec<f64>,
    #[serde(default)]
    voids: Vec<String>,
    #[serde(default)]
    notes: Vec<Note>,
    #[serde(default)]
    details: BTreeMap<String, Json>,
}

/// Reads a text whose `schema` is 1.
pub(super) fn parse(text: &str) -> serde_json::Result<Run> {
    serde_json::from_str(text).map(converted)
}

fn converted(old: Old) -> Run {
    let samples = old.metrics.iter().flat_map(rows).collect();
    let record = |record: OldRecord| Record {
        name: record.name,
        unit: record.unit,
        outcome: record.outcome,
        pooled: None,
        notes: record.notes,
        details: record.details,
    };
    Run {
        schema: SCHEMA,
        // The rules had no number then.
        rules: 0,
        thresholds: BTreeMap::new(),
        // Schema 1 kept the seed among the settings.
        seed: old.settings.get("seed").and_then(Json::as_u64).unwrap_or(0),
        looks: BTreeMap::new(),
        arms: vec![Arm {
            name: ARM.to_owned(),
            revision: old.git.revision.clone(),
            parent: None,
            sha256: old.subject.sha256.clone(),
            rustc: old.tools.get("rustc").cloned(),
        }],
        started: old.started,
        finished: old.finished,
        complete: old.complete,
        quick: old.quick,
        tiers: old.tiers,
        host: old.host,
        tools: old.tools,
        git: old.git,
        subject: old.subject,
        settings: old.settings,
        metrics: old.metrics.into_iter().map(record).collect(),
        samples,
        distributions: Vec::new(),
        raw: Vec::new(),
        parts: old.parts,
    }
}

/// The values of a metric, then its void blocks: schema 1 did not record their common order.
fn rows(record: &OldRecord) -> Vec<Sample> {
    let values = record
        .samples
        .iter()
        .map(|value| (Some(Value::Float(*value)), State::Counted, None));
    let voids = record
        .voids
        .iter()
        .map(|reason| (None, State::Void, Some(reason.clone())));
    let rows = values.chain(voids).enumerate();
    rows.map(|(block, (value, state, reason))| Sample {
        session: 0,
        block,
        arm: ARM.to_owned(),
        order: 0,
        metric: record.name.clone(),
        value,
        n: None,
        started: None,
        steal: None,
        others: None,
        psi: None,
        state,
        reason,
    })
    .collect()
}
