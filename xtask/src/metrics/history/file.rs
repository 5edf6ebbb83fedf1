//! The file of a history: one entry per line, to which entries are only added.
//!
//! Several processes may write at once, one may have been cut off within a line, git may have merged two
//! files, and a newer version of this program may have written: all other lines are read nevertheless.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use super::line::{Accept, Job, Line, SCHEMA};
use crate::clock;
use crate::metrics::digest;
use crate::metrics::model::is_future;
use crate::metrics::store;

/// The entries of a file.
#[derive(Debug, Default, PartialEq)]
pub struct History {
    /// The jobs, the oldest first, each once.
    pub jobs: Vec<Job>,
    /// The accepted changes of level.
    pub accepted: Vec<Accept>,
    /// The lines that were not read, by number, and why.
    pub unread: Vec<String>,
    /// The jobs that began in the future, by the clock of this machine: their place among the others is not
    /// known, and they would be the last ones for a long time.
    pub undated: Vec<Job>,
}

impl History {
    /// Reads a file; a missing one is an empty history.
    pub fn read(path: &Path) -> anyhow::Result<History> {
        let there = path.try_exists();
        if !there.with_context(|| format!("failed to read `{}`", path.display()))? {
            return Ok(History::default());
        }
        let bytes = store::read_bytes(path)?;
        // Some editors begin a file with a byte order mark.
        let text = String::from_utf8_lossy(&bytes);
        let history = History::parse(text.trim_start_matches('\u{feff}'));
        Ok(history.known_at(clock::seconds()))
    }

    /// Sets the jobs aside that began after `now`, in seconds since the epoch.
    pub fn known_at(self, now: u64) -> History {
        let jobs = self.jobs.into_iter();
        let (undated, jobs) = jobs.partition(|job| is_future(job.started, now));
        History {
            jobs,
            undated,
            ..self
        }
    }

    /// Whether the file has this job.
    pub fn has(&self, job: &Job) -> bool {
        self.jobs.contains(job) || self.undated.contains(job)
    }

    /// The entries that are left out, and why.
    pub fn left_out(&self) -> Vec<String> {
        let undated = self.undated.iter().map(|job| {
            let commit = job.revision.as_deref();
            let commit = commit.map_or("an unknown commit", digest::short);
            format!(
                "the job of {commit} is left out: it began in the future, at {} seconds since the epoch, by \
                 the clock of this machine",
                job.started
            )
        });
        self.unread.iter().cloned().chain(undated).collect()
    }

    /// Whether the file is something else than a history: it has lines, and none is an entry.
    pub fn is_foreign(&self) -> bool {
        let is_empty = self.jobs.is_empty() && self.undated.is_empty() && self.accepted.is_empty();
        is_empty && !self.unread.is_empty()
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> History {
        #[derive(Deserialize)]
        struct Probe {
            schema: u32,
        }
        let mut history = History::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let number = number + 1;
            // The schema first: an entry of a newer version may have any shape beside it.
            match serde_json::from_str::<Probe>(line) {
                Ok(probe) if probe.schema > SCHEMA => history.unread.push(format!(
                    "line {number}: schema {}, but this program reads up to {SCHEMA}",
                    probe.schema
                )),
                Ok(_) => history.take(line, number),
                Err(_) => history
                    .unread
                    .push(format!("line {number}: not an entry, perhaps cut off")),
            }
        }
        // A merge of two branches may have added entries in any order.
        history.jobs.sort_by_key(|job| job.started);
        history
    }

    fn take(&mut self, line: &str, number: usize) {
        match serde_json::from_str(line) {
            Ok(Line::Job(job)) if !self.jobs.contains(&job) => match job.check() {
                Ok(()) => self.jobs.push(*job),
                Err(why) => self.unread.push(format!("line {number}: {why}")),
            },
            Ok(Line::Accept(accept)) if !self.accepted.contains(&accept) => {
                self.accepted.push(accept);
            }
            // The same entry again, from a merge of two histories.
            Ok(_) => {}
            Err(error) => self.unread.push(format!("line {number}: {error}")),
        }
    }
}

