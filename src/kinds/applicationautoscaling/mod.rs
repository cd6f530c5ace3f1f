//! Application Auto Scaling: how many tasks the service runs.

mod scalable_target;
mod scaling_policy;

pub use scalable_target::{ScalableTarget, ScalableTargetOutputs, ScalableTargetSpec};
pub use scaling_policy::{
    Metric, ScalingPolicy, ScalingPolicyOutputs, ScalingPolicySpec, Statistic,
};

fn signed(number: u32) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn unsigned(number: i32) -> u32 {
    number.try_into().unwrap_or_default()
}
