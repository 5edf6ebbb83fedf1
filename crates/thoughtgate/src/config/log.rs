//! The configuration's `log` section.
//!
//! Writes nothing: `thoughtgate-panic` has the log, which starts when the configuration has been read.

use serde::{Deserialize, Serialize};
use thoughtgate_panic::log;

use super::setting::{Form, Typed, section};

section! {
    /// Form of the log on standard error, and what it leaves out.
    #[derive(Debug)]
    pub struct Log {
        /// form of the log lines on stderr: text or json
        restart format: Format = Format::Text,
        /// least serious level that is logged: error, warn, info or debug
        restart level: Level = Level::Info,
    }
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Text,
    Json,
}

/// Level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Typed for Format {
    const FORM: Form = Form::Text;
}

impl Typed for Level {
    const FORM: Form = Form::Text;
}

impl Log {
    /// The settings of the log itself.
    pub fn settings(&self) -> log::Settings {
        log::Settings {
            format: match self.format {
                Format::Text => log::Format::Text,
                Format::Json => log::Format::Json,
            },
            level: match self.level {
                Level::Error => log::Level::Error,
                Level::Warn => log::Level::Warn,
                Level::Info => log::Level::Info,
                Level::Debug => log::Level::Debug,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, yaml};

    #[test]
    fn form_and_level_have_names() {
        let read = |text: &str| yaml::parse::<Config>(text).map(|config| config.log);
        let log = read("log: {format: json, level: warn}").unwrap();
        assert_eq!((log.format, log.level), (Format::Json, Level::Warn));
        assert_eq!(log.settings().level, log::Level::Warn);
        let log = read("listen: 127.0.0.1:1").unwrap();
        assert_eq!((log.format, log.level), (Format::Text, Level::Info));
        for (text, setting) in [
            ("log: {format: xml}", "log.format"),
            ("log: {level: trace}", "log.level"),
            ("log: debug", "log"),
        ] {
            let fault = read(text).unwrap_err().to_string();
            assert!(fault.contains(setting), "{text}: {fault}");
        }
    }
}