/// Adds an entry to the file, which is created if it is missing.
pub fn append(path: &Path, line: &Line) -> anyhow::Result<()> {
    store::append(path, &serde_json::to_string(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{LATENCY_P50, Tier};
    use crate::metrics::history::line::Figure;
    use crate::metrics::model::Value;
    use crate::metrics::render::fixture;

    fn job(started: u64) -> Line {
        let mut run = fixture::run(&[Tier::One]);
        run.started = started;
        fixture::set(&mut run, &LATENCY_P50, Value::Float(2.5), None);
        Line::Job(Box::new(Job::of(&run, "main")))
    }

    fn p50(job: &mut Job) -> &mut Figure {
        job.metrics.get_mut("latency/p50").unwrap()
    }

    fn starts(history: &History) -> Vec<u64> {
        history.jobs.iter().map(|job| job.started).collect()
    }

    #[test]
    fn entries_come_back_in_order_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/history.jsonl");
        assert_eq!(History::read(&path).unwrap(), History::default());
        let unreachable = folder.path().join("file/history.jsonl");
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(History::read(&unreachable).is_err(), "it is not empty");
        for started in [3, 1, 2, 1] {
            append(&path, &job(started)).unwrap();
        }
        let history = History::read(&path).unwrap();
        assert_eq!(starts(&history), [1, 2, 3]);
        assert_eq!(history.jobs[0].number("latency/p50"), Some(2.5));
        assert!(history.unread.is_empty());
    }

    #[test]
    fn a_torn_line_a_newer_schema_and_marks_of_a_merge_lose_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append(&path, &job(1)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text += "<<<<<<< ours\n{\"kind\":\"job\",\"schema\":9,\"x\":[]}\n=======\n{\"kind\":\"job\",\"sch";
        std::fs::write(&path, &text).unwrap();
        append(&path, &job(2)).unwrap();
        let history = History::read(&path).unwrap();
        assert_eq!(starts(&history), [1, 2]);
        assert_eq!(history.unread.len(), 4, "{:?}", history.unread);
        assert!(
            history.unread[1].contains("schema 9"),
            "{:?}",
            history.unread
        );
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(&text));
    }

    #[test]
    fn a_job_with_an_impossible_value_or_another_unit_is_left_out() {
        let of = |change: fn(&mut Job)| {
            let Line::Job(mut job) = job(1) else {
                unreachable!("it is one")
            };
            change(&mut job);
            let text = serde_json::to_string(&Line::Job(job)).unwrap();
            let history = History::parse(&text);
            assert_eq!(history.jobs.len() + history.unread.len(), 1);
            history.unread.into_iter().next().unwrap_or_default()
        };
        let unit = of(|job| p50(job).unit = "µs".to_owned());
        assert_eq!(
            unit,
            "line 1: the unit of `latency/p50` is µs, but must be ms"
        );
        let value = of(|job| p50(job).value = Value::Float(-2.5));
        assert!(value.contains("the value of `latency/p50`"), "{value}");
        let sample = of(|job| p50(job).samples.push(-1.0));
        assert!(sample.contains("the value of `latency/p50`"), "{sample}");
        // A metric of a newer version is read, and not judged.
        let unknown = of(|job| {
            let figure = job.metrics.remove("latency/p50").unwrap();
            job.metrics.insert("latency/p9999".to_owned(), figure);
        });
        assert_eq!(unknown, "");
    }

    #[test]
    fn a_job_of_the_future_is_kept_and_not_judged_by() {
        const NOW: u64 = 1_800_000_000;
        let lines = [job(NOW - 1), job(NOW + 600), job(NOW + 100_000)];
        let lines = lines.map(|line| serde_json::to_string(&line).unwrap());
        let history = History::parse(&lines.join("\n")).known_at(NOW);
        assert_eq!(starts(&history), [NOW - 1, NOW + 600], "clocks differ");
        let Line::Job(future) = job(NOW + 100_000) else {
            unreachable!("it is one")
        };
        assert!(history.has(&future), "it is not added again");
        let told = history.left_out();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let expected = "the job of 0123456789ab is left out: it began in the future, at 1800100000 seconds \
                        since the epoch, by the clock of this machine";
        assert_eq!(told, [expected]);
        // The file has nothing else, and is a history all the same.
        let alone = History::parse(&lines[2]).known_at(NOW);
        assert!(alone.jobs.is_empty() && !alone.is_foreign());
        let later = History::parse(&lines[2]).known_at(NOW + 100_000);
        assert_eq!(later.jobs.len(), 1);
    }

    #[test]
    fn writers_at_once_do_not_mix_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        append(path, &job(writer * 100 + number)).unwrap();
                    }
                });
            }
        });
        let history = History::read(&path).unwrap();
        assert_eq!((history.jobs.len(), history.unread.len()), (80, 0));
    }
}
