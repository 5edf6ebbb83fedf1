//! Deadline for the head of a connection's next request: set for each request, hardly ever reached.
//!
//! To set and cancel a sleep costs about three per cent of a call's instructions. So one sleep serves a
//! whole connection: when it ends and the deadline has moved on since, it is set again. A connection in
//! use wakes for that once per timeout, not once per request.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use thoughtgate_panic::lock;
use tokio::time::Sleep;

/// The timer of one connection, which one task serves.
pub struct HeadTimer(Arc<Mutex<Alarm>>);

struct Alarm {
    sleep: Pin<Box<Sleep>>,
    is_set: bool,
}

struct Deadline {
    at: tokio::time::Instant,
    alarm: Arc<Mutex<Alarm>>,
}

impl HeadTimer {
    /// A timer on the current runtime.
    #[must_use]
    pub fn new() -> HeadTimer {
        HeadTimer(Arc::new(Mutex::new(Alarm {
            // Means nothing until the first poll has set it.
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            is_set: false,
        })))
    }
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Deadline {
            at: deadline.into(),
            alarm: Arc::clone(&self.0),
        })
    }
}

impl rt::Sleep for Deadline {}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Never contended: hyper requires `Sync`, but one task serves the connection.
        lock(&self.alarm).poll(self.at, context)
    }
}

impl Alarm {
    fn poll(&mut self, deadline: tokio::time::Instant, context: &mut Context<'_>) -> Poll<()> {
        let wakes_in_time = self.is_set && self.sleep.deadline() <= deadline;
        // Not polled again: its waker is that of the same task.
        if wakes_in_time && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.is_set = true;
        // Under tokio's budget for a task it could return before it has stored the waker.
        pin!(tokio::task::unconstrained(self.sleep.as_mut())).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_that_move_on_are_met_and_not_before() {
        let (timer, started) = (HeadTimer::new(), now());
        let given_up = timer.sleep_until(started + SECOND);
        let polled = tokio::time::timeout(SECOND / 2, given_up).await;
        assert!(polled.is_err(), "it is not yet time");
        timer.sleep_until(now() + SECOND).await;
        assert_eq!((now() - started).as_millis(), 1500);
        timer.sleep_until(now() + SECOND).await;
        assert_eq!((now() - started).as_millis(), 2500);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_is_met_too() {
        let (timer, started) = (HeadTimer::new(), now());
        let later = timer.sleep_until(started + 60 * SECOND);
        assert!(tokio::time::timeout(SECOND, later).await.is_err());
        timer.sleep_until(now() + SECOND).await;
        assert_eq!((now() - started).as_millis(), 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_past_has_been_met() {
        let (timer, started) = (HeadTimer::new(), now());
        timer.sleep_until(started).await;
        tokio::time::sleep(SECOND).await;
        timer.sleep_until(started + SECOND / 2).await;
        assert_eq!((now() - started).as_millis(), 1000);
    }
}
