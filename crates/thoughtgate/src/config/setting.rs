//! A setting: how a section of the configuration declares it, and its description as data.
//!
//! Lists no settings: the sections do, with `section!`, and `overlay/table.rs` collects them. Converts no
//! text: `overlay.rs` does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thoughtgate_policy::Declared;

/// A setting, as its section declares it.
#[derive(Debug)]
pub struct Setting {
    /// Path in the configuration file, such as `agent.jwt.claim`.
    pub path: String,
    pub form: Form,
    /// Read alone: in `--help`, after "expected:", and in parentheses.
    pub help: &'static str,
    /// Whether a reload puts a new value in force; otherwise a restart does.
    pub reloads: bool,
}

/// Conversion from text to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// Text such as `10s`.
    Duration,
    /// The path of a file or directory; in the configuration file it is relative to that file.
    File,
    Number,
    /// Items separated by commas.
    List,
    /// A YAML (or JSON) mapping.
    Mapping,
}

/// A type that a setting can have.
pub trait Typed {
    const FORM: Form;
}

impl Typed for String {
    const FORM: Form = Form::Text;
}

impl Typed for SocketAddr {
    const FORM: Form = Form::Text;
}

impl Typed for Duration {
    const FORM: Form = Form::Duration;
}

impl Typed for PathBuf {
    const FORM: Form = Form::File;
}

impl Typed for usize {
    const FORM: Form = Form::Number;
}

impl Typed for Vec<String> {
    const FORM: Form = Form::List;
}

impl Typed for BTreeMap<String, Vec<String>> {
    const FORM: Form = Form::Mapping;
}

impl Typed for Declared {
    const FORM: Form = Form::Mapping;
}

impl<T: Typed> Typed for Option<T> {
    const FORM: Form = T::FORM;
}

/// Declares a section of the configuration: its struct, its defaults, and the list of its settings.
///
/// A field is a setting or a `section` of its own. A setting has its help as its doc comment, its type and
/// its default. The first word says what puts a new value in force: a `reload` or a `restart`.
macro_rules! section {
    (
        $(#[$about:meta])*
        pub struct $Section:ident {
            $(
                $(#[doc = $help:literal])*
                $(#[serde($($serde:tt)*)])?
                $kind:ident $name:ident: $Type:ty $(= $default:expr)?,
            )*
        }
    ) => {
        #[allow(clippy::doc_markdown, reason = "these are the texts of --help, not Markdown")]
        $(#[$about])*
        #[derive(Clone, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $Section {
            $(
                $(#[doc = $help])*
                $(#[serde($($serde)*)])?
                pub $name: $Type,
            )*
        }

        impl Default for $Section {
            fn default() -> $Section {
                $Section { $($name: section!(@default $($default)?),)* }
            }
        }

        impl $Section {
            /// Adds the settings of this section to `found`; `prefix` is its path, with a dot at the end.
            pub fn list(prefix: &str, found: &mut Vec<$crate::config::Setting>) {
                $(
                    let path = format!("{prefix}{}", stringify!($name));
                    section!(@$kind $Type, path, concat!($($help),*), found);
                )*
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@section $Type:ty, $path:ident, $help:expr, $found:ident) => {
        <$Type>::list(&format!("{}.", $path), $found);
    };
    (@reload $($setting:tt)*) => { section!(@setting true, $($setting)*); };
    (@restart $($setting:tt)*) => { section!(@setting false, $($setting)*); };
    (@setting $reloads:literal, $Type:ty, $path:ident, $help:expr, $found:ident) => {
        $found.push($crate::config::Setting {
            path: $path,
            form: <$Type as $crate::config::Typed>::FORM,
            help: $help.trim_start(),
            reloads: $reloads,
        });
    };
}
pub(super) use section;

impl Setting {
    /// First part of the path: `agent` of `agent.jwt.claim`.
    pub fn section(&self) -> &str {
        self.path.split('.').next().unwrap_or_default()
    }

    /// JSON pointer (RFC 6901) to the setting in the serialized configuration.
    pub fn pointer(&self) -> String {
        format!("/{}", self.path.replace('.', "/"))
    }

    /// Name of the environment variable.
    pub fn variable(&self) -> String {
        // As in the file, `audit` is short for `audit.file`.
        let path = self.path.strip_suffix(".file").unwrap_or(&self.path);
        format!(
            "THOUGHTGATE_{}",
            path.replace('.', "_").to_ascii_uppercase()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    section! {
        /// A section within a section.
        #[derive(Debug)]
        pub struct Inner {
            /// largest number of things
            reload things: usize = 3,
        }
    }

    section! {
        /// All that a new setting takes is its field.
        #[derive(Debug)]
        pub struct Pretend {
            /// help that is too long
            /// for one line
            restart name: Option<String> = Some("x".to_owned()),
            section inner: Inner,
        }
    }

    #[test]
    fn a_field_makes_a_setting() {
        let mut found = Vec::new();
        Pretend::list("a.", &mut found);
        let described: Vec<_> = found
            .iter()
            .map(|setting| {
                let Setting { path, help, .. } = setting;
                let names = (path.as_str(), setting.variable(), setting.pointer());
                (names, setting.form, *help, setting.reloads)
            })
            .collect();
        let names =
            |path, variable: &str, pointer: &str| (path, variable.to_owned(), pointer.to_owned());
        assert_eq!(
            described,
            [
                (
                    names("a.name", "THOUGHTGATE_A_NAME", "/a/name"),
                    Form::Text,
                    "help that is too long for one line",
                    false
                ),
                (
                    names(
                        "a.inner.things",
                        "THOUGHTGATE_A_INNER_THINGS",
                        "/a/inner/things"
                    ),
                    Form::Number,
                    "largest number of things",
                    true
                ),
            ]
        );
        let read: Pretend = serde_json::from_str(r#"{"inner": {"things": 4}}"#).unwrap();
        assert_eq!((read.name.as_deref(), read.inner.things), (Some("x"), 4));
        serde_json::from_str::<Pretend>(r#"{"inner": {"thing": 4}}"#).unwrap_err();
    }
}
