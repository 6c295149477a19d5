"""The blocks of a token, in datalog: what any library of Biscuit enforces.

Each block has its words too, which tell why a request is refused, and its datalog must be what
follows from them.  So a token can hold no block that the gateway would not have written itself.
That matters because datalog is a program, and the limits of the library do not reach into a
single join: a block of 1 kB can keep the gateway busy for as long as its author likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from biscuit_auth import BiscuitBuilder, BlockBuilder

from runtimes.reference.gateway.grant import Bound, Grant, OneOf, Within
from runtimes.reference.gateway.words import (
    Narrowing,
    Root,
    narrowing_words,
    read_narrowing_words,
    root_words,
)


Terms: TypeAlias = dict[str, Any]


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
        "words": root_words(root),
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
    terms: Terms = {"words": narrowing_words(narrowing)}
    if narrowing.grants is not None:
        cases = [_conditions(*case, terms) for case in enumerate(narrowing.grants)]
        lines.append(f"check if {' or '.join(cases)};")
    if narrowing.ttl_ms is not None:
        lines.append("check if age($age), $age < {ttl_ms};")
        terms["ttl_ms"] = narrowing.ttl_ms
    return BlockBuilder("\n".join(lines), terms)


def read_narrowing(source: str) -> Narrowing:
    """Return what an added block says, if its datalog says just that.

    Raises:
        ValueError: it says something else.

    """
    narrowing = read_narrowing_words(source)
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
