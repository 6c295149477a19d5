"""What the gateway offers on its two sockets: the table that is served is the one that is told.

A face takes its routes from here, and holds each body to the kind that stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtimes.reference.gateway.client import DAY_S
from runtimes.reference.gateway.errors import Known, Reason
from runtimes.reference.gateway.fields import (
    Either,
    Flag,
    Kind,
    Listed,
    Name,
    Number,
    Record,
)
from runtimes.reference.gateway.grant import INT64, LONGEST, MOST
from runtimes.reference.gateway.request import ATTEMPT, RUN, Codec
from runtimes.reference.gateway.said import BAD_REQUEST, WAYS
from runtimes.reference.gateway.token import LONGEST as LONGEST_TOKEN


JSON, PROBLEM, TEXT = "application/json", "application/problem+json", "text/plain"
YEARS_S = 10 * 366 * DAY_S
"""What is to last longer lasts for ever, and is to be said anew instead."""
RUNS = 1 << 16

BY = {"by": Name(80, empty=True)}
BOUND = Either(
    {
        "values": Record({"arg": Name(64), "values": Listed(Name(LONGEST), "a value", MOST, 1)}),
        "high": Record(
            {"arg": Name(64), "high": Number(-INT64, INT64 - 1, whole=True)},
            {"low": Number(-INT64, INT64 - 1, whole=True)},
        ),
    }
)
GRANT = Record(
    {"op": Name(LONGEST), "target": Name(LONGEST)}, {"bounds": Listed(BOUND, "a bound", MOST)}
)
ADMISSION = Record(
    {
        "run": RUN,
        "peer": RUN,
        "grants": Listed(GRANT, "a grant", MOST, 1),
        "ttl_s": Number(most=YEARS_S),
    },
    {
        "replans": Flag(),
        "approvals": Listed(Name(LONGEST), "an operation", RUNS),
        "approval_s": Number(1, YEARS_S, whole=True),
        "patience_s": Number(0, YEARS_S, whole=True),
        "slots": Listed(Name(LONGEST), "a slot", RUNS),
    },
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: what it says, and its JSON Schema, if it is JSON."""

    what: str
    schema: Mapping[str, Any] | None = None
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One thing that may be asked; ``body`` is what a request has, if it has anything."""

    path: str
    what: str
    body: Kind | None
    answers: Mapping[int, Answer]

    @property
    def method(self) -> str:
        """Return the method: what has a body is sent."""
        return "POST" if self.body else "GET"


TEXTS: Mapping[str, Any] = {"type": "string"}
STATUS: Mapping[str, Any] = {
    "enum": ["ok", "rejected", "throttled", "failed", "hang", "replan", "escalated"]
}
REPLY: Mapping[str, Any] = {
    "type": "object",
    "properties": {"status": STATUS, "value": {}, "etag": TEXTS, "after_s": {"type": "number"}},
    "required": ["status"],
}


def _problem(kinds: Sequence[str], *, settled: bool = False) -> Mapping[str, Any]:
    """Return the schema of a problem; ``settled`` says that nothing was done, in each case."""
    effects = [Known.NOT_DONE] if settled else [*Known]
    return {
        "type": "object",
        "properties": {
            "type": {"enum": [*kinds]},
            "status": {"type": "integer"},
            "detail": TEXTS,
            "effect": {"enum": [str(each) for each in effects]},
        },
        "required": ["type", "status", "detail"] + ["effect"] * settled,
        "additionalProperties": False,
    }


def _object(**fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
    }


def _many(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "additionalProperties": one}


def _ways(status: int) -> list[str]:
    """Return the names of all errors that HTTP says so; a refusal has that of its reason."""
    named = [name for _, name, code in WAYS if code == status and name]
    return named + [str(each) for each in Reason if status == REFUSED]


REFUSED = 403
WHY = {
    400: "it is not JSON, or has two meanings",
    408: "it does not come",
    413: "it is too large",
    415: "it is of another content type, or compressed",
}
BAD = {
    code: Answer(f"No request: {why}.", _problem([BAD_REQUEST], settled=True), PROBLEM)
    for code, why in WHY.items()
}
NO_FIELDS = Answer("No request: its fields.", _problem([BAD_REQUEST], settled=True), PROBLEM)
TROUBLE = Answer("The log or the provider failed: ask again.", _problem(_ways(503)), PROBLEM)
NOT_ALLOWED = Answer("Refused, for good.", _problem(_ways(REFUSED)), PROBLEM)
NOT_NOW = Answer("Not as things stand.", _problem(_ways(409)), PROBLEM)
OTHERWISE = Answer(
    "The fields; another request in the slot; nobody offers it.",
    _problem([BAD_REQUEST, *_ways(422)]),
    PROBLEM,
)


PHASE = Record({"run": RUN, "phase": RUN, "step": Name(empty=True), **ATTEMPT}, {"cell": RUN})


def at_workers(codec: Codec) -> tuple[Route, ...]:
    """Return what workers may ask of a gateway that is spoken to in these words."""
    return (
        Route(
            path="/perform",
            what="Do a step, once. A refusal is 200 `rejected` without Accept of a problem.",
            body=codec.body,
            answers={
                200: Answer("The provider's reply, or a refusal.", REPLY),
                **BAD,
                403: NOT_ALLOWED,
                409: NOT_NOW,
                422: OTHERWISE,
                503: TROUBLE,
            },
        ),
        Route(
            path="/at",
            what="Report a phase of a run.",
            body=PHASE,
            answers={
                200: Answer("It was passed on.", _object()),
                **BAD,
                403: NOT_ALLOWED,
                409: NOT_NOW,
                422: NO_FIELDS,
                503: TROUBLE,
            },
        ),
        Route(
            path="/token",
            what="Give a peer the token of its run, to be narrowed for a child.",
            body=Record({"run": RUN}),
            answers={
                200: Answer("The token.", _object(token=TEXTS)),
                **BAD,
                403: NOT_ALLOWED,
                409: NOT_NOW,
                422: OTHERWISE,
                503: TROUBLE,
            },
        ),
    )


SAID = {code: Answer(f"No request: {why}.", media=TEXT) for code, why in WHY.items()} | {
    422: Answer("Refused: its fields, or what they ask.", media=TEXT),
    503: Answer("Not written down; what ends something is in force.", media=TEXT),
}
NAMES = {"type": "array", "items": TEXTS}
KEYS = {"type": "array", "items": {"type": "integer"}}
ENDED = _object(run=TEXTS, revoked=NAMES, in_flight=_many(NAMES))


STATES = _many(_object(status=TEXTS, why=TEXTS))
WAITS = {
    "type": "array",
    "items": _object(
        **dict.fromkeys(("id", "run", "slot", "state", "by", "request_hash"), TEXTS),
        asks={"type": ["object", "null"]},
    ),
}
ASKED = Listed(RUN, "a run", RUNS)

AT_OPERATORS: tuple[Route, ...] = (
    Route(
        path="/admit",
        what="Let runs act, from their next call on.",
        body=Listed(ADMISSION, "an admission", RUNS),
        answers={200: Answer("How many.", _object(admitted={"type": "integer"})), **SAID},
    ),
    Route(
        path="/status",
        what="Ask how runs stand.",
        body=ASKED,
        answers={200: Answer("Each with its status, and why.", STATES), **SAID},
    ),
    Route(
        path="/explain",
        what="Ask what is true of runs, and what is safe next.",
        body=ASKED,
        answers={200: Answer("Each with its document.", _many({"type": "object"})), **SAID},
    ),
    Route(
        path="/revoke",
        what="End what a run, or a token, may do.",
        body=Record({"what": Name(LONGEST_TOKEN)}, {**BY, "why": Name(LONGEST, empty=True)}),
        answers={
            200: Answer("What ended, and which calls are out.", ENDED),
            404: Answer("Nobody ever admitted it, and it is no token.", media=TEXT),
            **SAID,
        },
    ),
    Route(
        path="/decide",
        what="Say yes or no to what was shown.",
        body=Record(
            {"id": RUN, "request_hash": RUN, "yes": Flag()},
            {**BY, "lasts_s": Number(1, YEARS_S, whole=True)},
        ),
        answers={200: Answer("The approval.", _object(id=TEXTS, state=TEXTS)), **SAID},
    ),
    Route(
        path="/rotate",
        what="Sign with a new root key.",
        body=Record({}, BY),
        answers={
            200: Answer("The keys.", _object(newest={"type": "integer"}, keys=KEYS)),
            **SAID,
        },
    ),
    Route(
        path="/retire",
        what="Refuse what an older root key has signed.",
        body=Record({"key": Number(1, INT64 - 1, whole=True)}, BY),
        answers={200: Answer("The keys.", _object(keys=KEYS)), **SAID},
    ),
    Route(
        path="/approvals",
        what="List all that was asked of a human.",
        body=None,
        answers={200: Answer("All of it.", WAITS)},
    ),
    Route(
        path="/metrics",
        what="The figures, as Prometheus reads them.",
        body=None,
        answers={200: Answer("The figures.", media=TEXT)},
    ),
)
FACES: Mapping[str, Callable[[Codec], tuple[Route, ...]]] = {
    "workers": at_workers,
    "operators": lambda _: AT_OPERATORS,
}
