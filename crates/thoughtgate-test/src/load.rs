//! A load driver for one upstream or proxy: open loop at a fixed rate, timed from the intended start
//! of each request, or closed loop. Every answer is checked.
//!
//! Reports figures and judges none. Uses one thread, since it must take less CPU than the program it
//! measures.

use std::collections::HashMap;
use std::sync::Arc;

mod check;
mod connection;
mod drive;
mod options;
mod outcome;
mod slice;
mod template;

pub use check::Expect;
pub use options::{LoadError, Options};
pub use outcome::{Outcome, Percentiles};
pub use slice::Slice;
pub use template::{Era, call_body};

use crate::timer::Timer;
use connection::Link;
use template::Template;

/// Runs slices one after another and keeps its connections between them.
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

    /// Runs one slice to its end.
    ///
    /// # Errors
    /// The slice is invalid. Failures of the server are part of the outcome.
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
        // Connections that this slice does not need stay open for later ones.
        let spare = target.links.split_off(connections);
        let links = std::mem::replace(&mut target.links, spare);
        let (mut links, outcome) = drive::slice(slice, links, &self.options, &self.timer).await;
        target.links.append(&mut links);
        Ok(outcome)
    }
}
