"""Resource Groups Tagging API.

Gaps (moto 5.2.5): GetResources leaves out most kinds of a stack (EC2 is wholly absent, so are ECR, listeners, rules,
DB subnet and parameter groups, WAF, scalable targets), still lists what is deleted, cuts pages by number of tags and
walks live dictionaries between pages.
Restores: every taggable kind of an order-API stack, only while it exists, sorted by ARN, in pages whose token names
the last ARN served. IAM stays out: AWS covers roles only partly.
"""

import base64
from collections.abc import Iterator

from moto.acm.models import acm_backends
from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.resource_tagging import TaggedResource, iter_taggable_backends, make_tag_matcher, match_resource_type
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends
from moto.resourcegroupstaggingapi.exceptions import ResourceGroupsTaggingAPIError
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend
from moto.secretsmanager.models import secretsmanager_backends
from moto.wafv2.models import wafv2_backends

from .autoscaling import all_targets, tags_of
from .patching import replace

_EC2_KINDS = {
    "vpcs": "vpc",
    "internet_gateways": "internet-gateway",
    "nat_gateways": "natgateway",
    "route_tables": "route-table",
    "vpc_end_points": "vpc-endpoint",
}


def _ec2(account: str, region: str) -> Iterator[TaggedResource]:
    backend = ec2_backends[account][region]
    found = []
    for attribute, kind in _EC2_KINDS.items():
        found += [(kind, item) for item in getattr(backend, attribute).values() if getattr(item, "state", "") != "deleted"]
    found += [("subnet", subnet) for by_id in backend.subnets.values() for subnet in by_id.values()]
    found += [("elastic-ip", address) for address in backend.addresses if address.id]
    for groups in backend.groups.values():
        for group in groups.values():
            found.append(("security-group", group))
            found += [("security-group-rule", rule) for rule in [*group.ingress_rules, *group.egress_rules]]
    for kind, item in found:
        # Not by the item's own method, which goes through the tags of everything.
        tags = dict(backend.tags.get(item.id, {}))
        yield TaggedResource(f"arn:aws:ec2:{region}:{account}:{kind}/{item.id}", tags, f"ec2:{kind}")


def _elbv2(account: str, region: str) -> Iterator[TaggedResource]:
    backend = elbv2_backends[account][region]
    found = [(arn, "targetgroup") for arn in backend.target_groups]
    for arn, balancer in backend.load_balancers.items():
        found.append((arn, "loadbalancer"))
        for listener in balancer.listeners.values():
            found.append((listener.arn, "listener"))
            found += [(rule.arn, "listener-rule") for rule in listener.rules.values() if not rule.is_default]
    for arn, kind in found:
        yield TaggedResource(arn, backend.tagging_service.get_tag_dict_for_resource(arn), f"elasticloadbalancing:{kind}")


def _ecs(account: str, region: str) -> Iterator[TaggedResource]:
    backend = ecs_backends[account][region]
    found = [(cluster.arn, "cluster", cluster) for cluster in backend.clusters.values()]
    found += [(service.arn, "service", service) for service in backend.services.values()]
    found += [(item.arn, "task-definition", item) for by_revision in backend.task_definitions.values() for item in by_revision.values()]
    for arn, kind, item in found:
        if item.status != "INACTIVE":
            yield TaggedResource(arn, {tag["key"]: tag.get("value", "") for tag in item.tags or []}, f"ecs:{kind}")


def _rds(account: str, region: str) -> Iterator[TaggedResource]:
    backend = rds_backends[account][region]
    kinds = {
        "cluster": backend.clusters,
        "db": backend.databases,
        "subgrp": backend.subnet_groups,
        "cluster-pg": backend.db_cluster_parameter_groups,
        "cluster-snapshot": backend.cluster_snapshots,
        "snapshot": backend.database_snapshots,
    }
    for kind, items in kinds.items():
        for item in items.values():
            yield TaggedResource(item.arn, {tag["Key"]: tag["Value"] for tag in item.get_tags()}, f"rds:{kind}")


def _ecr(account: str, region: str) -> Iterator[TaggedResource]:
    backend = ecr_backends[account][region]
    for repository in backend.repositories.values():
        yield TaggedResource(repository.arn, backend.tagger.get_tag_dict_for_resource(repository.arn), "ecr:repository")


