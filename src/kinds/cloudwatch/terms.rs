//! The words AWS uses in the settings of alarms. A word we never set ourselves is kept as it is, so
//! that a plan can show it.

macro_rules! terms {
    ($(#[$meta:meta])* $name:ident else $(#[$other_doc:meta])* $other:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
            $(#[$other_doc])* #[serde(untagged)] $other(String),
        }

        impl $name {
            /// AWS's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::$other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::$other(other.to_owned()),
                }
            }
        }
    };
}

terms! {
    /// How the values within one period become one.
    Statistic else
    /// A percentile, `p99`, or another extended statistic.
    Extended {
        /// Their mean.
        Average = "Average",
        /// The largest.
        Maximum = "Maximum",
        /// The smallest.
        Minimum = "Minimum",
        /// How many there are.
        SampleCount = "SampleCount",
        /// All together.
        Sum = "Sum",
    }
}

terms! {
    /// When a value breaches the threshold.
    Comparison else
    /// Outside a band of anomaly detection; only read, when set by hand.
    Band {
        /// Above it.
        GreaterThan = "GreaterThanThreshold",
        /// At it or above.
        GreaterThanOrEqualTo = "GreaterThanOrEqualToThreshold",
        /// Below it.
        LessThan = "LessThanThreshold",
        /// At it or below.
        LessThanOrEqualTo = "LessThanOrEqualToThreshold",
    }
}

terms! {
    /// What a period without data counts as.
    MissingData else
    /// A word that is not known yet; only read.
    Other {
        /// As one beyond the threshold.
        Breaching = "breaching",
        /// As one within the threshold.
        NotBreaching = "notBreaching",
        /// As nothing: the alarm stays as it is.
        Ignore = "ignore",
        /// As missing, which can leave the alarm without enough data; AWS's default.
        Missing = "missing",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terms_are_stored_in_awss_words_and_read_back() {
        for term in [Statistic::Sum, Statistic::Extended("p99".into())] {
            assert_eq!(json!(term), term.as_str());
            assert_eq!(
                serde_json::from_value::<Statistic>(json!(term)).unwrap(),
                term
            );
            assert_eq!(Statistic::from(term.as_str()), term);
        }
        assert_eq!(json!(MissingData::NotBreaching), "notBreaching");
        assert_eq!(json!(Comparison::GreaterThan), "GreaterThanThreshold");
    }
}
