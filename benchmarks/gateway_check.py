"""What a check costs at the gateway: against what a signature costs, and on a machine that is busy.

Rounds of all kinds alternate, so that a noisy machine hits each; a figure is in microseconds, with
the ratio of its median to the raw Ed25519 beside it.  Raw Ed25519 is the smallest token that
the library reads and verifies, which is one signature and little else.  Then all cores are kept
busy while valid requests are checked: none may be refused.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import statistics
import subprocess
import sys
import time

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from biscuit_auth import Biscuit, BiscuitBuilder

from runtimes.reference.gateway.clock import SystemClock, Watch
from runtimes.reference.gateway.errors import RefusedError, UnjudgedError
from runtimes.reference.gateway.grant import Grant, OneOf, Within
from runtimes.reference.gateway.judges import Request, datalog_allows
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.token import attenuate, mint, read
from runtimes.reference.gateway.warden import Warden


ROUNDS, EACH = 20, 50
VALID, SHORT = 50_000, 5_000
REVOKED = 100_000
GRANTS = (
    Grant("dns.update", "zone:example.com/"),
    Grant("wire.send", "account:42", (Within("amount", 5_000), OneOf("to", ("landlord", "tax")))),
)


class Bench:
    """A gateway with many revocations, and tokens of one, two and four blocks."""

    def __init__(self) -> None:
        """Make all of it."""
        self.keyring = Keyring.make()
        self.watch = Watch(SystemClock())
        self.revocations = Revocations(
            hashlib.sha512(str(number).encode()).hexdigest() for number in range(REVOKED)
        )
        self.warden = Warden(self.keyring, self.revocations)
        self.tokens = [
            mint(
                self.keyring,
                run="r1",
                epoch=3,
                peer="uid:1000",
                grants=GRANTS,
                issued_at=self.watch.now(),
                ttl_s=3600,
            )
        ]
        for _ in range(3):
            self.tokens.append(attenuate(self.tokens[-1], self.keyring.shared(), grants=GRANTS))
        args = {"amount": 4_000, "to": "tax"}
        self.good = self._request("wire.send", "account:42", args)
        self.bad = self._request("wire.send", "account:42", {**args, "amount": 5_001})

    @staticmethod
    def _request(op: str, target: str, args: dict[str, int | str]) -> Request:
        return Request(run="r1", peer="uid:1000", fence=3, op=op, target=target, args={**args})

    def check(self, token: str) -> None:
        """Judge a valid request."""
        self.warden.check(token, self.good, self.watch.now())

    def first(self, token: str) -> None:
        """Judge it as if the token had never been seen."""
        Warden(self.keyring, self.revocations).check(token, self.good, self.watch.now())

    def refuse(self) -> None:
        """Judge one that is out of bounds."""
        try:
            self.warden.check(self.tokens[0], self.bad, self.watch.now())
        except RefusedError:
            return
        msg = "expected a refusal, saw a permit"
        raise AssertionError(msg)


def kinds(bench: Bench) -> dict[str, Callable[[], object]]:
    """Return what is compared, the raw signature first."""
    key = bench.keyring.signing()[1]
    raw, public = BiscuitBuilder("a(1)").build(key).to_bytes(), bench.keyring.public(1)
    one, two, _, four = bench.tokens
    return {
        "raw Ed25519": lambda: Biscuit.from_bytes(raw, public),
        "raw HMAC-SHA256": lambda: hmac.digest(b"k" * 32, raw, "sha256"),
        "check, 1 block": lambda: bench.check(one),
        "check, 2 blocks": lambda: bench.check(two),
        "check, 4 blocks": lambda: bench.check(four),
        "first check, 1 block": lambda: bench.first(one),
        "first check, 2 blocks": lambda: bench.first(two),
        "refusal, 1 block": bench.refuse,
    }


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Return the microseconds of each of so many calls."""
    took = []
    for _ in range(times):
        began_ns = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - began_ns) / 1000)
    return took


def figures(took: list[float]) -> str:
    """Return the median, the tails and the worst."""
    cuts = statistics.quantiles(took, n=100)
    return (
        f"p50 {statistics.median(took):6.0f}  p90 {cuts[89]:6.0f}  p99 {cuts[98]:6.0f}  "
        f"max {max(took):7.0f} us"
    )


def compare(bench: Bench) -> None:
    """Print what each kind takes, in alternating rounds."""
    works = kinds(bench)
    took: dict[str, list[float]] = {name: [] for name in works}
    ratios: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        rounds = {name: timed(work, EACH) for name, work in works.items()}
        raw = statistics.median(rounds["raw Ed25519"])
        for name, times in rounds.items():
            took[name] += times
            ratios[name].append(statistics.median(times) / raw)
    for name, times in took.items():
        print(f"{name:22} {figures(times)}  {statistics.median(ratios[name]):5.2f} raw")


@contextmanager
def busy() -> Iterator[None]:
    """Keep each core busy meanwhile."""
    loops = [
        subprocess.Popen([sys.executable, "-ISc", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def under_load(bench: Bench) -> int:
    """Print how valid requests fare while all cores are busy; return how many had no permit."""
    refused = unjudged = 0
    took = []
    token = bench.tokens[1]
    for _ in range(VALID):
        began_ns = time.perf_counter_ns()
        try:
            bench.check(token)
        except RefusedError:
            refused += 1
        except UnjudgedError:
            unjudged += 1
        took.append((time.perf_counter_ns() - began_ns) / 1000)
    print(f"busy: {VALID} valid checks: {refused} refused, {unjudged} unjudged; {figures(took)}")
    return refused + unjudged


def short_limit(bench: Bench) -> None:
    """Print what the library's own limit of 1 ms would do to valid requests."""
    token, unjudged = read(bench.tokens[1], bench.keyring), 0
    for _ in range(SHORT):
        try:
            datalog_allows(token, bench.good, age=0, limit_ms=1)
        except UnjudgedError:
            unjudged += 1
    print(f"busy: with a limit of 1 ms and one try, {unjudged} of {SHORT} would be unjudged")


def main() -> int:
    """Print the figures; return 1 if a valid request was not permitted."""
    bench = Bench()
    print(
        f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {sys.platform}, "
        f"tokens of {', '.join(str(len(token)) for token in bench.tokens)} characters, "
        f"{REVOKED} revoked"
    )
    compare(bench)
    with busy():
        failed = under_load(bench)
        short_limit(bench)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
