"""Compares a live stack with the contract of names and settings, at default settings.

Reads a JSON object from stdin: `suffix`, `outputs`, `tags` (the user's own), `emails`, `testCidrs`, and `running`
(whether the repository holds an image). Prints one line per violated fact and exits 1 if there is any; the number of
facts that were checked goes to stderr.
"""

import json
import sys

import compute
import data
import edge
import network
import watching
from facts import Facts

OUTPUTS = [
    "alarmTopicArn",
    "albDnsName",
    "apiUrl",
    "blueTargetGroupArn",
    "dashboardUrl",
    "dbSecretArn",
    "ecrRepositoryUrl",
    "ecsClusterName",
    "ecsServiceArn",
    "greenTargetGroupArn",
    "logGroupName",
    "rdsClusterEndpoint",
    "rdsReaderEndpoint",
    "vpcId",
    "wafWebAclArn",
]


def main() -> int:
    question = json.load(sys.stdin)
    facts = Facts(question["suffix"], question["tags"], question["outputs"])
    facts.equal("names of the outputs", OUTPUTS, sorted(facts.outputs))
    facts.equal("output logGroupName", f"/ecs/{facts.name('order-api')}", facts.outputs.get("logGroupName"))
    net = network.check(facts, question["testCidrs"])
    facts.equal("output vpcId", net.get("vpc"), facts.outputs.get("vpcId"))
    data.check(facts, net)
    front = edge.check(facts, net)
    compute.check(facts, net, front, question["running"])
    watching.check(facts, front, question["emails"])
    for line in facts.wrong:
        print(line)
    print(f"{facts.checked} facts", file=sys.stderr)
    return 1 if facts.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
