//! The suffix names a stack: it is the `<s>` in every resource name. It has a type of its own so
//! that a name can only ever be built from a suffix that fits the tightest limit, the 32
//! characters of a target group name (`order-green-` and 20 more; field guide section 10).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// States what a suffix may look like, as a sentence for people.
pub const RULE: &str = "lower-case letters a-z and digits, in words joined by single hyphens, \
                        1 to 20 characters in all; for example `dev` or `prod-eu`";

/// Holds the longest suffix in characters: `order-green-` plus 20 is AWS's limit of 32.
pub(super) const MAX_LENGTH: usize = 20;

/// Names one stack; always matches `^[a-z0-9]+(-[a-z0-9]+)*$` and has 1 to 20 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Suffix(String);

impl Suffix {
    /// Returns the suffix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tells why a text is not a suffix; its message also states the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a suffix: {wrong}. Allowed: {RULE}", given = given.escape_debug())]
pub struct SuffixError {
    given: String,
    wrong: SuffixFault,
}

impl SuffixError {
    /// Returns what is wrong, without the text that was given and without the rule.
    pub fn fault(&self) -> &SuffixFault {
        &self.wrong
    }
}

/// Lists the ways in which a text can fail to be a suffix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuffixFault {
    /// The text has no characters.
    #[error("it is empty")]
    Empty,
    /// A character outside `a-z`, `0-9` and `-`, with its 1-based place.
    #[error("character {place} is {character:?}")]
    Character {
        /// The first character that is not allowed.
        character: char,
        /// Where it stands, counted from 1.
        place: usize,
    },
    /// The text begins with a hyphen.
    #[error("it begins with a hyphen")]
    LeadingHyphen,
    /// The text ends with a hyphen.
    #[error("it ends with a hyphen")]
    TrailingHyphen,
    /// Two hyphens stand side by side.
    #[error("it has two hyphens side by side")]
    DoubleHyphen,
    /// The text is longer than [`MAX_LENGTH`].
    #[error("it has {length} characters")]
    TooLong {
        /// The number of characters given.
        length: usize,
    },
}

fn fault_of(text: &str) -> Option<SuffixFault> {
    if text.is_empty() {
        return Some(SuffixFault::Empty);
    }
    let stranger = text
        .chars()
        .enumerate()
        .find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '-'));
    if let Some((index, character)) = stranger {
        return Some(SuffixFault::Character {
            character,
            place: index + 1,
        });
    }
    if text.starts_with('-') {
        return Some(SuffixFault::LeadingHyphen);
    }
    if text.ends_with('-') {
        return Some(SuffixFault::TrailingHyphen);
    }
    if text.contains("--") {
        return Some(SuffixFault::DoubleHyphen);
    }
    (text.len() > MAX_LENGTH).then_some(SuffixFault::TooLong { length: text.len() })
}

impl FromStr for Suffix {
    type Err = SuffixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match fault_of(text) {
            Some(wrong) => Err(SuffixError {
                given: text.to_owned(),
                wrong,
            }),
            None => Ok(Suffix(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Suffix {
    type Error = SuffixError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Suffix> for String {
    fn from(suffix: Suffix) -> String {
        suffix.0
    }
}

impl AsRef<str> for Suffix {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_suffixes_are_kept_as_they_are() {
        for good in [
            "dev",
            "a",
            "7",
            "prod-eu",
            "a-1-b",
            "abcdefghij0123456789",
            "x-a1b2c3",
        ] {
            assert_eq!(
                good.parse::<Suffix>().map(String::from).as_deref(),
                Ok(good)
            );
        }
    }

    #[test]
    fn bad_suffixes_say_what_is_wrong_and_the_rule() {
        for (bad, wrong) in [
            ("", "it is empty"),
            ("Dev", "character 1 is 'D'"),
            ("de_v", "character 3 is '_'"),
            ("dév", "character 2 is 'é'"),
            ("-dev", "it begins with a hyphen"),
            ("dev-", "it ends with a hyphen"),
            ("a--b", "it has two hyphens side by side"),
            ("abcdefghij01234567890", "it has 21 characters"),
        ] {
            let error = bad.parse::<Suffix>().unwrap_err();
            assert_eq!(error.fault().to_string(), wrong, "{bad:?}");
            let text = error.to_string();
            assert!(text.contains(bad) && text.contains(wrong), "{text}");
            assert!(text.ends_with(RULE), "{text}");
        }
    }

    #[test]
    fn a_bad_suffix_cannot_come_in_through_serde() {
        let good: Suffix = serde_json::from_str("\"dev\"").unwrap();
        assert_eq!(serde_json::to_string(&good).unwrap(), "\"dev\"");
        let error = serde_json::from_str::<Suffix>("\"Dev\"").unwrap_err();
        assert!(error.to_string().contains("character 1 is 'D'"), "{error}");
    }

    proptest! {
        #[test]
        fn every_text_of_the_rule_is_accepted(words in "[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,2}") {
            prop_assert_eq!(words.parse::<Suffix>().is_ok(), words.len() <= MAX_LENGTH);
        }

        #[test]
        fn what_is_accepted_has_the_shape(text in "[a-zA-B0-2_-]{0,22}") {
            if text.parse::<Suffix>().is_ok() {
                prop_assert!(!text.is_empty() && text.len() <= MAX_LENGTH);
                prop_assert!(text.split('-').all(|word| !word.is_empty()
                    && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())));
            }
        }
    }
}
