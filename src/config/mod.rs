//! The settings of a stack: flags > environment > orderctl.toml > defaults, resolved once and
//! validated once. [`load`] is the only way in; what it returns needs no more checks, and what it
//! refuses it refuses with one [`ConfigError`] that points at the line, before any call to AWS.

mod error;
mod file;
mod model;
mod network;
mod reader;
mod rules;
mod shapes;
mod suffix;
mod template;
#[cfg(test)]
mod tests;
mod values;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

pub use error::{ConfigError, render};
pub use model::{
    Alarms, App, Architecture, Capacity, Config, Credentials, Database, Deploy, Edge, Logs,
    RETENTION_DAYS, RuleMode, Scaling, Service, Strategy, Tls, Waf,
};
pub use network::{Nat, Network};
pub use suffix::{RULE as SUFFIX_RULE, Suffix, SuffixError, SuffixFault};
pub use template::{TEMPLATE, template};

use error::{Document, Problem};
use file::Read;
use reader::{Fault, Notes};

/// Names the file that is used when it is there and nothing else is named.
pub const FILE_NAME: &str = "orderctl.toml";

/// Holds what is given outside the file; a flag beats its environment variable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--config`: a file that must exist.
    pub config_path: Option<PathBuf>,
    /// `--region`.
    pub region: Option<String>,
    /// `--suffix`.
    pub suffix: Option<String>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--state`.
    pub state: Option<String>,
    /// What the environment says.
    pub environment: Environment,
    /// Where [`FILE_NAME`] is looked for; `None` is the working directory.
    pub directory: Option<PathBuf>,
}

/// Holds what the environment says; a variable that is empty counts as not set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    /// `ORDERCTL_CONFIG`: a file that must exist.
    pub config_path: Option<PathBuf>,
    /// `ORDERCTL_SUFFIX`.
    pub suffix: Option<String>,
    /// `ORDERCTL_STATE`.
    pub state: Option<String>,
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`, with the name of the variable it came from.
    pub region: Option<(&'static str, String)>,
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
}

impl Environment {
    /// Reads the environment through `lookup`, so that a test can bring its own.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"]
            .into_iter()
            .find_map(|name| Some((name, get(name)?)));
        Environment {
            config_path: get("ORDERCTL_CONFIG").map(PathBuf::from),
            suffix: get("ORDERCTL_SUFFIX"),
            state: get("ORDERCTL_STATE"),
            region,
            profile: get("AWS_PROFILE"),
        }
    }
}

/// Says where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by its name.
    Flag(&'static str),
    /// An environment variable, by its name.
    Environment(&'static str),
    /// orderctl.toml.
    File,
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// Returns the origin as a phrase, such as `from --region`.
    pub fn describe(self) -> String {
        match self {
            Origin::Flag(name) | Origin::Environment(name) => format!("from {name}"),
            Origin::File => format!("from {FILE_NAME}"),
            Origin::Default => "the default".to_owned(),
        }
    }
}

/// Holds everything [`load`] resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The stack's settings.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// The stack's suffix, if anybody named one.
    pub suffix: Option<Suffix>,
    /// The AWS profile, if anybody named one.
    pub profile: Option<String>,
    /// The directory or bucket that holds the states, if anybody named one, as it was written; a
    /// relative directory is meant from the working directory.
    pub state: Option<String>,
    /// Where `config.region` came from.
    pub region_from: Origin,
    sources: Sources,
}

/// Remembers where each key stands, for errors that only AWS's answers bring to light.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sources {
    document: Option<Document>,
    spans: BTreeMap<String, Range<usize>>,
}

