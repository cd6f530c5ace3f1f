//! The one error of this module: what is wrong, where in the file it stands, and what is allowed.
//! It carries the file's text so that the caller can draw the line without reading it again.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

/// Tells that the configuration cannot be used; exit code 2.
///
/// Displays as one sentence that says what is wrong. [`render`] draws the whole diagnostic.
#[derive(Clone)]
pub struct ConfigError(Box<Details>);

#[derive(Clone)]
struct Details {
    message: String,
    help: String,
    place: Option<Place>,
}

#[derive(Clone)]
struct Place {
    document: Document,
    source: NamedSource<Arc<str>>,
    labels: Vec<LabeledSpan>,
    start: usize,
}

/// Holds the text of a configuration file and the path it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Where the text was read from.
    pub path: PathBuf,
    /// The whole text.
    pub text: Arc<str>,
}

/// Describes one fault in a file before it is known whether it is the first one.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub message: String,
    pub help: String,
    /// What is underlined and the word beside it; the first one is the offender.
    pub labels: Vec<(Range<usize>, String)>,
}

impl Problem {
    /// Returns where in the file the offender begins.
    pub(super) fn start(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

impl ConfigError {
    /// Makes an error that has no place in a file, such as a bad flag.
    pub fn plain(message: impl Into<String>, help: impl Into<String>) -> Self {
        ConfigError(Box::new(Details {
            message: message.into(),
            help: help.into(),
            place: None,
        }))
    }

    pub(super) fn in_document(document: &Document, problem: Problem) -> Self {
        let start = problem.start();
        let mut labels = problem.labels.into_iter();
        let mut spans = Vec::new();
        if let Some((span, label)) = labels.next() {
            spans.push(LabeledSpan::new_primary_with_span(Some(label), span));
        }
        spans.extend(labels.map(|(span, label)| LabeledSpan::new_with_span(Some(label), span)));
        let name = document.path.display().to_string();
        let place = Place {
            document: document.clone(),
            source: NamedSource::new(name, Arc::clone(&document.text)),
            labels: spans,
            start,
        };
        ConfigError(Box::new(Details {
            message: problem.message,
            help: problem.help,
            place: Some(place),
        }))
    }

    /// Returns what is wrong, in one sentence without a full stop.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what is allowed, or what to do.
    pub fn help_text(&self) -> &str {
        &self.0.help
    }

    /// Returns the file the error is in, if it is in one.
    pub fn path(&self) -> Option<&Path> {
        self.0
            .place
            .as_ref()
            .map(|place| place.document.path.as_path())
    }

    /// Returns the line and column of the offender, both counted from 1; columns are characters.
    pub fn position(&self) -> Option<(usize, usize)> {
        let place = self.0.place.as_ref()?;
        let before = place.document.text.get(..place.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        Some((line, before.get(line_start..)?.chars().count() + 1))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// Shows message, help and place, but not the file's text.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigError")
            .field("message", &self.message())
            .field("help", &self.help_text())
            .field("path", &self.path())
            .field("position", &self.position())
            .finish()
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.0.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0
            .place
            .as_ref()
            .map(|place| &place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.0.place.as_ref()?;
        Some(Box::new(place.labels.iter().cloned()))
    }
}

/// Draws an error for people: the sentence, the lines of the file with the offender underlined,
/// and the help, at most `width` columns wide. Without colour the drawing is plain ASCII.
pub fn render(error: &ConfigError, colour: bool, width: usize) -> String {
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::none()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(width)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let mut text = String::new();
    match handler.render_report(&mut text, error) {
        Ok(()) => text,
        Err(fmt::Error) => format!("{}\nhelp: {}\n", error.message(), error.help_text()),
    }
}
