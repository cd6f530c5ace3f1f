"""FilterLogEvents: prefixes, patterns, pages, events of all streams by time."""

import json
import time
import unittest

from support import SandboxTest

GROUP = "/ecs/order-api-dev"
ONE, TWO = "ecs/order-api/1a2b", "ecs/order-api/3c4d"


class FilterLogEventsTest(SandboxTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.logs = cls.client("logs")
        cls.logs.create_log_group(logGroupName=GROUP)
        cls.start = int(time.time() * 1000) - 60_000
        lines = {
            ONE: [(0, {"level": "info", "message": "starting"}), (200, {"level": "error", "code": 503})],
            TWO: [(100, {"level": "warn", "message": "slow order"}), (300, "not able to serve")],
        }
        for stream, events in lines.items():
            cls.logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
            entries = [
                {"timestamp": cls.start + offset, "message": text if isinstance(text, str) else json.dumps(text)}
                for offset, text in events
            ]
            cls.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=entries)

    def offsets(self, **arguments) -> list[int]:
        events = self.logs.filter_log_events(logGroupName=GROUP, **arguments)["events"]
        return [event["timestamp"] - self.start for event in events]

    def test_events_of_all_streams_come_by_time_and_by_pages(self):
        self.assertEqual([0, 100, 200, 300], self.offsets())
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 3})
        self.assertEqual([3, 1], [len(page["events"]) for page in pages])
        self.assertEqual([200, 300], self.offsets(startTime=self.start + 150))

    def test_a_prefix_narrows_the_streams(self):
        self.assertEqual([0, 200], self.offsets(logStreamNamePrefix="ecs/order-api/1a"))
        self.assertEqual([], self.offsets(logStreamNamePrefix="ecs/other"))
        self.assert_refused(
            "InvalidParameterException",
            self.logs.filter_log_events,
            logGroupName=GROUP,
            logStreamNames=[ONE],
            logStreamNamePrefix="ecs",
        )
        self.assert_refused(
            "ResourceNotFoundException", self.logs.filter_log_events, logGroupName="/nowhere", logStreamNamePrefix="ecs"
        )

    def test_patterns_of_words_and_of_fields(self):
        for pattern, expected in {
            "order": [100],
            '"not able"': [300],
            "level -warn": [0, 200],
            "?slow ?starting": [0, 100],
            '{ $.level = "error" }': [200],
            "{ $.code >= 500 && $.level != warn }": [200],
            '{ $.level = "w*" || $.message = "starting" }': [0, 100],
        }.items():
            with self.subTest(pattern):
                self.assertEqual(expected, self.offsets(filterPattern=pattern))

    def test_what_cannot_be_read_is_refused(self):
        for pattern in ('"open', "{ $.level = ", "{ level }", "[ip"):
            with self.subTest(pattern):
                self.assert_refused(
                    "InvalidParameterException", self.logs.filter_log_events, logGroupName=GROUP, filterPattern=pattern
                )


if __name__ == "__main__":
    unittest.main()
