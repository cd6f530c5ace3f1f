//! Elastic Load Balancing v2: the load balancer, its listeners, rules and target groups.
