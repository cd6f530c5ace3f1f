"""What ``orderctl sandbox start`` can set, checked once at start-up."""

from dataclasses import dataclass, field

#: Sandbox seconds that pass in one real second, unless told otherwise: an ``up`` then takes about ten seconds.
DEFAULT_SPEED = 75.0

#: How long reads miss what was just created once eventual consistency is on, in sandbox seconds.
DEFAULT_LAG = 10.0

#: The limits that AWS sets a new account per region (field guide section 11), by the names users give them here.
DEFAULT_QUOTAS = {
    "elastic-ips": 5,
    "vpcs": 5,
    "internet-gateways": 5,
    "nat-gateways-per-az": 5,
    "fargate-vcpus": 64,
}


class UnsuitableSetting(Exception):
    """A setting that cannot be; the message says what is allowed."""


@dataclass(frozen=True)
class Settings:
    """How the sandbox behaves, for the life of its process."""

    #: Sandbox seconds in one real second; 0 lets nothing take any time.
    speed: float = DEFAULT_SPEED
    #: Sandbox seconds for which reads miss what was just created; 0 switches eventual consistency off.
    lag: float = 0.0
    #: Limit by name; every name of ``DEFAULT_QUOTAS`` is there.
    quotas: dict[str, int] = field(default_factory=lambda: dict(DEFAULT_QUOTAS))
    #: Whether the control endpoint answers.
    control: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.speed <= 1_000_000:
            raise UnsuitableSetting(f"the speed is {self.speed:g}; it can be 0 (nothing takes time) to 1000000")
        if not 0 <= self.lag <= 600:
            raise UnsuitableSetting(f"the lag of reads is {self.lag:g} s; it can be 0 (off) to 600")
        if self.lag and not self.speed:
            raise UnsuitableSetting("eventual consistency needs time to pass: the speed cannot be 0 with it")
        for name, limit in self.quotas.items():
            if name not in DEFAULT_QUOTAS:
                raise UnsuitableSetting(f"there is no quota '{name}'; there are {', '.join(DEFAULT_QUOTAS)}")
            if limit < 0:
                raise UnsuitableSetting(f"the quota '{name}' is {limit}; it cannot be negative")

    def as_json(self) -> dict:
        """The settings as the health path shows them."""
        return {"speed": self.speed, "lag": self.lag, "quotas": self.quotas, "control": self.control}


def parse_quotas(texts: list[str]) -> dict[str, int]:
    """Turns ``NAME=NUMBER`` texts into limits over the defaults."""
    quotas = dict(DEFAULT_QUOTAS)
    for text in texts:
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise UnsuitableSetting(f"'{text}' is no quota; write NAME=NUMBER, as in elastic-ips=5")
        quotas[name] = int(number)
    return quotas
