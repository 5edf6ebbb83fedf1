//! A load driver for one upstream or proxy: open loop at a rate, timed from the intended start of
//! each request, or closed loop; every answer is checked.
//!
//! It measures and tells; it judges nothing. One thread: it must cost less than what it drives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

mod check;
mod connection;
mod drive;
mod outcome;
mod template;

pub use check::Expect;
pub use outcome::{Outcome, Percentiles};
pub use template::{Era, call_body};

use crate::timer::Timer;
use connection::Link;
use template::Template;

/// What cannot be driven at all. A server that fails is no error: it shows in the outcome.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The URL is not of the form `http://host:port/path`.
    #[error("`{url}` is no `http://host:port/path`")]
    Url {
        /// As given.
        url: String,
    },
    /// A header that HTTP does not allow.
    #[error("`{header}` is no header; give `name: value`")]
    Header {
        /// As given.
        header: String,
    },
    /// The body is not one JSON object.
    #[error("the request body is no JSON object")]
    Body(#[source] serde_json::Error),
    /// Neither requests nor time.
    #[error("a slice needs a duration, a connection, and a rate above 0 if it has one")]
    Nothing,
    /// The system gives no timer.
    #[error("failed to create a timer")]
    Timer(#[source] std::io::Error),
}

/// What is the same for all slices.
#[derive(Debug, Clone)]
pub struct Options {
    /// The JSON-RPC message to send; its `id`, if it has one, is replaced by a new number each
    /// time.
    pub body: Vec<u8>,
    /// Header names and values, beside `Host`, `Content-Type` and `Accept`.
    pub headers: Vec<(String, String)>,
    /// What each answer must be.
    pub expect: Expect,
    /// Connections of a slice that does not say otherwise.
    pub connections: usize,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long after its end a slice still starts what should have started before.
    pub drain: Duration,
}

/// One stretch of load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The endpoint: `http://host:port/path`.
    pub url: String,
    /// Requests per second (open loop); `None`: as fast as the answers come (closed loop).
    pub rate: Option<f64>,
    /// Measured time, in milliseconds.
    pub duration_ms: u64,
    /// The same load before that, not measured, in milliseconds.
    #[serde(default)]
    pub warmup_ms: u64,
    /// Connections, instead of those of the options.
    pub connections: Option<usize>,
    /// Repeated in the outcome.
    pub label: Option<String>,
}

/// Drives slices one after another and keeps its connections between them.
#[derive(Debug)]
pub struct Driver {
    options: Options,
    timer: Timer,
    targets: HashMap<String, Target>,
}

#[derive(Debug)]
struct Target {
    template: Arc<Template>,
    links: Vec<Link>,
}

impl Driver {
    /// A driver for the current tokio runtime.
    ///
    /// # Errors
    /// Only [`LoadError::Timer`].
    pub fn new(options: Options) -> Result<Self, LoadError> {
        Ok(Self {
            options,
            timer: Timer::new().map_err(LoadError::Timer)?,
            targets: HashMap::new(),
        })
    }

    /// Drives one slice to its end.
    ///
    /// # Errors
    /// The slice makes no sense; never what the server does.
    pub async fn run(&mut self, slice: &Slice) -> Result<Outcome, LoadError> {
        let connections = slice.connections.unwrap_or(self.options.connections);
        let rate_is_possible = slice.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0);
        if connections == 0 || slice.duration_ms == 0 || !rate_is_possible {
            return Err(LoadError::Nothing);
        }
        if !self.targets.contains_key(&slice.url) {
            let template = Arc::new(Template::new(&slice.url, &self.options)?);
            let links = Vec::new();
            self.targets
                .insert(slice.url.clone(), Target { template, links });
        }
        let target = self.targets.get_mut(&slice.url).ok_or(LoadError::Nothing)?;
        while target.links.len() < connections {
            let template = Arc::clone(&target.template);
            target.links.push(Link::new(template, self.timer.clone()));
        }
        let spare = target.links.split_off(connections);
        let links = std::mem::replace(&mut target.links, spare);
        let (mut links, outcome) = drive::slice(slice, links, &self.options, &self.timer).await;
        target.links.append(&mut links);
        Ok(outcome)
    }
}

/// The moments of a slice.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    begin: Instant,
    measured_from: Instant,
    end: Instant,
    give_up: Instant,
}

impl Schedule {
    fn new(slice: &Slice, drain: Duration) -> Self {
        let begin = Instant::now();
        let measured_from = begin + Duration::from_millis(slice.warmup_ms);
        let end = measured_from + Duration::from_millis(slice.duration_ms);
        Self {
            begin,
            measured_from,
            end,
            give_up: end + drain,
        }
    }
}