def _wafv2(account: str, region: str) -> Iterator[TaggedResource]:
    backend = wafv2_backends[account][region]
    for kind, items in (("webacl", backend.wacls), ("ipset", backend.ip_sets)):
        for arn in items:
            yield TaggedResource(arn, backend.tagging_service.get_tag_dict_for_resource(arn), f"wafv2:{kind}")


def _autoscaling(account: str, region: str) -> Iterator[TaggedResource]:
    for target in all_targets(applicationautoscaling_backends[account][region]):
        yield TaggedResource(target.arn, dict(tags_of(target)), "application-autoscaling:scalable-target")


def _secrets(account: str, region: str) -> Iterator[TaggedResource]:
    for secret in dict.values(secretsmanager_backends[account][region].secrets):
        if not secret.is_deleted():
            tags = {tag["Key"]: tag["Value"] for tag in getattr(secret, "tags", None) or []}
            yield TaggedResource(secret.arn, tags, "secretsmanager:secret")


def _acm(account: str, region: str) -> Iterator[TaggedResource]:
    for certificate in acm_backends[account][region]._certificates.values():
        yield TaggedResource(certificate.arn, {key: value or "" for key, value in certificate.tags.items()}, "acm:certificate")


def _cloudwatch(account: str, region: str) -> Iterator[TaggedResource]:
    backend = cloudwatch_backends[account][region]
    for alarm in backend.alarms.values():
        yield TaggedResource(alarm.alarm_arn, backend.tagger.get_tag_dict_for_resource(alarm.alarm_arn), "cloudwatch:alarm")
    for dashboard in backend.dashboards.values():
        yield TaggedResource(dashboard.arn, backend.tagger.get_tag_dict_for_resource(dashboard.arn), "cloudwatch:dashboard")


#: Services listed here instead of by moto, by the namespace in their ARNs.
_OURS = {
    "ec2": _ec2,
    "elasticloadbalancing": _elbv2,
    "ecs": _ecs,
    "rds": _rds,
    "ecr": _ecr,
    "wafv2": _wafv2,
    "application-autoscaling": _autoscaling,
    "secretsmanager": _secrets,
    "acm": _acm,
    "cloudwatch": _cloudwatch,
}


def tagged_resources(account: str, region: str) -> Iterator[TaggedResource]:
    """Every resource of a region that has tags, in no order."""
    for listing in _OURS.values():
        yield from (resource for resource in listing(account, region) if resource.tags)
    for backend in iter_taggable_backends(account, region):
        if backend.SERVICE_NAMESPACE not in _OURS and backend.SERVICE_NAMESPACE != "elb":
            yield from (resource for resource in backend.iter_tagged_resources() if resource.tags)


def _after(token: str | None) -> str:
    if not token:
        return ""
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError as error:
        raise ResourceGroupsTaggingAPIError("PaginationTokenExpiredException", "Token does not exist") from error


def apply() -> None:
    """Replaces the listing and its paging."""

    @replace(ResourceGroupsTaggingAPIBackend)
    def get_resources(
        self,
        pagination_token=None,
        resources_per_page=50,
        tags_per_page=100,
        tag_filters=None,
        resource_type_filters=None,
        resource_arn_list=None,
    ):
        matches = make_tag_matcher(tag_filters)
        start = _after(pagination_token)
        found = sorted(
            (
                resource
                for resource in tagged_resources(self.account_id, self.region_name)
                if resource.arn > start
                and matches(resource.tags)
                and match_resource_type(resource.resource_type, resource_type_filters)
                and (not resource_arn_list or resource.arn in resource_arn_list)
            ),
            key=lambda resource: resource.arn,
        )
        page = found[:resources_per_page]
        more = len(found) > len(page)
        return (base64.urlsafe_b64encode(page[-1].arn.encode()).decode() if more else ""), page

    @replace(ResourceGroupsTaggingAPIBackend)
    def _get_tag_keys_generator(self):
        return iter(sorted({key for resource in tagged_resources(self.account_id, self.region_name) for key in resource.tags}))

    @replace(ResourceGroupsTaggingAPIBackend)
    def _get_tag_values_generator(self, tag_key):
        values = {r.tags[tag_key] for r in tagged_resources(self.account_id, self.region_name) if tag_key in r.tags}
        return iter(sorted(values))
