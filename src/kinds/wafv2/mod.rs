//! WAF v2: the web ACL before the load balancer.
