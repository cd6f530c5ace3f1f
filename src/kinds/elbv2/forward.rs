//! Forwarding to weighted target groups, as listeners and rules do it.
//!
//! ECS shifts the weights during a release, and `up` must never undo that (field guide, sections 4
//! and 9). So any split over exactly the wanted groups counts as wanted; another group is drift.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple,
};
use serde::{Deserialize, Serialize};

use super::TargetGroupArn;
use crate::resource::{Resolved, Stage};

/// A target group and its share of the requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct WeightedTargetGroup<S: Stage> {
    /// The group.
    pub target_group: S::In<TargetGroupArn>,
    /// Its share, 0 to 999, relative to the others. Used at create; later the releases' own.
    pub weight: u16,
}

/// The weight of a group for which AWS names none.
const DEFAULT_WEIGHT: u16 = 1;

/// Makes the action that forwards to `groups`.
pub(super) fn forward(groups: &[WeightedTargetGroup<Resolved>]) -> Action {
    let tuples = groups.iter().map(|group| {
        TargetGroupTuple::builder()
            .target_group_arn(&*group.target_group)
            .weight(group.weight.into())
            .build()
    });
    let config = ForwardActionConfig::builder().set_target_groups(Some(tuples.collect()));
    Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .forward_config(config.build())
        .build()
}

/// Reads the groups of a forward action. AWS returns a single group as `TargetGroupArn`, as
/// `ForwardConfig`, or as both.
pub(super) fn forwarded(action: &Action) -> Vec<WeightedTargetGroup<Resolved>> {
    let tuples = action
        .forward_config()
        .map_or(&[][..], ForwardActionConfig::target_groups);
    if tuples.is_empty() {
        return action
            .target_group_arn()
            .map(|arn| WeightedTargetGroup {
                target_group: arn.into(),
                weight: DEFAULT_WEIGHT,
            })
            .into_iter()
            .collect();
    }
    tuples
        .iter()
        .map(|tuple| WeightedTargetGroup {
            target_group: tuple.target_group_arn().unwrap_or_default().into(),
            weight: tuple
                .weight()
                .and_then(|weight| weight.try_into().ok())
                .unwrap_or(DEFAULT_WEIGHT),
        })
        .collect()
}

/// Gives the wanted list if `live` splits the requests over exactly its groups, else `live` in
/// the wanted order, so that a difference names what is foreign or missing.
pub(super) fn any_split(
    mut live: Vec<WeightedTargetGroup<Resolved>>,
    want: &[WeightedTargetGroup<Resolved>],
) -> Vec<WeightedTargetGroup<Resolved>> {
    let position = |group: &WeightedTargetGroup<Resolved>| {
        want.iter()
            .position(|wanted| wanted.target_group == group.target_group)
    };
    if live.len() == want.len() && live.iter().all(|group| position(group).is_some()) {
        return want.to_vec();
    }
    live.sort_by(|a, b| a.target_group.cmp(&b.target_group));
    live.sort_by_key(|group| position(group).unwrap_or(want.len()));
    live
}

/// Gives the split to send when the groups have to change: those that stay keep their weights and
/// new ones get nothing, so that repairing a rule moves no request between colours. Only if no
/// group that stays gets requests, the wanted weights are taken.
pub(super) fn keeping_weights(
    live: &[WeightedTargetGroup<Resolved>],
    want: &[WeightedTargetGroup<Resolved>],
) -> Vec<WeightedTargetGroup<Resolved>> {
    let weight_of = |wanted: &WeightedTargetGroup<Resolved>| {
        live.iter()
            .find(|group| group.target_group == wanted.target_group)
            .map_or(0, |group| group.weight)
    };
    if want.iter().all(|wanted| weight_of(wanted) == 0) {
        return want.to_vec();
    }
    want.iter()
        .map(|wanted| WeightedTargetGroup {
            target_group: wanted.target_group.clone(),
            weight: weight_of(wanted),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(list: &[(&str, u16)]) -> Vec<WeightedTargetGroup<Resolved>> {
        list.iter()
            .map(|&(arn, weight)| WeightedTargetGroup {
                target_group: arn.into(),
                weight,
            })
            .collect()
    }

    #[test]
    fn an_action_survives_the_way_through_aws() {
        let split = groups(&[("blue", 90), ("green", 10)]);
        assert_eq!(forwarded(&forward(&split)), split);
    }

    #[test]
    fn a_single_group_is_read_in_each_of_its_three_forms() {
        let plain = Action::builder().target_group_arn("blue");
        let config = forward(&groups(&[("blue", 1)]));
        let both = config.forward_config().cloned();
        let both = plain.clone().set_forward_config(both).build();
        for action in [plain.build(), config, both] {
            assert_eq!(forwarded(&action), groups(&[("blue", 1)]), "{action:?}");
        }
    }

    #[test]
    fn any_split_over_the_wanted_groups_is_as_wanted() {
        let want = groups(&[("blue", 100), ("green", 0)]);
        for live in [
            groups(&[("green", 100), ("blue", 0)]),
            groups(&[("blue", 95), ("green", 5)]),
        ] {
            assert_eq!(any_split(live, &want), want);
        }
    }

    #[test]
    fn a_foreign_a_missing_and_an_exchanged_group_are_drift() {
        let want = groups(&[("blue", 100), ("green", 0)]);
        let cases = [
            groups(&[("green", 50), ("blue", 50), ("alien", 1)]),
            groups(&[("green", 100)]),
            groups(&[("green", 100), ("alien", 0)]),
            groups(&[]),
        ];
        for live in cases {
            assert_ne!(any_split(live.clone(), &want), want, "{live:?}");
        }
    }

    #[test]
    fn repairing_the_groups_moves_no_request_between_colours() {
        let want = groups(&[("blue", 100), ("green", 0)]);
        let cases = [
            (groups(&[("green", 100)]), [("blue", 0), ("green", 100)]),
            (groups(&[("blue", 1)]), [("blue", 1), ("green", 0)]),
            (
                groups(&[("alien", 9), ("blue", 95), ("green", 5)]),
                [("blue", 95), ("green", 5)],
            ),
        ];
        for (live, sent) in cases {
            assert_eq!(keeping_weights(&live, &want), groups(&sent));
        }
    }

    #[test]
    fn the_wanted_weights_are_sent_when_no_wanted_group_gets_requests() {
        let want = groups(&[("blue", 100), ("green", 0)]);
        for live in [
            groups(&[]),
            groups(&[("alien", 100), ("blue", 0), ("green", 0)]),
        ] {
            assert_eq!(keeping_weights(&live, &want), want);
        }
    }
}
