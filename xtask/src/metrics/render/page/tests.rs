//! The content of the page, and that hostile text stays text.

use super::*;
use crate::metrics::digest;
use crate::metrics::history::file::History;
use crate::metrics::history::line::{Job, Line};
use crate::metrics::model::Run;
use crate::metrics::render::fixture;

/// After all jobs and runs.
const NOW: u64 = 1_767_312_000;

fn history(jobs: usize) -> History {
    let jobs = (0..jobs).map(|number| fixture::job(number, if number < 30 { 2.0 } else { 2.6 }));
    History {
        jobs: jobs.collect(),
        ..History::default()
    }
}

fn page(history: &History, run: Option<&Run>) -> String {
    render(&View {
        history,
        branch: "main",
        moved: &crate::metrics::judge::level::moved(history, "main"),
        run,
        comparison: None,
        made: "2026-01-02",
        now: NOW,
    })
}

#[test]
fn it_shows_targets_trends_and_the_machine_without_any_network() {
    let mut run = fixture::mixed();
    run.complete = true;
    let page = page(&history(60), Some(&run));
    for part in [
        "<html lang=\"en\">",
        "<tr class=\"missed\"><th scope=\"row\"><code>throughput/rps_10vu</code>",
        "<a href=\"#latency-p50\"><code>latency/p50</code></a>",
        "<h3 id=\"latency-p50\">",
        "from 2.00 ms to 2.60 ms (+30.0 %, worse)",
        "AMD EPYC",
        "Not measured: <code>binary/docker_image_compressed</code>",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for foreign in ["<script", "src=", "@import", "url(", "https://"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn what_is_not_known_of_a_run_is_told() {
    let mut run = fixture::mixed();
    let measured = |run: &Run| page(&History::default(), Some(run));
    assert!(measured(&run).contains(", measured on 2023-11-14:"));
    run.started = NOW + 100_000;
    run.git.revision = None;
    let expected = "<code>an unknown commit</code>, measured at an unknown time:";
    assert!(measured(&run).contains(expected));
}

#[test]
fn a_comparison_is_shown_block_by_block() {
    let text = include_str!("../../../../test_data/comparisons/larger_binary.json");
    let run = Run::parse(text).unwrap();
    let judged = paired::judge_all(&run);
    let page = render(&View {
        history: &History::default(),
        branch: "main",
        moved: &[],
        run: None,
        comparison: Some((&run, &judged)),
        made: "2026-01-02",
        now: NOW,
    });
    assert!(page.contains("<strong>BLOCK</strong>. Seed"), "{page}");
    assert!(
        page.contains("aria-label=\"cpu/us_per_request: differences of "),
        "{page}"
    );
    assert!(!page.contains("id=\"trends\""), "there is no history");
}

#[test]
fn nothing_of_a_file_is_markup() {
    let hostile = "<script>alert(1)</script>\"'";
    let mut history = history(40);
    for job in &mut history.jobs {
        job.revision = Some(hostile.to_owned());
        job.branch = hostile.to_owned();
    }
    let mut run = fixture::mixed();
    run.host.cpu_model = Some(hostile.to_owned());
    run.tools.insert(hostile.to_owned(), hostile.to_owned());
    run.git.revision = Some(hostile.to_owned());
    let page = render(&View {
        history: &history,
        branch: hostile,
        moved: &[],
        run: Some(&run),
        comparison: None,
        made: hostile,
        now: NOW,
    });
    assert!(page.contains("&lt;script&gt;"), "it is shown");
    assert_eq!(escape("a\u{202e}b"), "a b", "it would turn the text around");
    assert!(!page.contains("<script"), "{page}");
}

#[test]
fn what_a_chart_leaves_out_is_told() {
    let mut history = history(40);
    let text = page(&history, None);
    assert!(!text.contains("another kind of machine"), "{text}");
    for job in history.jobs.iter_mut().step_by(2) {
        job.key = "another machine".to_owned();
    }
    let text = page(&history, None);
    assert!(
        text.contains("20 jobs ran on another kind of machine"),
        "{text}"
    );
    history.jobs[39].key = "a new machine".to_owned();
    let text = page(&history, None);
    assert!(
        text.contains("No chart yet, since the last job was the first"),
        "{text}"
    );
}

#[test]
fn all_but_the_newest_releases_are_folded() {
    let mut history = history(20);
    for (number, job) in history.jobs.iter_mut().enumerate() {
        job.revision = Some(format!("{number:012x}{:028}", 0));
    }
    let releases = history.jobs[..15].to_vec();
    history.jobs.extend(releases.into_iter().map(|job| Job {
        branch: "releases".to_owned(),
        ..job
    }));
    let text = page(&history, None);
    let of = |number: usize| {
        let commit = history.jobs[number].revision.as_deref().unwrap();
        format!("Release of commit <code>{}</code>", digest::short(commit))
    };
    let folded = "<summary>5 more changes and releases of latency/p50</summary>";
    let places = [of(14), of(5), folded.to_owned(), of(4), of(0)].map(|part| text.find(&part));
    assert!(places.iter().all(Option::is_some), "{text}");
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_run_of_several_machines_shows_each_with_its_metrics() {
    let mut run = fixture::mixed();
    run.parts = vec![
        fixture::part(&run, "EPYC", &["latency/p50"]),
        fixture::part(&run, "Xeon", &["binary/size"]),
    ];
    run.git.dirty = true;
    let page = page(&History::default(), Some(&run));
    assert!(page.contains("with uncommitted changes"), "{page}");
    let machine = page.find("<h3>Machine with Xeon</h3>").unwrap();
    assert!(
        page[machine..].contains("<code>binary/size</code>"),
        "{page}"
    );
}

#[test]
fn a_long_history_stays_a_small_page() {
    let mut lines = String::new();
    for number in 0..1_500 {
        let job = Line::Job(Box::new(fixture::job(
            number,
            2.0 + (number % 7) as f64 / 100.0,
        )));
        lines += &serde_json::to_string(&job).unwrap();
        lines.push('\n');
    }
    let history = History::parse(&lines);
    let page = page(&history, None);
    assert!(page.contains("over 1000 jobs"), "{page}");
    assert!(
        page.contains("500 earlier jobs are not shown"),
        "of 1,500 jobs"
    );
    assert!(page.len() < 60_000, "{} bytes for one metric", page.len());
}
