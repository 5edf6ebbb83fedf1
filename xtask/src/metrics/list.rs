//! `cargo xtask metrics list`: prints the catalogue.

use super::render::list;
use crate::exit::{self, Exit};
use crate::flags;

pub fn run(flags: &flags::List) -> anyhow::Result<Exit> {
    exit::print(&if flags.json {
        list::render_json()
    } else {
        list::render()
    })?;
    let extras = super::catalog::METRICS
        .iter()
        .filter(|metric| metric.extra())
        .count();
    let required = super::catalog::METRICS.len() - extras;
    Ok(Exit::Fine(format!(
        "{required} metrics of the requirement, {extras} additional ones"
    )))
}
