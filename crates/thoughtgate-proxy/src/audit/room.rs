//! Limit of the bytes that audit lines hold until they are written.
//!
//! Every line counts the same until its text is known, so that waiting calls are served in order. Counts
//! bytes and allocates none.

use std::time::Duration;

use tokio::sync::Semaphore;

/// Bytes that one line counts until its text is known; with names of usual length it has 600. The chosen
/// arguments come on top.
pub const LINE_BYTES: usize = 1024;

pub struct Room {
    bytes_max: usize,
    line_bytes: usize,
    free: Semaphore,
}

impl Room {
    /// Every line takes `line_bytes`.
    pub fn new(bytes_max: usize, line_bytes: usize) -> Room {
        // `Semaphore::new` panics above its maximum.
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        Room {
            bytes_max,
            line_bytes,
            free: Semaphore::new(bytes_max),
        }
    }

    /// Bytes that one line takes.
    pub fn line_bytes(&self) -> usize {
        self.line_bytes
    }

    /// Takes room for one line, if there is any.
    pub fn take_line(&self) -> bool {
        self.take(self.line_bytes)
    }

    /// Takes room for one line, waiting for it up to `at_most`. Cancel safe.
    pub async fn wait_for_line(&self, at_most: Duration) -> bool {
        let free = self.free.acquire_many(permits(self.line_bytes));
        match tokio::time::timeout(at_most, free).await {
            Ok(Ok(permit)) => {
                // Given back later by `give_back`, which may return it in parts.
                permit.forget();
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Takes room for a body that is not digested yet, as long as half of the room stays free for lines.
    pub fn take_body(&self, bytes: usize) -> bool {
        // Another thread may take room in between: the half is not exact, the limit of all is.
        self.free.available_permits() > self.bytes_max / 2 + bytes && self.take(bytes)
    }

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
        let room = Room::new(2 * LINE_BYTES, LINE_BYTES);
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
        let room = Room::new(8 * LINE_BYTES, LINE_BYTES);
        assert!(!room.take_body(4 * LINE_BYTES));
        assert!(room.take_body(4 * LINE_BYTES - 1));
        assert!(!room.take_body(1));
        assert!((0..4).all(|_| room.take_line()));
    }
}
