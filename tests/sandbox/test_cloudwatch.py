"""CloudWatch over CBOR (as the Rust SDK speaks it) and over JSON, and the state of alarms."""

import datetime
import json
import unittest

from botocore.parsers import RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer
from botocore.session import get_session
from support import SandboxTest
from urllib3 import PoolManager

AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"

ALARM = {
    "AlarmName": "order-api-high-errors-dev",
    "AlarmDescription": "5XX from targets",
    "Namespace": "AWS/ApplicationELB",
    "MetricName": "HTTPCode_Target_5XX_Count",
    "Dimensions": [{"Name": "LoadBalancer", "Value": "app/order-api-dev/1"}],
    "Statistic": "Sum",
    "Period": 300,
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "ActionsEnabled": True,
    "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:alarms"],
    "OKActions": ["arn:aws:sns:us-east-1:123456789012:alarms"],
    "InsufficientDataActions": [],
}


class CborClient:
    """Calls CloudWatch in CBOR with botocore's own encoder and decoder, so that ours is measured against another's."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.model = get_session().get_service_model("cloudwatch")
        self.pool = PoolManager()

    def call(self, operation: str, **arguments):
        """Returns status, headers and the parsed answer."""
        operation_model = self.model.operation_model(operation)
        request = RpcV2CBORSerializer().serialize_to_request(arguments, operation_model)
        headers = {**request["headers"], "Authorization": AUTHORIZATION, "x-amzn-query-mode": "true"}
        response = self.pool.request("POST", self.endpoint + request["url_path"], body=request["body"], headers=headers)
        parsed = RpcV2CBORParser().parse(
            {"status_code": response.status, "headers": dict(response.headers), "body": response.data},
            operation_model.output_shape,
        )
        return response.status, response.headers, parsed


class CborTest(SandboxTest):
    def setUp(self):
        self.cbor = CborClient(self.server.endpoint)

    def test_alarm_round_trip(self):
        tags = [{"Key": "Project", "Value": "order-api"}]
        status, headers, _ = self.cbor.call("PutMetricAlarm", **ALARM, Tags=tags)
        self.assertEqual((200, "rpc-v2-cbor"), (status, headers["smithy-protocol"]))
        _, _, answer = self.cbor.call("DescribeAlarms", AlarmNames=[ALARM["AlarmName"]])
        alarm = answer["MetricAlarms"][0]
        self.assert_echoes(ALARM, alarm)
        self.assertEqual("INSUFFICIENT_DATA", alarm["StateValue"])
        self.assertIsInstance(alarm["StateUpdatedTimestamp"], datetime.datetime)
        self.assertIsInstance(alarm["Threshold"], float)
        arn = alarm["AlarmArn"]
        self.cbor.call("TagResource", ResourceARN=arn, Tags=[{"Key": "Name", "Value": "x"}])
        self.cbor.call("UntagResource", ResourceARN=arn, TagKeys=["Project"])
        _, _, answer = self.cbor.call("ListTagsForResource", ResourceARN=arn)
        self.assertEqual([{"Key": "Name", "Value": "x"}], answer["Tags"])

    def test_update_keeps_state_and_ignores_tags(self):
        name = "kept"
        self.cbor.call("PutMetricAlarm", **{**ALARM, "AlarmName": name}, Tags=[{"Key": "a", "Value": "1"}])
        self.cbor.call("SetAlarmState", AlarmName=name, StateValue="ALARM", StateReason="test")
        self.cbor.call("PutMetricAlarm", **{**ALARM, "AlarmName": name, "Threshold": 20.0}, Tags=[{"Key": "b", "Value": "2"}])
        _, _, answer = self.cbor.call("DescribeAlarms", AlarmNames=[name])
        alarm = answer["MetricAlarms"][0]
        self.assertEqual(("ALARM", 20.0), (alarm["StateValue"], alarm["Threshold"]))
        _, _, answer = self.cbor.call("ListTagsForResource", ResourceARN=alarm["AlarmArn"])
        self.assertEqual([{"Key": "a", "Value": "1"}], answer["Tags"])

    def test_tags_go_with_the_alarm(self):
        name = "gone"
        self.cbor.call("PutMetricAlarm", **{**ALARM, "AlarmName": name}, Tags=[{"Key": "a", "Value": "1"}])
        arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"
        self.cbor.call("DeleteAlarms", AlarmNames=[name])
        status, _, answer = self.cbor.call("ListTagsForResource", ResourceARN=arn)
        self.assertEqual((404, "ResourceNotFoundException"), (status, answer["Error"]["Code"]))
        self.cbor.call("PutMetricAlarm", **{**ALARM, "AlarmName": name})
        _, _, answer = self.cbor.call("ListTagsForResource", ResourceARN=arn)
        self.assertEqual([], answer["Tags"])

    def test_a_new_dashboard_keeps_its_tags_and_an_update_leaves_them(self):
        def put(tag: str) -> None:
            self.cbor.call("PutDashboard", DashboardName="tagged", DashboardBody="{}", Tags=[{"Key": "made", "Value": tag}])

        def tags() -> list:
            return self.cbor.call("ListTagsForResource", ResourceARN=arn)[2]["Tags"]

        put("first")
        arn = self.cbor.call("GetDashboard", DashboardName="tagged")[2]["DashboardArn"]
        self.assertEqual([{"Key": "made", "Value": "first"}], tags())
        put("second")
        self.assertEqual([{"Key": "made", "Value": "first"}], tags())
        self.cbor.call("DeleteDashboards", DashboardNames=["tagged"])
        self.cbor.call("PutDashboard", DashboardName="tagged", DashboardBody="{}")
        self.assertEqual([], tags())

    def test_dashboard(self):
        body = json.dumps({"widgets": []})
        self.cbor.call("PutDashboard", DashboardName="order-api-dev", DashboardBody=body)
        _, _, answer = self.cbor.call("GetDashboard", DashboardName="order-api-dev")
        self.assertEqual(body, answer["DashboardBody"])
        self.assertTrue(answer["DashboardArn"].endswith(":dashboard/order-api-dev"))
        status, _, _ = self.cbor.call("DeleteDashboards", DashboardNames=["order-api-dev"])
        self.assertEqual(200, status)
        for operation, arguments in (
            ("GetDashboard", {"DashboardName": "order-api-dev"}),
            ("DeleteDashboards", {"DashboardNames": ["order-api-dev"]}),
        ):
            status, headers, answer = self.cbor.call(operation, **arguments)
            self.assertEqual(404, status, operation)
            self.assertEqual("ResourceNotFound;Sender", headers["x-amzn-query-error"])

    def test_metric_data(self):
        now = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.timezone.utc)
        self.cbor.call("PutMetricData", Namespace="OrderAPI/dev", MetricData=[{"MetricName": "PendingOrders", "Value": 7.0, "Timestamp": now}])
        _, _, answer = self.cbor.call(
            "GetMetricData",
            StartTime=now - datetime.timedelta(minutes=5),
            EndTime=now + datetime.timedelta(minutes=5),
            MetricDataQueries=[
                {"Id": "pending", "MetricStat": {"Metric": {"Namespace": "OrderAPI/dev", "MetricName": "PendingOrders"}, "Period": 60, "Stat": "Sum"}}
            ],
        )
        self.assertEqual([7.0], answer["MetricDataResults"][0]["Values"])

    def test_unimplemented_operation_has_a_code(self):
        status, _, answer = self.cbor.call("DescribeAnomalyDetectors")
        self.assertEqual((400, "NotImplemented"), (status, answer["Error"]["Code"]))

    def test_malformed_body(self):
        response = self.cbor.pool.request(
            "POST",
            f"{self.server.endpoint}/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
            body=b"\xbf\x61",
            headers={"Smithy-Protocol": "rpc-v2-cbor", "Authorization": AUTHORIZATION},
        )
        self.assertEqual(400, response.status)


class JsonTest(SandboxTest):
    def test_alarm_with_metric_math_and_extended_statistic(self):
        cloudwatch = self.client("cloudwatch")
        alarm = {k: v for k, v in ALARM.items() if k not in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period")}
        alarm["AlarmName"] = "math"
        alarm["Metrics"] = [
            {"Id": "sum", "Expression": "blue+green", "Label": "5XX", "ReturnData": True},
            {
                "Id": "blue",
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count", "Dimensions": [{"Name": "TargetGroup", "Value": "t/1"}]},
                    "Period": 300,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            },
        ]
        cloudwatch.put_metric_alarm(**alarm)
        self.assert_echoes(alarm, cloudwatch.describe_alarms(AlarmNames=["math"])["MetricAlarms"][0])


if __name__ == "__main__":
    unittest.main()
