//! The bytes that lines may hold until they are written.
//!
//! Every line counts the same before its text is known, so that who waits is served in order. Counts
//! and allocates nothing.

use std::time::Duration;

use tokio::sync::Semaphore;

/// What one line counts until its text is known; with names of usual length it has 400 bytes.
pub const LINE_BYTES: usize = 1024;

/// Room for the lines of one process.
pub struct Room {
    bytes_max: usize,
    free: Semaphore,
}

impl Room {
    /// Room for `bytes_max`.
    pub fn new(bytes_max: usize) -> Room {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        Room {
            bytes_max,
            free: Semaphore::new(bytes_max),
        }
    }

    /// Takes room for one line, if there is any.
    pub fn take_line(&self) -> bool {
        self.take(LINE_BYTES)
    }

    /// Takes room for one line, waiting for it. Cancel safe.
    pub async fn wait_for_line(&self, at_most: Duration) -> bool {
        let free = self.free.acquire_many(permits(LINE_BYTES));
        match tokio::time::timeout(at_most, free).await {
            Ok(Ok(permit)) => {
                permit.forget();
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Takes room for the body of a line that is not digested yet, out of the half that lines can
    /// do without.
    pub fn take_body(&self, bytes: usize) -> bool {
        self.free.available_permits() > self.bytes_max / 2 + bytes && self.take(bytes)
    }

    /// Gives room back.
    pub fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.free.add_permits(bytes);
        }
    }

    fn take(&self, bytes: usize) -> bool {
        match self.free.try_acquire_many(permits(bytes)) {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        }
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back() {
        let room = Room::new(2 * LINE_BYTES);
        assert!(room.take_line() && room.take_line() && !room.take_line());
        assert!(!room.wait_for_line(Duration::from_millis(1)).await);
        let (got, ()) = tokio::join!(room.wait_for_line(Duration::from_secs(20)), async {
            room.give_back(LINE_BYTES - 1);
            tokio::task::yield_now().await;
            room.give_back(1);
        });
        assert!(got && !room.take_line());
    }

    #[test]
    fn bodies_leave_half_to_lines() {
        let room = Room::new(8 * LINE_BYTES);
        assert!(!room.take_body(4 * LINE_BYTES));
        assert!(room.take_body(4 * LINE_BYTES - 1));
        assert!(!room.take_body(1));
        assert!((0..4).all(|_| room.take_line()));
    }
}
