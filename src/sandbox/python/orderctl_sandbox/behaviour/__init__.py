"""What AWS does over time and what it refuses, one module per service, on top of ``patches``.

``patches`` mends what moto leaves out and shrinks as moto grows; this package is what no emulator of answers has: states
that take time, deletions in the wrong order, quotas, tasks. The facts are those of the field guide, and every rule names
its section.
"""

from ..patches.patching import apply_once

#: Applied from first to last, after all patches.
MODULES = (
    "ec2_gateways",
    "ec2_states",
    "ec2_refusals",
    "ec2_quotas",
    # The outermost layer of EC2: what it misses does not get to the others.
    "ec2_consistency",
    "elbv2",
    "elbv2_refusals",
    "elbv2_consistency",
    "acm",
    "wafv2",
    "iam",
    "principals",
    "ecs",
    "rds_groups",
    "rds_clusters",
    "rds_instances",
    "secretsmanager",
    "logs",
    "autoscaling",
    "ecr",
    "sns",
    "tagging",
    "resets",
)


def apply() -> None:
    """Changes moto's classes once per process."""
    apply_once(__name__, MODULES)
