//! Elastic Container Service: cluster, task definition and service.
