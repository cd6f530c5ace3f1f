"""Collects what is not as the contract says, one line per fact."""

import boto3
from botocore.config import Config


class Facts:
    """The facts about one stack: its suffix, its clients, and what was found wrong."""

    def __init__(self, suffix: str, user_tags: dict[str, str], outputs: dict[str, str]) -> None:
        self.suffix = suffix
        self.user_tags = user_tags
        self.outputs = outputs
        self.checked = 0
        self.wrong: list[str] = []
        self.nodes: dict[str, str] = {}
        self._clients: dict[str, object] = {}

    def client(self, service: str):
        if service not in self._clients:
            self._clients[service] = boto3.client(service, config=Config(retries={"total_max_attempts": 1}))
        return self._clients[service]

    def name(self, base: str) -> str:
        return f"{base}-{self.suffix}"

    def holds(self, what: str, is_so: bool, found: object = "") -> None:
        """Notes a fact that does not hold."""
        self.checked += 1
        if not is_so:
            self.wrong.append(f"{what}: {found}" if found != "" else what)

    def equal(self, what: str, expected: object, found: object) -> None:
        self.holds(f"{what} is to be {expected!r}", expected == found, f"it is {found!r}")

    def one(self, what: str, found: list) -> dict | None:
        """Returns the only element, or notes that there is none or are several."""
        self.holds(f"there is exactly one {what}", len(found) == 1, f"found {len(found)}")
        return found[0] if len(found) == 1 else None

    def answer(self, what: str, call, **arguments):
        """Returns what a call answers, or notes that it is refused."""
        try:
            return call(**arguments)
        except Exception as error:  # every refusal is a missing resource here
            self.holds(f"{what} exists", False, error)
            return None

    def tags(self, what: str, found: dict[str, str], name: str, **extra: str) -> None:
        """The six standard tags, the user's own, the given further ones, and nothing else."""
        node = found.get("orderctl:node", "")
        expected = {
            "Name": name,
            "Project": "order-api",
            "Environment": self.suffix,
            "ManagedBy": "orderctl",
            "orderctl:stack": self.suffix,
            "orderctl:node": node or "(a logical id)",
            **self.user_tags,
            **extra,
        }
        ours = {key: value for key, value in found.items() if not key.startswith("aws:")}
        self.equal(f"tags of {what}", expected, ours)
        self.holds(f"the node of {what} is its own", node not in self.nodes, f"{node} is also {self.nodes.get(node)}")
        self.nodes[node] = what


def pairs(tags: list[dict]) -> dict[str, str]:
    """Turns any of AWS's lists of tags into a dictionary."""
    return {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) for tag in tags}
