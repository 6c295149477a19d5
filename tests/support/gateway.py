"""A gateway as tests need it: clocks that are set by hand, a keyring, tokens and requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runtimes.reference.gateway.clock import Watch
from runtimes.reference.gateway.grant import Grant, OneOf, Within
from runtimes.reference.gateway.judges import Request, datalog_allows
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.token import Token, attenuate, mint
from runtimes.reference.gateway.warden import Permit, Warden


GRANTS = (
    Grant("dns.update", "zone:example.com/"),
    Grant("dns.get", "zone:example.com/app"),
    Grant("wire.send", "account:42", (Within("amount", 5_000), OneOf("to", ("landlord", "tax")))),
)


@dataclass
class HandClock:
    """Clocks that stand still until they are moved."""

    life: str = "one"
    wall: int = 1_700_000_000_000
    mono: int = 5_000_000_000

    def wall_ms(self) -> int:
        return self.wall

    def mono_ns(self) -> int:
        return self.mono

    def pass_ms(self, passed: int) -> None:
        """Let time pass, on both clocks."""
        self.wall += passed
        self.mono += passed * 1_000_000


def ask(**more: Any) -> Request:
    """Return a request that a token of ``Gateway.token`` allows."""
    fields: dict[str, Any] = {
        "run": "r1",
        "peer": "uid:1000",
        "fence": 3,
        "op": "dns.update",
        "target": "zone:example.com/app",
    }
    return Request(**{**fields, **more})


def wire(**more: Any) -> Request:
    """Return a request whose arguments are bounded."""
    args = {"amount": 4_000, "to": "landlord", **more}
    return ask(op="wire.send", target="account:42", args=args)


def datalog(token: Token, request: Request, age: int = 0) -> bool:
    """Judge by datalog alone, with time enough on any machine."""
    return datalog_allows(token, request, age, limit_ms=60_000)


@dataclass
class Gateway:
    """All that a token meets."""

    clock: HandClock = field(default_factory=HandClock)
    keyring: Keyring = field(default_factory=Keyring.make)
    revocations: Revocations = field(default_factory=Revocations)

    def __post_init__(self) -> None:
        self.watch = Watch(self.clock)
        self.warden = Warden(self.keyring, self.revocations)

    def restart(self) -> None:
        """Begin another life of the machine, with the same keys and what was seen."""
        self.clock.life += "+"
        self.watch = Watch(self.clock, self.watch.seen_ms)
        self.warden = Warden(self.keyring, self.revocations)

    def token(self, **more: Any) -> str:
        """Return a token that allows ``GRANTS`` for a minute."""
        fields: dict[str, Any] = {
            "run": "r1",
            "epoch": 3,
            "peer": "uid:1000",
            "grants": GRANTS,
            "issued_at": self.watch.now(),
            "ttl_s": 60,
        }
        return mint(self.keyring, **{**fields, **more})

    def child(self, token: str, **more: Any) -> str:
        """Return a narrower token, made with what a child has."""
        return attenuate(token, self.keyring.shared(), **more)

    def check(self, token: str, request: Request | None = None) -> Permit:
        """Judge a request now."""
        return self.warden.check(token, request or ask(), self.watch.now())
