//! `thoughtgate test FILE…`: compares decisions with those that files of cases expect.
//!
//! The form of the files is in `cases.rs`. Prints one line for each difference, and a count.

use std::path::PathBuf;
use std::process::ExitCode;

use super::asked::Asked;
use crate::cases::{self, Case};
use crate::flags::Flags;
use crate::mistakes::Mistakes;
use crate::text::{print, read};

/// Runs the cases of `files`. The exit code is 0 if all decisions are as expected, and 1 if not; a file
/// with mistakes is an error.
pub fn test(
    flags: &Flags,
    environment: &[(String, String)],
    files: &[PathBuf],
) -> anyhow::Result<ExitCode> {
    let asked = Asked::read(flags, environment)?;
    let agents = asked.agents();
    let mut mistakes = Mistakes::default();
    let all: Vec<(String, Vec<Case>)> = files
        .iter()
        .filter_map(|file| {
            let name = file.display().to_string();
            let cases =
                mistakes.keep(read("file of cases", file).and_then(|text| {
                    cases::parse(&name, &text, &agents).map_err(anyhow::Error::new)
                }));
            Some((name, cases?))
        })
        .collect();
    for (name, cases) in &all {
        for case in cases {
            if let Some(mistake) = case.missing_time(&asked.engine) {
                mistakes.add(format!("{name}:{}: {mistake}", case.line));
            }
        }
    }
    mistakes.or(())?;
    let (mut count, mut failed) = (0, 0);
    let mut lines = Vec::new();
    for (name, cases) in &all {
        for case in cases {
            count += 1;
            if let Some(difference) = case.difference(&asked.engine) {
                failed += 1;
                lines.push(format!("{name}:{}: {difference}", case.line));
            }
        }
    }
    let passed = count - failed;
    lines.push(format!(
        "{count} cases: {passed} as expected, {failed} different\n"
    ));
    print(&lines.join("\n"))?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}
