//! How a local AWS behaves: what `orderctl sandbox start` can set, and what a running one says.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::{Deserialize, Serialize};

/// Sandbox seconds that pass in one real second, unless told otherwise.
pub const DEFAULT_SPEED: f64 = 75.0;
/// The fastest it can be told to be.
pub const HIGHEST_SPEED: f64 = 1_000_000.0;
/// For how many sandbox seconds reads miss what is new, once eventual consistency is on.
pub const DEFAULT_LAG: f64 = 10.0;
/// The longest lag it can be told.
pub const HIGHEST_LAG: f64 = 600.0;
/// The limits of the account that can be set, with what they are in a new one (field guide, section 11).
pub const QUOTAS: [(&str, u32); 5] = [
    ("elastic-ips", 5),
    ("vpcs", 5),
    ("internet-gateways", 5),
    ("nat-gateways-per-az", 5),
    ("fargate-vcpus", 64),
];

/// How a running local AWS behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Sandbox seconds in one real second; 0 lets nothing take any time.
    pub speed: f64,
    /// Sandbox seconds for which reads miss what is new; 0 is off.
    pub lag: f64,
    /// The limit of each of [`QUOTAS`].
    pub quotas: BTreeMap<String, u32>,
    /// Whether the control endpoint answers.
    pub control: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            speed: DEFAULT_SPEED,
            lag: 0.0,
            quotas: QUOTAS.map(|(name, limit)| (name.to_owned(), limit)).into(),
            control: false,
        }
    }
}

/// What a user asks of a local AWS; what is `None` is left as it is, or to its default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// See [`Settings::speed`].
    pub speed: Option<f64>,
    /// See [`Settings::lag`].
    pub lag: Option<f64>,
    /// See [`Settings::quotas`].
    pub quotas: BTreeMap<String, u32>,
    /// See [`Settings::control`]; only `true` is a wish.
    pub control: bool,
}

impl Wishes {
    /// The given settings with the wishes fulfilled.
    pub(super) fn applied_to(&self, mut settings: Settings) -> Settings {
        settings.speed = self.speed.unwrap_or(settings.speed);
        settings.lag = self.lag.unwrap_or(settings.lag);
        settings.quotas.extend(self.quotas.clone());
        settings.control |= self.control;
        settings
    }
}

impl Settings {
    /// The arguments with which the Python layer behaves so.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![
            format!("--speed={}", self.speed),
            format!("--lag={}", self.lag),
        ];
        arguments.extend(
            self.quotas
                .iter()
                .map(|(name, limit)| format!("--quota={name}={limit}")),
        );
        if self.control {
            arguments.push("--control".to_owned());
        }
        arguments.into_iter().map(OsString::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_change_only_what_they_name() {
        let wishes = Wishes {
            speed: Some(0.0),
            quotas: [("vpcs".to_owned(), 2)].into(),
            ..Wishes::default()
        };
        let settings = wishes.applied_to(Settings::default());
        assert_eq!((settings.speed, settings.lag), (0.0, 0.0));
        assert_eq!(settings.quotas["vpcs"], 2);
        assert_eq!(settings.quotas["elastic-ips"], 5);
        assert!(!settings.control);
        let controlled = Settings {
            control: true,
            ..settings
        };
        assert!(Wishes::default().applied_to(controlled).control);
    }

    #[test]
    fn the_layer_knows_the_same_quotas_and_defaults() {
        let python = include_str!("python/orderctl_sandbox/settings.py");
        for (name, limit) in QUOTAS {
            assert!(python.contains(&format!("\"{name}\": {limit},")), "{name}");
        }
        assert!(python.contains(&format!("DEFAULT_SPEED = {DEFAULT_SPEED:?}\n")));
        assert!(python.contains(&format!("DEFAULT_LAG = {DEFAULT_LAG:?}\n")));
    }

    #[test]
    fn arguments_say_every_setting() {
        let settings = Settings {
            control: true,
            ..Settings::default()
        };
        let arguments: Vec<String> = settings
            .arguments()
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect();
        assert_eq!(arguments.len(), 8);
        for argument in [
            "--speed=75",
            "--lag=0",
            "--quota=elastic-ips=5",
            "--control",
        ] {
            assert!(
                arguments.iter().any(|given| given == argument),
                "{argument}"
            );
        }
    }
}
