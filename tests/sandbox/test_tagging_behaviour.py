"""GetResources lags behind the services when they are eventually consistent."""

import unittest

from support import FrozenTest

TAGS = {"orderctl:stack": "dev"}


class IndexTest(FrozenTest):
    OPTIONS = ("--control", "--lag", "10")

    def setUp(self):
        self.logs = self.client("logs")

    def found(self):
        answer = self.client("resourcegroupstaggingapi").get_resources(
            TagFilters=[{"Key": "orderctl:stack", "Values": ["dev"]}]
        )
        return {
            item["ResourceARN"].rpartition(":")[2]: {tag["Key"]: tag["Value"] for tag in item["Tags"]}
            for item in answer["ResourceTagMappingList"]
        }

    def group(self, name):
        self.logs.create_log_group(logGroupName=name, tags=TAGS)
        return f"arn:aws:logs:us-east-1:123456789012:log-group:{name}"

    def test_new_then_changed_then_gone(self):
        arn = self.group("/one")
        self.assertEqual({}, self.found())
        self.advance(19)
        self.assertEqual({}, self.found())
        self.advance(1)
        self.assertEqual({"/one": TAGS}, self.found())
        self.logs.tag_resource(resourceArn=arn, tags={"a": "1"})
        self.assertEqual({"/one": TAGS}, self.found())
        self.advance(20)
        self.assertEqual({"/one": {**TAGS, "a": "1"}}, self.found())
        self.logs.delete_log_group(logGroupName="/one")
        self.advance(9)
        self.assertEqual({"/one": {**TAGS, "a": "1"}}, self.found())
        self.advance(1)
        self.assertEqual({}, self.found())

    def test_what_came_and_went_never_shows(self):
        self.group("/short")
        self.advance(5)
        self.logs.delete_log_group(logGroupName="/short")
        for _ in range(5):
            self.advance(5)
            self.assertEqual({}, self.found())

    def test_what_was_made_again_shows_as_it_is(self):
        self.group("/again")
        self.advance(20)
        self.logs.delete_log_group(logGroupName="/again")
        self.advance(5)
        self.logs.create_log_group(logGroupName="/again", tags={**TAGS, "second": "yes"})
        self.advance(20)
        self.assertEqual({"/again": {**TAGS, "second": "yes"}}, self.found())
        self.logs.delete_log_group(logGroupName="/again")
        self.advance(10)


class SwitchTest(FrozenTest):
    def test_the_lag_can_be_switched_on_and_off(self):
        logs, tagging = self.client("logs"), self.client("resourcegroupstaggingapi")

        def found():
            return len(tagging.get_resources()["ResourceTagMappingList"])

        logs.create_log_group(logGroupName="/before", tags=TAGS)
        self.assertEqual(1, found())
        self.server.control("consistency", {"lag": 10})
        logs.create_log_group(logGroupName="/after", tags=TAGS)
        self.assertEqual(1, found(), "what was there before stays")
        self.server.control("consistency", {"lag": 0})
        self.assertEqual(2, found())


if __name__ == "__main__":
    unittest.main()
