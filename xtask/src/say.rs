//! Lines on standard error, for whoever watches. One that cannot be written (a full disk, a reader
//! that has gone) is lost and ends nothing, whereas `eprintln!` would panic.

use std::fmt::Arguments;

/// Writes a line to standard error; takes what `format!` takes.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::say::line(format_args!($($line)*))
    };
}
pub(crate) use say;

/// What [`say!`] does.
pub fn line(line: Arguments<'_>) {
    // At once, so that lines of two threads do not mix.
    let text = format!("{line}\n");
    #[cfg(test)]
    eprint!("{text}"); // Kept by a test until it fails.
    #[cfg(not(test))]
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}
