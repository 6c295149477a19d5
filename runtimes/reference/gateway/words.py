"""What the blocks of a token say, in datalog, and again in words.

The datalog is what any library of Biscuit enforces.  The words are the same as data: they tell
why a request is refused, and the datalog of a block must be what follows from its words.  So a
token can hold no block that the gateway would not have written itself.  That matters because
datalog is a program, and the limits of the library do not reach into a single join: a block of
1 kB can keep the gateway busy for as long as its author likes.
"""

from __future__ import annotations

import re

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from biscuit_auth import BiscuitBuilder, BlockBuilder

from runtimes.reference.gateway.clock import Moment
from runtimes.reference.gateway.errors import GrantError
from runtimes.reference.gateway.grant import INT64, LONGEST, MOST, Bound, Grant, OneOf, Within


VERSION = 1
SAID = re.compile(r'\Awords\("([A-Za-z0-9_=-]+)"\);\n')

Terms: TypeAlias = dict[str, Any]


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


def root_block(root: Root) -> BiscuitBuilder:
    """Return the first block of a token."""
    lines = [
        "words({words});",
        "check if run({run});",
        "check if peer({peer});",
        "check if fence($fence), $fence <= {epoch};",
        "check if age($age), 0 <= $age, $age < {ttl_ms};",
    ]
    terms: Terms = {
        "words": _text(root_words(root)),
        "run": root.run,
        "peer": root.peer,
        "epoch": root.epoch,
        "ttl_ms": root.ttl_ms,
    }
    for number, grant in enumerate(root.grants):
        lines.append(f"granted({number}) <- {_conditions(number, grant, terms)};")
    return BiscuitBuilder("\n".join(lines), terms)


def narrowing_block(narrowing: Narrowing) -> BlockBuilder:
    """Return a block that is added to a token: checks only, since it has nothing to give."""
    lines = ["words({words});"]
    terms: Terms = {"words": _text(narrowing_words(narrowing))}
    if narrowing.grants is not None:
        cases = [_conditions(*case, terms) for case in enumerate(narrowing.grants)]
        lines.append(f"check if {' or '.join(cases)};")
    if narrowing.ttl_ms is not None:
        lines.append("check if age($age), $age < {ttl_ms};")
        terms["ttl_ms"] = narrowing.ttl_ms
    return BlockBuilder("\n".join(lines), terms)


def root_words(root: Root) -> dict[str, Any]:
    """Return the words of a first block."""
    issued = [root.issued.wall_ms, root.issued.mono_ns, root.issued.life]
    return {
        "v": VERSION,
        "run": root.run,
        "peer": root.peer,
        "epoch": root.epoch,
        "issued": issued,
        "ttl_ms": root.ttl_ms,
        "grants": [_grant_words(grant) for grant in root.grants],
    }


def narrowing_words(narrowing: Narrowing) -> dict[str, Any]:
    """Return the words of an added block."""
    grants = narrowing.grants
    return {
        "v": VERSION,
        "ttl_ms": narrowing.ttl_ms,
        "grants": None if grants is None else [_grant_words(grant) for grant in grants],
    }


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


def read_narrowing(source: str) -> Narrowing:
    """Return what an added block says, if its datalog says just that.

    Raises:
        ValueError: it says something else.

    """
    words = _read(source)
    grants = words["grants"]
    narrowing = Narrowing(
        grants=None if grants is None else tuple(_grants(grants)), ttl_ms=words["ttl_ms"]
    )
    if repr(narrowing_block(narrowing)) != source:
        msg = "its datalog is not what its words say"
        raise ValueError(msg)
    return narrowing


def _conditions(number: int, grant: Grant, terms: Terms) -> str:
    """Return when a grant applies; its values go to ``terms``, never into the text."""
    terms[f"op{number}"], terms[f"target{number}"] = grant.op, grant.target
    parts = [f"op({{op{number}}})"]
    if grant.below:
        parts += ["target($target)", f"$target.starts_with({{target{number}}})"]
    else:
        parts.append(f"target({{target{number}}})")
    for place, bound in enumerate(grant.bounds):
        parts += _bound(f"{number}_{place}", bound, terms)
    return ", ".join(parts)


def _bound(number: str, bound: Bound, terms: Terms) -> Iterator[str]:
    terms[f"arg{number}"] = bound.arg
    match bound:
        case Within():
            terms[f"low{number}"], terms[f"high{number}"] = bound.low, bound.high
            yield f"int_arg({{arg{number}}}, $value{number})"
            yield f"{{low{number}}} <= $value{number}"
            yield f"$value{number} <= {{high{number}}}"
        case OneOf():
            # A list, not a set: that is printed in the order of a table nobody else has.
            terms[f"values{number}"] = [*bound.values]
            yield f"text_arg({{arg{number}}}, $value{number})"
            yield f"{{values{number}}}.contains($value{number})"


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
    return urlsafe_b64encode(orjson.dumps(words, option=orjson.OPT_SORT_KEYS)).decode()


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
