//! The table against the requirement's own text: `test_data/requirement_*` are excerpts of it.

use std::collections::BTreeSet;

use super::*;

const TABLES: &str = include_str!("../../../test_data/requirement_5.md");
const ARRAY: &str = include_str!("../../../test_data/requirement_8_1.json");

/// A row of the requirement's tables: tier, id, name, unit, target as it is written there.
type Written = (u8, String, String, String, String);

fn written() -> Vec<Written> {
    let mut tier = 0;
    let mut rows = Vec::new();
    for line in TABLES.lines() {
        if let Some(heading) = line.strip_prefix("### 5.") {
            tier = heading[..1].parse().unwrap();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() > 4 && cells[1].starts_with("M-") {
            let name = cells[2].trim_matches('`').to_owned();
            let [id, unit, target] = [cells[1], cells[3], cells[4]].map(str::to_owned);
            rows.push((tier, id, name, unit, target));
        }
    }
    rows
}

/// The target of a metric in the requirement's notation.
fn notation(metric: &Metric) -> String {
    let limit = |sign: &str, limit: f64| match metric.unit {
        Unit::Bytes => format!("{sign} {} MB", limit / 1e6),
        Unit::Percent => format!("{sign} {limit}%"),
        Unit::Count => format!("{sign} {limit}"),
        // Written without the unit.
        Unit::RequestsPerSecond => format!("{sign} {},000", limit / 1e3),
        _ => format!("{sign} {limit} {}", metric.unit.name()),
    };
    match metric.target {
        Target::None => String::new(),
        Target::Below(number) => limit("<", number),
        Target::AtMost(number) => limit("≤", number),
        Target::Above(number) => limit(">", number),
        Target::Text(text) => text.to_owned(),
        Target::Boolean(truth) => truth.to_string(),
    }
}

#[test]
fn the_requirement_s_tables_are_the_catalogue() {
    let ours: BTreeSet<Written> = METRICS
        .iter()
        .filter(|metric| !metric.extra())
        .map(|metric| {
            let [id, name, unit] = [metric.id, metric.name, metric.unit.name()].map(str::to_owned);
            (metric.tier.number(), id, name, unit, notation(metric))
        })
        .collect();
    let theirs: BTreeSet<Written> = written().into_iter().collect();
    assert_eq!(theirs.len(), 26);
    assert_eq!(ours, theirs);
}

#[test]
fn the_example_array_has_our_names_units_types_and_order() {
    let entries: Vec<serde_json::Value> = serde_json::from_str(ARRAY).unwrap();
    assert_eq!(entries.len(), 24);
    let mut positions = Vec::new();
    for entry in &entries {
        let name = entry["name"].as_str().unwrap();
        let metric = find(name).unwrap_or_else(|| panic!("`{name}` is not in the catalogue"));
        assert_eq!(entry["unit"], metric.unit.name(), "{name}");
        let value = &entry["value"];
        let kind = match value {
            serde_json::Value::Bool(_) => Kind::Boolean,
            serde_json::Value::String(_) => Kind::Text,
            number if number.is_u64() => Kind::Integer,
            _ => Kind::Float,
        };
        assert_eq!(kind, metric.kind(), "{name}");
        positions.push(METRICS.iter().position(|other| other.name == name).unwrap());
    }
    assert!(
        positions.is_sorted(),
        "the catalogue has another order: {positions:?}"
    );
}

#[test]
fn ids_and_names_are_unique_and_well_formed() {
    let ids: BTreeSet<&str> = METRICS.iter().map(|metric| metric.id).collect();
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!((ids.len(), names.len()), (METRICS.len(), METRICS.len()));
    for metric in METRICS {
        let (category, rest) = metric.name.split_once('/').unwrap();
        assert_eq!(category, metric.category());
        assert!(
            rest.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        );
        assert!(
            metric
                .id
                .starts_with(if metric.extra() { "X-" } else { "M-" })
        );
        assert!(
            !metric.method.is_empty() && !metric.method.contains('\n'),
            "{}",
            metric.name
        );
    }
}

#[test]
fn targets_fit_the_values_and_only_extras_have_none() {
    for metric in METRICS {
        let name = metric.name;
        let fits = match metric.target {
            Target::Below(_) | Target::AtMost(_) | Target::Above(_) => {
                matches!(metric.kind(), Kind::Integer | Kind::Float)
            }
            Target::Text(_) => metric.kind() == Kind::Text,
            Target::Boolean(_) => metric.kind() == Kind::Boolean,
            Target::None => metric.extra(),
        };
        assert!(fits, "{name}");
    }
}

#[test]
fn a_tier_is_one_of_three() {
    assert_eq!(Tier::try_from(2), Ok(Tier::Two));
    let error = Tier::try_from(4).unwrap_err();
    assert_eq!(error.to_string(), "invalid tier 4: expected 1, 2 or 3");
    let counts = Tier::ALL.map(|tier| of_tier(tier).filter(|metric| !metric.extra()).count());
    assert_eq!(counts, [7, 9, 10]);
}
