//! Colours, as an addition: every text reads the same without them.

use std::fmt::Display;

use owo_colors::{AnsiColors, OwoColorize};

/// Says whether the text for one stream is coloured, and colours it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether the helpers colour; they return the text as it is otherwise.
    pub colour: bool,
}

impl Style {
    /// A style that never colours.
    pub const PLAIN: Self = Self { colour: false };

    /// Makes the text bold.
    pub fn bold(&self, text: impl Display) -> String {
        if self.colour {
            text.bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Makes the text faint.
    pub fn dim(&self, text: impl Display) -> String {
        if self.colour {
            text.dimmed().to_string()
        } else {
            text.to_string()
        }
    }

    /// Colours what comes or is well.
    pub fn green(&self, text: impl Display) -> String {
        if self.colour {
            text.green().to_string()
        } else {
            text.to_string()
        }
    }

    /// Colours what changes or needs a look.
    pub fn yellow(&self, text: impl Display) -> String {
        if self.colour {
            text.yellow().to_string()
        } else {
            text.to_string()
        }
    }

    /// Colours what goes or failed.
    pub fn red(&self, text: impl Display) -> String {
        if self.colour {
            text.red().to_string()
        } else {
            text.to_string()
        }
    }

    /// Colours one of several things that are to be told apart; red is left to what failed.
    pub fn tint(&self, number: usize, text: impl Display) -> String {
        const TINTS: [AnsiColors; 6] = [
            AnsiColors::Cyan,
            AnsiColors::Yellow,
            AnsiColors::Green,
            AnsiColors::Magenta,
            AnsiColors::Blue,
            AnsiColors::BrightBlack,
        ];
        if self.colour {
            text.color(TINTS[number % TINTS.len()]).to_string()
        } else {
            text.to_string()
        }
    }

    /// Colours advice and what is taken over.
    pub fn cyan(&self, text: impl Display) -> String {
        if self.colour {
            text.cyan().to_string()
        } else {
            text.to_string()
        }
    }
}

/// Takes the colours out of a text that was made for another stream.
pub(super) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let end = after.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_the_text_is_untouched_and_with_it_the_words_stay() {
        let (plain, coloured) = (Style::PLAIN, Style { colour: true });
        assert_eq!(plain.red("gone"), "gone");
        let text = format!(
            "{} and {}",
            coloured.bold(coloured.red("gone")),
            coloured.dim("left")
        );
        assert!(text.contains('\u{1b}'));
        assert_eq!(without_colours(&text), "gone and left");
    }
}
