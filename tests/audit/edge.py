"""Load balancer, target groups, listeners, rules, certificate and web ACL."""

from facts import Facts, pairs

HEALTH = {
    "Protocol": "HTTP",
    "Port": 8080,
    "TargetType": "ip",
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 30,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 3,
}
MANAGED = {
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
}


def check(facts: Facts, network: dict) -> dict:
    """Checks the edge and returns the ARNs the service is to use."""
    elbv2 = facts.client("elbv2")
    name = facts.name("order-api")
    answer = facts.answer("the load balancer", elbv2.describe_load_balancers, Names=[name])
    if not answer:
        return {}
    balancer = facts.one("load balancer", answer["LoadBalancers"])
    arn = balancer["LoadBalancerArn"]
    load_balancer(facts, elbv2, balancer, network)
    groups = {colour: target_group(facts, elbv2, colour, network) for colour in ("blue", "green")}
    rules = listeners(facts, elbv2, arn, groups)
    web_acl(facts, arn)
    return {"load_balancer": arn, "groups": groups, **rules}


def tags_of(elbv2, arn: str) -> dict[str, str]:
    return pairs(elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"])


def load_balancer(facts: Facts, elbv2, live: dict, network: dict) -> None:
    facts.tags("the load balancer", tags_of(elbv2, live["LoadBalancerArn"]), facts.name("order-api"))
    facts.equal("scheme of the load balancer", "internet-facing", live["Scheme"])
    facts.equal("type of the load balancer", "application", live["Type"])
    facts.equal("state of the load balancer", "active", live["State"]["Code"])
    facts.equal("VPC of the load balancer", network.get("vpc"), live["VpcId"])
    facts.equal("subnets of the load balancer", network.get("public"), {it["SubnetId"] for it in live["AvailabilityZones"]})
    facts.equal("security groups of the load balancer", [network.get("groups", {}).get("alb")], live["SecurityGroups"])
    facts.equal("output albDnsName", live["DNSName"], facts.outputs.get("albDnsName"))
    facts.equal("output apiUrl", f"https://{live['DNSName']}", facts.outputs.get("apiUrl"))
    attributes = pairs(elbv2.describe_load_balancer_attributes(LoadBalancerArn=live["LoadBalancerArn"])["Attributes"])
    expected = {
        "routing.http2.enabled": "true",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "deletion_protection.enabled": "false",
    }
    for key, value in expected.items():
        facts.equal(f"{key} of the load balancer", value, attributes.get(key))


def target_group(facts: Facts, elbv2, colour: str, network: dict) -> str | None:
    name = facts.name(f"order-{colour}")
    answer = facts.answer(f"target group {name}", elbv2.describe_target_groups, Names=[name])
    if not answer:
        return None
    live = answer["TargetGroups"][0]
    arn = live["TargetGroupArn"]
    facts.tags(name, tags_of(elbv2, arn), name, Deployment=colour)
    for key, value in HEALTH.items():
        facts.equal(f"{key} of {name}", value, live.get(key))
    facts.equal(f"matcher of {name}", "200", live["Matcher"]["HttpCode"])
    facts.equal(f"VPC of {name}", network.get("vpc"), live["VpcId"])
    attributes = pairs(elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"])
    facts.equal(f"deregistration delay of {name}", "30", attributes.get("deregistration_delay.timeout_seconds"))
    facts.equal(f"output {colour}TargetGroupArn", arn, facts.outputs.get(f"{colour}TargetGroupArn"))
    return arn


def listeners(facts: Facts, elbv2, balancer: str, groups: dict) -> dict:
    found = {it["Port"]: it for it in elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]}
    facts.equal("ports of the listeners", [80, 443, 8443], sorted(found))
    rules = {}
    for port, live in found.items():
        tags = tags_of(elbv2, live["ListenerArn"])
        facts.tags(f"listener {port}", tags, tags.get("Name", ""))
        action = live["DefaultActions"][0]
        if port == 80:
            redirect = action.get("RedirectConfig", {})
            wanted = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
            facts.equal("redirect of listener 80", wanted, {key: redirect.get(key) for key in wanted})
            continue
        facts.equal(f"protocol of listener {port}", "HTTPS", live["Protocol"])
        facts.holds(f"the policy of listener {port} has TLS 1.3", "TLS13" in live["SslPolicy"], live["SslPolicy"])
        certificate(facts, port, live)
        kind = "production" if port == 443 else "test"
        rules[kind] = rule(facts, elbv2, kind, live["ListenerArn"], groups)
    return rules


def rule(facts: Facts, elbv2, kind: str, listener: str, groups: dict) -> str | None:
    found = [it for it in elbv2.describe_rules(ListenerArn=listener)["Rules"] if not it["IsDefault"]]
    live = facts.one(f"{kind} rule", found)
    if live is None:
        return None
    tags = tags_of(elbv2, live["RuleArn"])
    facts.tags(f"the {kind} rule", tags, tags.get("Name", ""))
    paths = [value for it in live["Conditions"] for value in it.get("PathPatternConfig", {}).get("Values", it.get("Values", []))]
    facts.equal(f"paths of the {kind} rule", ["/*"], paths)
    forward = live["Actions"][0]["ForwardConfig"]["TargetGroups"]
    weights = {it["TargetGroupArn"]: it["Weight"] for it in forward}
    facts.equal(f"weights of the {kind} rule", {groups["blue"]: 100, groups["green"]: 0}, weights)
    return live["RuleArn"]


def certificate(facts: Facts, port: int, listener: dict) -> None:
    acm = facts.client("acm")
    arns = [it["CertificateArn"] for it in listener.get("Certificates", [])]
    facts.equal(f"number of certificates of listener {port}", 1, len(arns))
    for arn in arns:
        live = acm.describe_certificate(CertificateArn=arn)["Certificate"]
        facts.equal("type of the certificate", "IMPORTED", live["Type"])
        facts.equal("status of the certificate", "ISSUED", live["Status"])
        if port == 443:
            tags = pairs(acm.list_tags_for_certificate(CertificateArn=arn)["Tags"])
            facts.tags("the certificate", tags, facts.name("order-api"))


def web_acl(facts: Facts, balancer: str) -> None:
    waf = facts.client("wafv2")
    name = facts.name("order-api-waf")
    listed = [it for it in waf.list_web_acls(Scope="REGIONAL")["WebACLs"] if it["Name"] == name]
    summary = facts.one("web ACL", listed)
    if summary is None:
        return
    live = waf.get_web_acl(Scope="REGIONAL", Name=name, Id=summary["Id"])["WebACL"]
    facts.equal("output wafWebAclArn", live["ARN"], facts.outputs.get("wafWebAclArn"))
    facts.tags("the web ACL", pairs(waf.list_tags_for_resource(ResourceARN=live["ARN"])["TagInfoForResource"]["TagList"]), name)
    facts.equal("default action of the web ACL", {"Allow": {}}, live["DefaultAction"])
    attached = waf.get_web_acl_for_resource(ResourceArn=balancer).get("WebACL", {})
    facts.equal("web ACL of the load balancer", live["ARN"], attached.get("ARN"))
    sets = [it for it in waf.list_ip_sets(Scope="REGIONAL")["IPSets"] if it["Name"] == facts.name("order-api-allow")]
    ip_set = facts.one("IP set", sets)
    if ip_set:
        tags = waf.list_tags_for_resource(ResourceARN=ip_set["ARN"])["TagInfoForResource"]["TagList"]
        facts.tags("the IP set", pairs(tags), facts.name("order-api-allow"))
        addresses = waf.get_ip_set(Scope="REGIONAL", Name=ip_set["Name"], Id=ip_set["Id"])["IPSet"]["Addresses"]
        facts.equal("addresses of the IP set", [], addresses)
    rules = {it["Name"]: it for it in live["Rules"]}
    facts.equal("number of web ACL rules", 5, len(rules))
    allow, rate = rules.get("AllowList", {}), rules.get("RateLimitRule", {})
    facts.equal("action of AllowList", {"Allow": {}}, allow.get("Action"))
    referenced = allow.get("Statement", {}).get("IPSetReferenceStatement", {}).get("ARN")
    facts.equal("IP set of AllowList", ip_set and ip_set["ARN"], referenced)
    facts.equal("action of RateLimitRule", {"Block": {}}, rate.get("Action"))
    limit = rate.get("Statement", {}).get("RateBasedStatement", {})
    found = (limit.get("Limit"), limit.get("EvaluationWindowSec", 300), limit.get("AggregateKeyType"))
    facts.equal("limit, window and key of RateLimitRule", (100, 300, "IP"), found)
    managed = {it["Statement"]["ManagedRuleGroupStatement"]["Name"]: it for it in rules.values() if "ManagedRuleGroupStatement" in it["Statement"]}
    facts.equal("managed rule groups", MANAGED, set(managed))
    for group, live_rule in managed.items():
        facts.equal(f"vendor of {group}", "AWS", live_rule["Statement"]["ManagedRuleGroupStatement"]["VendorName"])
        facts.equal(f"override of {group}", {"None": {}}, live_rule.get("OverrideAction"))
    facts.holds("the allow list comes first", min(rules.values(), key=lambda it: it["Priority"])["Name"] == "AllowList")
    for visible in [live, *rules.values()]:
        visibility = visible["VisibilityConfig"]
        seen = (visibility["SampledRequestsEnabled"], visibility["CloudWatchMetricsEnabled"])
        facts.equal(f"samples and metrics of {visible['Name']}", (True, True), seen)
