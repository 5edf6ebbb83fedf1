//! Figures of this process, under the standard names of Prometheus client libraries.
//!
//! Read from `/proc` at each scrape. A figure that cannot be read is left out; so are all of them on
//! systems without `/proc`.

/// `(name, type, help, value)` of each figure that could be read; counters without `_total`.
pub fn figures() -> Vec<(&'static str, &'static str, &'static str, f64)> {
    let mut figures = Vec::with_capacity(4);
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    if let Some((cpu_ticks, start_ticks)) = stat_ticks() {
        figures.push((
            "process_cpu_seconds",
            "counter",
            "Total user and system CPU time spent in seconds",
            cpu_ticks / ticks_per_second,
        ));
        if let Some(boot_seconds) = boot_time_seconds() {
            let started = boot_seconds + start_ticks / ticks_per_second;
            figures.push((
                "process_start_time_seconds",
                "gauge",
                "Start time of the process since the Unix epoch in seconds",
                started,
            ));
        }
    }
    if let Some(bytes) = resident_bytes() {
        figures.push((
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory size in bytes",
            bytes,
        ));
    }
    // One more than without a scrape: the folder that is read has a descriptor, too.
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        figures.push((
            "process_open_fds",
            "gauge",
            "Number of open file descriptors",
            entries.count() as f64,
        ));
    }
    figures
}

/// CPU ticks spent and the tick of the start (fields 14, 15 and 22 of `/proc/self/stat`).
fn stat_ticks() -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name may hold spaces and parentheses; fields are counted from its last `)`.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Numbered as in proc(5), where the first field behind the name is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some((field(14)? + field(15)?, field(22)?))
}

fn boot_time_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn resident_bytes() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as f64)
}
