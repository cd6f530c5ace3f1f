//! Elastic Load Balancing v2: the load balancer, its listeners, rules and target groups.

id_types! {
    /// ARN of a target group
    TargetGroupArn,
    /// ARN of a listener rule
    RuleArn,
}
