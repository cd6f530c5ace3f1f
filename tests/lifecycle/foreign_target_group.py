"""Lets the production rule of a stack `dev` lead to a target group that is not its own; run by aws.py."""

name = "order-api-dev"
balancer = elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]
listener = next(it for it in elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"] if it["Port"] == 443)
rule = next(it for it in elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"] if not it["IsDefault"])
foreign = elbv2.create_target_group(Name="foreign", Protocol="HTTP", Port=80, VpcId=balancer["VpcId"], TargetType="ip")
groups = [{"TargetGroupArn": foreign["TargetGroups"][0]["TargetGroupArn"], "Weight": 1}]


def leads_there():
    try:
        elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    except elbv2.exceptions.TargetGroupNotFoundException:
        return False  # It is too new to be seen.
    return True


wait_until(leads_there, "the rule to be changed")
