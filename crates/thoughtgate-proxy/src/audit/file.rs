//! Destination of the audit: a file, a FIFO, or standard output. Writes bytes and knows nothing of lines,
//! except that a file may end in a partial one.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use thoughtgate_panic::warn;

/// Bytes that a writable pipe takes without blocking (`PIPE_BUF` of Linux).
const PIPE_BYTES: usize = 4096;
/// Time for which a write waits for a slow reader before it counts as failed; it is tried again.
const READER_MAX: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};
/// Shortest time between two checks whether the path still leads to the open file.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Mode of the file: only its owner may read what agents asked for.
const MODE: u32 = 0o600;

/// Destination of audit lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// The file or FIFO with this path. Lines are appended; only its owner may read a file.
    File(PathBuf),
}

impl Sink {
    fn failed(&self, error: &io::Error) -> io::Error {
        let name = match self {
            Sink::Stdout => "standard output for the audit".to_owned(),
            Sink::File(path) => format!("audit file `{}`", path.display()),
        };
        io::Error::new(error.kind(), format!("failed to open {name}: {error}"))
    }
}

/// A sink, and the file that it is opened as.
pub struct Output {
    sink: Sink,
    /// `None` while a FIFO has no reader, or the path cannot be opened any more.
    open: Option<Open>,
}

struct Open {
    file: File,
    /// Device and inode of a regular file, which can be moved away; `None` for anything else.
    place: Option<(u64, u64)>,
    checked: Instant,
    /// The file ends in a partial line, from which the next line must be separated.
    is_torn: bool,
}

impl Output {
    /// Opens the sink. The error names it.
    pub fn open(sink: Sink) -> io::Result<Output> {
        let mut output = Output { sink, open: None };
        match output.open_now() {
            // A FIFO without a reader, which may start later; lines wait for it.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {}
            opened => opened.map_err(|error| output.sink.failed(&error))?,
        }
        Ok(output)
    }

    /// Reopens the sink. If that fails, the open file stays in use while the path still leads to it.
    pub fn reopen(&mut self) -> io::Result<()> {
        let reopened = self.open_now();
        if reopened.is_err() && self.has_moved() {
            self.open = None;
        }
        reopened.map_err(|error| self.sink.failed(&error))
    }

    /// Whether the path no longer leads to the open file; looks at most once per [`CHECK_INTERVAL`].
    pub fn is_stale(&mut self) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        if open.checked.elapsed() < CHECK_INTERVAL {
            return false;
        }
        open.checked = Instant::now();
        self.has_moved()
    }

    /// Writes `text` from byte `written` on, and advances `written`.
    pub fn write(&mut self, text: &[u8], written: &mut usize) -> io::Result<()> {
        if self.open.as_ref().is_none_or(Open::is_deleted) {
            self.open_now().map_err(|error| self.sink.failed(&error))?;
            // The start of a line that was written in part is in the old file.
            *written = 0;
        }
        let Some(open) = &mut self.open else {
            return Err(ErrorKind::NotFound.into());
        };
        while open.is_torn {
            open.is_torn = open.write(b"\n")? == 0;
        }
        while let Some(rest) = text.get(*written..).filter(|rest| !rest.is_empty()) {
            *written += open.write(rest)?;
        }
        Ok(())
    }

    fn open_now(&mut self) -> io::Result<()> {
        let file = match &self.sink {
            // A descriptor of its own: written without the buffer and the lock of `io::stdout`.
            Sink::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Sink::File(path) => append_to(path)?,
        };
        let found = file.metadata()?;
        let is_regular = found.is_file();
        if let Sink::File(path) = &self.sink
            && is_regular
        {
            restrict(path, &file, &found);
        }
        self.open = Some(Open {
            is_torn: is_regular && ends_in_half_a_line(&file, &found),
            place: is_regular.then(|| place(&found)),
            checked: Instant::now(),
            file,
        });
        Ok(())
    }

    fn has_moved(&self) -> bool {
        let (Sink::File(path), Some(open)) = (&self.sink, &self.open) else {
            return false;
        };
        open.place.is_some_and(|opened| {
            // Usually the path has no file any more, and opening it then creates one.
            std::fs::metadata(path).map_or(true, |found| place(&found) != opened)
        })
    }
}

impl Open {
    /// Whether no path leads to the file any more, so that writes to it would be lost. Costs one system
    /// call and no lookup of a path.
    fn is_deleted(&self) -> bool {
        let found = self.place.and_then(|_| self.file.metadata().ok());
        found.is_some_and(|found| found.nlink() == 0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A regular file has no reader that could keep a write waiting.
        let bytes = if self.place.is_some() {
            bytes
        } else {
            // A write to a full pipe would block until somebody reads it.
            let mut ready = [PollFd::new(&self.file, PollFlags::OUT)];
            match poll(&mut ready, Some(&READER_MAX)) {
                Ok(0) => return Err(io::Error::new(ErrorKind::WouldBlock, "reader is too slow")),
                Ok(_) => {}
                // No byte was taken; the caller's loop tries again.
                Err(Errno::INTR) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
            &bytes[..bytes.len().min(PIPE_BYTES)]
        };
        match self.file.write(bytes) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            written => written,
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .append(true)
        .mode(MODE)
        // To open a FIFO without a reader then fails, instead of blocking the start for ever.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    // Opened for reading too, to see whether the last line is complete. A FIFO is not: the proxy would
    // count as its reader.
    let is_fifo = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    match options.clone().read(!is_fifo).open(path) {
        // Permission to write is enough; then a partial last line goes unnoticed.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => options.open(path),
        opened => opened,
    }
}

/// Takes access away from other users, whom a file that existed before may let in.
fn restrict(path: &Path, file: &File, found: &Metadata) {
    let mode = found.permissions().mode() & 0o777;
    if mode & !MODE == 0 {
        return;
    }
    let path = path.display();
    match file.set_permissions(Permissions::from_mode(MODE)) {
        Ok(()) => warn!(
            "changed the mode of audit file `{path}` from {mode:04o} to {MODE:04o}: only its owner may read it"
        ),
        Err(error) => warn!(
            "failed to change the mode of audit file `{path}` from {mode:04o}, which gives others access, to {MODE:04o}: {error}"
        ),
    }
}

fn ends_in_half_a_line(file: &File, found: &Metadata) -> bool {
    let mut last = [0];
    let end = found.len().checked_sub(1);
    end.is_some_and(|end| file.read_exact_at(&mut last, end).is_ok() && last != *b"\n")
}

fn place(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}
