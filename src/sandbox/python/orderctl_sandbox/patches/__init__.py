"""Our changes to moto 5.2.5, one module per service, applied in one order by ``apply``."""

import importlib

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
    "iam",
    "secretsmanager",
    "sns",
    "ecr",
    "acm",
    "route53",
    "tagging",
)

_applied = False


def apply() -> None:
    """Changes moto's classes once per process."""
    global _applied
    if _applied:
        return
    _applied = True
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}").apply()
