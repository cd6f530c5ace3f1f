"""Requests to a load balancer: the listener by its port, the colour by its weight, the answer of the program behind it."""

import json

from ecs_support import CLUSTER, EcsStage
from support import FrozenTest
from urllib3 import PoolManager


class DataPlaneTest(FrozenTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.stage = EcsStage(cls.client)
        cls.pool = PoolManager()

    def get(self, path: str, rule: str) -> tuple[int, dict]:
        listener = rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
        port = self.stage.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["Port"]
        balancer = self.stage.elbv2.describe_load_balancers()["LoadBalancers"][0]
        headers = {"Host": balancer["DNSName"], "X-Forwarded-Port": str(port)}
        answer = self.pool.request("GET", self.server.endpoint + path, headers=headers, retries=False)
        return answer.status, json.loads(answer.data)

    def service(self, name: str, tag: str) -> dict:
        colours = self.stage.colours(name)
        definition = self.stage.task_definition(tag)
        balancers = [self.stage.load_balancer(colours)]
        self.stage.ecs.create_service(**self.stage.request(name, definition, loadBalancers=balancers))
        self.advance(600)
        return colours

    def test_a_task_answers_once_it_is_healthy(self):
        colours = self.stage.colours("empty")
        self.assertEqual(503, self.get("/", colours["production"])[0])
        colours = self.service("well", "1")
        status, answer = self.get("/orders", colours["production"])
        self.assertEqual((200, "/orders"), (status, answer["path"]))

    def test_a_broken_program_passes_its_health_check_alone(self):
        colours = self.service("wrong", "2-broken")
        self.assertEqual(200, self.get("/", colours["production"])[0], "the group's health check asks for /")
        self.assertEqual(500, self.get("/orders", colours["production"])[0])

    def test_other_hosts_are_aws(self):
        self.assertEqual([CLUSTER], [arn.rpartition("/")[2] for arn in self.stage.ecs.list_clusters()["clusterArns"]])
