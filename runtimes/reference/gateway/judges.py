"""The two judges of a request: the words of its token, and its datalog.

The words tell why a request is refused.  The datalog says whether, and where the machine was too
busy for the limits of the library it says nothing: that is no verdict, and never a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from biscuit_auth import AuthorizationError, AuthorizerBuilder

from harness.effects import Json
from runtimes.reference.gateway.clock import SKEW_MS, Moment, age_ms
from runtimes.reference.gateway.errors import Reason, RefusedError, UnjudgedError
from runtimes.reference.gateway.grant import INT64, is_operation, is_target, seen
from runtimes.reference.gateway.token import Token


LIMIT_MS = 250
"""How long datalog may take; with the library's 1 ms a busy machine refuses valid tokens."""
DENIED = "authorization failed"
"""How the library begins when it has judged; whatever else it raises is no verdict."""
POLICY = "allow if granted($grant); deny if true;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for; ``peer``, ``run`` and ``fence`` are what the gateway knows by itself.

    ``fence`` is the epoch of the run: tokens of an older one are refused.
    """

    run: str
    peer: str
    fence: int
    op: str
    target: str
    args: Mapping[str, Json] = field(default_factory=dict)


def explain(token: Token, request: Request, now: Moment, skew_ms: int = SKEW_MS) -> int:
    """Return the age of a token whose words allow a request.

    Raises:
        RefusedError: they do not, and why.

    """
    root = token.root
    if request.run != root.run:
        raise _refused(Reason.WRONG_RUN, f"a token of run {seen(request.run)}", seen(root.run))
    if request.peer != root.peer:
        raise _refused(Reason.WRONG_PEER, f"the peer {seen(root.peer)}", seen(request.peer))
    if request.fence > root.epoch:
        raise _refused(Reason.FENCED, f"epoch {request.fence} or later", f"{root.epoch}")
    age = age_ms(root.issued, now, skew_ms)
    if age >= token.ttl_ms:
        raise _refused(Reason.EXPIRED, f"an age below {token.ttl_ms} ms", f"{age} ms")
    named = [
        [grant for grant in grants if grant.names(request.op, request.target)]
        for grants in token.allowed
    ]
    if not all(named):
        saw = f"{seen(request.op)} on {seen(request.target)}"
        raise _refused(Reason.OUT_OF_SCOPE, "an operation and a target that are granted", saw)
    for grants in named:
        if not any(grant.holds(request.args) for grant in grants):
            # Values stay out of the message: an argument may be a secret.
            names = sorted({bound.arg for grant in grants for bound in grant.bounds})
            saw = f"others for {seen(request.op)}"
            raise _refused(Reason.OUT_OF_BOUNDS, f"arguments {names} within bounds", saw)
    return age


def datalog_allows(token: Token, request: Request, age: int, limit_ms: int = LIMIT_MS) -> bool:
    """Say whether the datalog of a token allows a request.

    Raises:
        UnjudgedError: it came to no verdict.

    """
    terms: dict[str, Any] = {"fence": request.fence, "age": age}
    lines = ["fence({fence}); age({age});"]
    # Without a fact of it nothing applies to it: so is what no token can name.
    for name, text, known in (
        ("run", request.run, request.run.isprintable()),
        ("peer", request.peer, request.peer.isprintable()),
        ("op", request.op, is_operation(request.op)),
        ("target", request.target, is_target(request.target)),
    ):
        if known:
            lines.append(f"{name}({{{name}}});")
            terms[name] = text
    # Only what is bounded, however many arguments there are: the library counts facts.
    bounds = {bound for grants in token.allowed for grant in grants for bound in grant.bounds}
    for number, name in enumerate(sorted({bound.arg for bound in bounds})):
        value = request.args.get(name)
        if type(value) is int and -INT64 <= value < INT64:
            lines.append(f"int_arg({{name{number}}}, {{value{number}}});")
        elif type(value) is str and value.isprintable():
            lines.append(f"text_arg({{name{number}}}, {{value{number}}});")
        else:
            continue
        terms[f"name{number}"], terms[f"value{number}"] = name, value
    builder = AuthorizerBuilder("".join([*lines, POLICY]), terms)
    limits = builder.limits()  # type: ignore[attr-defined] # the stubs leave it out
    limits.max_time = timedelta(milliseconds=limit_ms)
    builder.set_limits(limits)  # type: ignore[attr-defined] # the same
    try:
        builder.build(token.biscuit).authorize()
    except AuthorizationError as error:
        if str(error).startswith(DENIED):
            return False
        msg = f"expected a verdict within {limit_ms} ms, saw: {error}; ask again"
        raise UnjudgedError(msg) from error
    return True


def _refused(reason: Reason, expected: str, saw: str) -> RefusedError:
    return RefusedError(reason, f"expected {expected}, saw {saw}; have a token issued for this")
