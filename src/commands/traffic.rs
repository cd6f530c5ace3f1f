//! How the traffic moves to a release: the flags of `deploy`, over what orderctl.toml says.

use clap::{Args, ValueEnum};

use super::CommandError;
use crate::config::{Deploy, Strategy};
use crate::kinds::ecs::DeploymentStrategy;

/// The flags.
#[derive(Args, Debug)]
pub(super) struct TrafficArgs {
    /// How the traffic moves [default: as orderctl.toml says]
    #[arg(long, value_enum, value_name = "STRATEGY", conflicts_with_all = ["resume", "list"])]
    strategy: Option<StrategyName>,
    /// The share moved first (canary) or per step (linear), in percent
    #[arg(long, value_name = "PERCENT", conflicts_with_all = ["resume", "list"])]
    percent: Option<f64>,
    /// Minutes between two shifts of canary and linear
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["resume", "list"], value_parser = clap::value_parser!(u32).range(0..=1440))]
    step_bake: Option<u32>,
    /// Minutes both versions stay after the last shift
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["resume", "list"], value_parser = clap::value_parser!(u32).range(0..=1440))]
    bake: Option<u32>,
}

/// How the traffic moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StrategyName {
    /// All of it in one shift
    AllAtOnce,
    /// A small share first, then the rest
    Canary,
    /// In equal steps
    Linear,
}

/// How the release is to go, from flags and configuration.
pub(super) struct Traffic {
    pub(super) strategy: DeploymentStrategy,
    pub(super) bake_minutes: u32,
}

impl TrafficArgs {
    /// What the flags say, else the configuration.
    pub(super) fn with(&self, config: &Deploy) -> Result<Traffic, CommandError> {
        let args = self;
        let strategy = match args.strategy {
            None => config.strategy,
            Some(StrategyName::AllAtOnce) => Strategy::AllAtOnce,
            Some(StrategyName::Canary) => Strategy::Canary,
            Some(StrategyName::Linear) => Strategy::Linear,
        };
        // What the file says of percent and minutes is meant for its own strategy.
        let (percent, minutes) = match strategy == config.strategy {
            true => (config.percent, config.step_bake_minutes),
            false => strategy.defaults(),
        };
        let percent = args.percent.unwrap_or(percent);
        let bake_minutes = args.step_bake.unwrap_or(minutes);
        let least = if strategy == Strategy::Linear {
            3.0
        } else {
            0.1
        };
        if strategy == Strategy::AllAtOnce && (args.percent.is_some() || args.step_bake.is_some()) {
            return Err(
                CommandError::usage("--percent and --step-bake are for canary and linear")
                    .hint("add --strategy canary or --strategy linear"),
            );
        }
        if !(least..=100.0).contains(&percent) {
            return Err(CommandError::usage(format!(
                "--percent {percent} is out of range: {least} to 100"
            )));
        }
        let strategy = match strategy {
            Strategy::AllAtOnce => DeploymentStrategy::BlueGreen,
            Strategy::Canary => DeploymentStrategy::Canary {
                percent,
                bake_minutes,
            },
            Strategy::Linear => DeploymentStrategy::Linear {
                percent,
                bake_minutes,
            },
        };
        Ok(Traffic {
            strategy,
            bake_minutes: args.bake.unwrap_or(config.bake_minutes),
        })
    }
}

pub(super) fn declared(config: &Deploy) -> DeploymentStrategy {
    let (percent, bake_minutes) = (config.percent, config.step_bake_minutes);
    match config.strategy {
        Strategy::AllAtOnce => DeploymentStrategy::BlueGreen,
        Strategy::Canary => DeploymentStrategy::Canary {
            percent,
            bake_minutes,
        },
        Strategy::Linear => DeploymentStrategy::Linear {
            percent,
            bake_minutes,
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TrafficArgs,
        // What the flags are in conflict with.
        #[arg(long)]
        resume: bool,
        #[arg(long)]
        list: bool,
    }

    fn chosen_by(flags: &str, config: &Deploy) -> Result<DeploymentStrategy, CommandError> {
        let words = format!("deploy {flags}");
        let line = Line::try_parse_from(words.split_whitespace()).unwrap();
        line.args.with(config).map(|chosen| chosen.strategy)
    }

    #[test]
    fn what_the_file_says_of_its_own_strategy_is_not_used_for_another() {
        let config = Deploy {
            strategy: Strategy::Canary,
            percent: 20.0,
            step_bake_minutes: 2,
            ..Deploy::default()
        };
        let canary = |percent, bake_minutes| DeploymentStrategy::Canary {
            percent,
            bake_minutes,
        };
        assert_eq!(chosen_by("", &config).unwrap(), canary(20.0, 2));
        assert_eq!(chosen_by("--percent 1", &config).unwrap(), canary(1.0, 2));
        assert_eq!(
            chosen_by("--strategy linear", &config).unwrap(),
            DeploymentStrategy::Linear {
                percent: 10.0,
                bake_minutes: 6
            }
        );
        let all = chosen_by("--strategy all-at-once", &config).unwrap();
        assert_eq!(all, DeploymentStrategy::BlueGreen);
    }

    #[test]
    fn percentages_ecs_would_refuse_are_refused_before_it_is_asked() {
        let config = Deploy::default();
        for flags in [
            "--percent 5",
            "--strategy canary --percent 0",
            "--strategy linear --percent 2.9",
            "--strategy canary --percent 101",
        ] {
            let error = chosen_by(flags, &config).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flags}");
        }
    }
}
