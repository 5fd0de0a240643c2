"""The list of scenarios: each a function of a Case, which gives it subscribers, phones, the server and a folder."""

import dataclasses
from collections.abc import Callable

from users import EVERYDAY

IPV4, IPV6 = ("127.0.0.1",), ("::1",)
SCENARIOS = []


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`server` names the server it runs against, None for one of its own, with these kinds of users.

    `trunk` gives a server of its own a SIP trunk; `media` says that packets pass through the server, `short_messages` that RPDUs do. Scenarios that answer challenges wrong need a server of their own: it turns away a host with too many of them.
    """

    function: Callable
    server: str | None = "patient"
    transports: tuple = ("udp", "tcp")
    ips: tuple = IPV4 + IPV6
    kinds: tuple = EVERYDAY
    trunk: bool = False
    media: bool = False
    short_messages: bool = False

    @property
    def name(self):
        return self.function.__name__

    def variants(self):
        """Transports and addresses to run it over."""
        return [(transport, ip) for transport in self.transports for ip in self.ips]


def scenario(function=None, **how):
    """Registers a scenario, with what is special about it."""

    def register(function):
        SCENARIOS.append(Scenario(function, **how))
        return function

    return register(function) if function else register
