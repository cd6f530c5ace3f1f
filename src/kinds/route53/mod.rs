//! Route 53: records for the certificate and the load balancer.