impl Settings {
    /// Makes an error about a setting that turned out wrong later, such as a region with fewer
    /// than three AZs. It points at `key` (such as `"network.azs"`) if the file has it.
    pub fn error_at(
        &self,
        key: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigError {
        match (&self.sources.document, self.sources.spans.get(key)) {
            (Some(document), Some(span)) => {
                let labels = vec![(span.clone(), "here".to_owned())];
                let problem = Problem {
                    message: message.into(),
                    help: help.into(),
                    labels,
                };
                ConfigError::in_document(document, problem)
            }
            _ => ConfigError::plain(message, help),
        }
    }
}

/// Resolves and validates the settings: flags > environment > file > defaults.
///
/// # Errors
/// The first thing wrong: a flag, then a variable, then the file from top to bottom. A file that
/// was named must exist; [`FILE_NAME`] in the directory need not.
pub fn load(overrides: &Overrides) -> Result<Settings, ConfigError> {
    let environment = &overrides.environment;
    let region = match (&overrides.region, &environment.region) {
        (Some(region), _) => Some((Origin::Flag("--region"), region)),
        (None, Some((name, region))) => Some((Origin::Environment(name), region)),
        (None, None) => None,
    };
    let suffix = given(
        "--suffix",
        &overrides.suffix,
        "ORDERCTL_SUFFIX",
        &environment.suffix,
    );
    let profile = given(
        "--profile",
        &overrides.profile,
        "AWS_PROFILE",
        &environment.profile,
    );
    let state = given(
        "--state",
        &overrides.state,
        "ORDERCTL_STATE",
        &environment.state,
    );
    let suffix = suffix
        .map(|(origin, text)| parse_suffix(origin, text))
        .transpose()?;
    for (value, shape) in [
        (region, shapes::region as fn(&str) -> Result<(), Fault>),
        (profile, shapes::profile),
        (state, shapes::state),
    ] {
        if let Some((origin, text)) = value {
            shape(text).map_err(|fault| outside(origin, fault))?;
        }
    }
    let document = read_document(overrides)?;
    let (read, mut notes) = match &document {
        Some(document) => parse(document)?,
        None => (empty(), Notes::default()),
    };
    let mut config = read.config;
    let region_from = match (region, &read.region) {
        (Some((origin, region)), _) => {
            config.region.clone_from(region);
            origin
        }
        (None, Some(_)) => Origin::File,
        (None, None) => Origin::Default,
    };
    rules::check(&config, region_from, &mut notes);
    if let Some(first) = notes.problems.into_iter().min_by_key(Problem::start) {
        return Err(match &document {
            Some(document) if !first.labels.is_empty() => ConfigError::in_document(document, first),
            _ => ConfigError::plain(first.message, first.help),
        });
    }
    let own = |value: Option<(Origin, &String)>, from_file: Option<String>| {
        value.map(|(_, text)| text.clone()).or(from_file)
    };
    Ok(Settings {
        config,
        file: document.as_ref().map(|document| document.path.clone()),
        suffix: suffix.or(read.suffix),
        profile: own(profile, read.profile),
        state: own(state, read.state),
        region_from,
        sources: Sources {
            document,
            spans: notes.spans,
        },
    })
}

/// Checks a place for states that a flag of one command names, as `--state` is checked.
pub fn check_place(flag: &'static str, place: &str) -> Result<(), ConfigError> {
    shapes::state(place).map_err(|fault| outside(Origin::Flag(flag), fault))
}

fn given<'a>(
    flag: &'static str,
    from_flag: &'a Option<String>,
    variable: &'static str,
    from_variable: &'a Option<String>,
) -> Option<(Origin, &'a String)> {
    let flag = from_flag.as_ref().map(|text| (Origin::Flag(flag), text));
    flag.or(from_variable
        .as_ref()
        .map(|text| (Origin::Environment(variable), text)))
}

fn parse_suffix(origin: Origin, text: &str) -> Result<Suffix, ConfigError> {
    text.parse::<Suffix>().map_err(|error| {
        let what = format!("is {text:?}, which is not a suffix: {}", error.fault());
        outside(
            origin,
            reader::fault(what, format!("allowed: {SUFFIX_RULE}")),
        )
    })
}

/// Makes the error of a value that came from a flag or a variable.
fn outside(origin: Origin, fault: Fault) -> ConfigError {
    let name = match origin {
        Origin::Flag(name) | Origin::Environment(name) => name,
        Origin::File | Origin::Default => FILE_NAME,
    };
    ConfigError::plain(format!("`{name}` {}", fault.what), fault.help)
}

fn read_document(overrides: &Overrides) -> Result<Option<Document>, ConfigError> {
    let named = match (&overrides.config_path, &overrides.environment.config_path) {
        (Some(path), _) => Some(("--config", path)),
        (None, Some(path)) => Some(("ORDERCTL_CONFIG", path)),
        (None, None) => None,
    };
    let path = match (named, &overrides.directory) {
        (Some((_, path)), _) => path.clone(),
        (None, Some(directory)) => directory.join(FILE_NAME),
        (None, None) => PathBuf::from(FILE_NAME),
    };
    match std::fs::read(&path) {
        Ok(bytes) => text_of(&path, bytes).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match named {
            None => Ok(None),
            Some((name, _)) => Err(ConfigError::plain(
                format!("{} does not exist (from {name})", path.display()),
                "check the path, or write a file with `orderctl init`",
            )),
        },
        Err(error) => Err(ConfigError::plain(
            format!("cannot read {}: {error}", path.display()),
            "make it a file you may read, or name another one with --config",
        )),
    }
}

fn text_of(path: &Path, bytes: Vec<u8>) -> Result<Document, ConfigError> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Document {
            path: path.to_path_buf(),
            text: Arc::from(text),
        }),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(ConfigError::plain(
                format!("{} is not UTF-8 text (line {line})", path.display()),
                "save the file as UTF-8",
            ))
        }
    }
}

fn empty() -> Read {
    file::read(&DeTable::new(), &RefCell::default())
}

fn parse(document: &Document) -> Result<(Read, Notes), ConfigError> {
    let table = DeTable::parse(&document.text).map_err(|error| {
        // At the very end there is no line to draw; the last character stands in for it.
        let text = document.text.trim_end();
        let last = text
            .char_indices()
            .next_back()
            .map_or(0, |(index, _)| index);
        let span = error.span().filter(|span| span.start < document.text.len());
        let span = span.unwrap_or(last..text.len());
        let problem = Problem {
            message: format!("this is not TOML: {}", error.message()),
            help: "write key = value lines below [table] lines; `orderctl init` writes a whole \
                   file to start from"
                .to_owned(),
            labels: vec![(span, "here".to_owned())],
        };
        ConfigError::in_document(document, problem)
    })?;
    let notes = RefCell::default();
    let read = file::read(table.get_ref(), &notes);
    Ok((read, notes.into_inner()))
}
