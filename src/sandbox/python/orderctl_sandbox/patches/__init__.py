"""Our changes to moto 5.2.5, one module per service, applied in one order by ``apply``."""

from .patching import apply_once

#: Applied from first to last. ``core`` comes first because the others build on it; ``tagging`` last because it reads
#: what the others store.
MODULES = (
    "core",
    "cloudwatch",
    "ec2_interfaces",
    "ec2_network",
    "ec2_security_groups",
    "ecs_clusters",
    "ecs_task_definitions",
    "ecs_services",
    "rds_clusters",
    "rds_groups",
    "elbv2",
    "wafv2",
    "autoscaling",
    "logs",
    "logs_events",
    "iam",
    "iam_simulation",
    "secretsmanager",
    "sns",
    "ecr",
    "acm",
    "route53",
    "servicequotas",
    "tagging",
)


def apply() -> None:
    """Changes moto's classes once per process."""
    apply_once(__name__, MODULES)
