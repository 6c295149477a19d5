"""What the blocks of a token say, as data: one text for each block, with a version."""

from __future__ import annotations

import re

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from runtimes.reference.gateway.clock import Moment
from runtimes.reference.gateway.errors import GrantError
from runtimes.reference.gateway.grant import INT64, LONGEST, MOST, Bound, Grant, OneOf, Within


VERSION = 1
SAID = re.compile(r'\Awords\("([A-Za-z0-9_=-]+)"\);\n')


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What an added block takes away: all but these grants, all but the first ``ttl_ms``."""

    grants: tuple[Grant, ...] | None = None
    ttl_ms: int | None = None

    def __post_init__(self) -> None:
        if self.grants is None and self.ttl_ms is None:
            msg = "expected grants, a shorter time, or both; a block that says nothing is of no use"
            raise GrantError(msg)
        _check(self.grants, self.ttl_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What the first block gives, to whom, and for how long."""

    run: str
    peer: str
    epoch: int
    issued: Moment
    ttl_ms: int
    grants: tuple[Grant, ...]

    def __post_init__(self) -> None:
        _check(self.grants, self.ttl_ms)
        named = all(
            name.isprintable() and 0 < len(name) <= LONGEST for name in (self.run, self.peer)
        )
        if not named or not (type(self.epoch) is int and 0 <= self.epoch < INT64):
            msg = f"expected a run and a peer with printable names of at most {LONGEST} characters"
            msg += ", and an epoch of at least 0"
            raise GrantError(msg)


def root_words(root: Root) -> str:
    """Return the words of a first block."""
    issued = [root.issued.wall_ms, root.issued.mono_ns, root.issued.life]
    return _text(
        {
            "run": root.run,
            "peer": root.peer,
            "epoch": root.epoch,
            "issued": issued,
            "ttl_ms": root.ttl_ms,
            "grants": [_grant_words(grant) for grant in root.grants],
        }
    )


def narrowing_words(narrowing: Narrowing) -> str:
    """Return the words of an added block."""
    grants = narrowing.grants
    words = None if grants is None else [_grant_words(grant) for grant in grants]
    return _text({"ttl_ms": narrowing.ttl_ms, "grants": words})


def read_narrowing_words(source: str) -> Narrowing:
    """Return what the words of an added block say.

    Raises:
        ValueError: it says nothing that this version knows.

    """
    words = _read(source)
    grants = words["grants"]
    return Narrowing(
        grants=None if grants is None else tuple(_grants(grants)), ttl_ms=words["ttl_ms"]
    )


def read_root(source: str) -> Root:
    """Return what a first block says.

    Raises:
        ValueError: it says nothing that this version knows.

    """
    words = _read(source)
    wall_ms, mono_ns, life = words["issued"]
    return Root(
        run=words["run"],
        peer=words["peer"],
        epoch=words["epoch"],
        issued=Moment(wall_ms=wall_ms, mono_ns=mono_ns, life=life),
        ttl_ms=words["ttl_ms"],
        grants=tuple(_grants(words["grants"])),
    )


def _grant_words(grant: Grant) -> list[Any]:
    bounds = [
        [bound.arg, bound.low, bound.high]
        if isinstance(bound, Within)
        else [bound.arg, bound.values]
        for bound in grant.bounds
    ]
    return [grant.op, grant.target, bounds]


def _grants(words: list[Any]) -> Iterator[Grant]:
    for op, target, bounds in words:
        yield Grant(op, target, tuple(_read_bound(*bound) for bound in bounds))


def _read_bound(arg: str, *rest: object) -> Bound:
    match rest:
        case [int(low), int(high)]:
            return Within(arg, high, low)
        case [list(values)]:
            return OneOf(arg, tuple(values))
    msg = "a bound that this version does not know"
    raise ValueError(msg)


def _text(words: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(
        orjson.dumps({"v": VERSION, **words}, option=orjson.OPT_SORT_KEYS)
    ).decode()


def _read(source: str) -> dict[str, Any]:
    said = SAID.match(source)
    if not said:
        msg = "it does not begin with words"
        raise ValueError(msg)
    words = orjson.loads(urlsafe_b64decode(said[1]))
    if not isinstance(words, dict) or words.get("v") != VERSION:
        msg = f"expected words of version {VERSION}; have the token issued anew"
        raise ValueError(msg)
    return words


def _check(grants: tuple[Grant, ...] | None, ttl_ms: int | None) -> None:
    if grants is not None and not 1 <= len(grants) <= MOST:
        msg = f"expected 1 to {MOST} grants, saw {len(grants)}; who may do nothing needs no token"
        raise GrantError(msg)
    if ttl_ms is not None and not (type(ttl_ms) is int and 0 < ttl_ms < INT64):
        msg = f"expected a time to live of at least 1 ms, saw {ttl_ms} ms"
        raise GrantError(msg)
