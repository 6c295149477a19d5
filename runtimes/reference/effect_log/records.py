"""What the log can say of a run: eleven kinds of record, each a fact that was true when written.

A record never changes.  Requests and answers stand in it without credentials, or in a blob that
it names by its SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias, get_args, get_type_hints

import orjson

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.canonical import CanonicalError, free
from runtimes.reference.effect_log.errors import VersionError


class Approval(StrEnum):
    """Who let an effect happen."""

    NONE = "none"
    AUTO = "auto"
    HUMAN = "human"


class Outcome(StrEnum):
    """How a call ended, as far as the world is concerned."""

    OK = "ok"
    FAILED_BEFORE = "failed_before_effect"
    """It failed, and nothing was done."""
    FAILED_AFTER = "failed_after_effect"
    """It was done, and something failed then."""
    CONFLICT = "conflict"
    """The world had changed: nothing was done."""


class Via(StrEnum):
    """How an outcome became known."""

    CALL = "call"
    REPLAY = "replay"
    """The provider answered a repeated key with its first answer."""
    RECONCILE = "reconcile"
    """The provider was asked whether it was done."""


class Verdict(StrEnum):
    """What is known of an effect that was in doubt."""

    APPLIED = "applied"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """Nobody but a human can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """A value on which a plan rests, by the sealed read that saw it."""

    resource: str
    version: str
    value_hash: str
    read_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the agent means to do; a forced one has the next ``plan_epoch``.

    ``drifted`` are the resources that were found to be otherwise than the plan before it had
    them: what was read of them is to be read again, and what was decided by that decided again.
    """

    plan_epoch: int
    steps_hash: str
    premises: tuple[Premise, ...] = ()
    drifted: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A value as it was seen, for good: later decisions rest on this one."""

    slot: str
    resource: str
    version: str
    value_hash: str
    value: Json = None
    blob: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a model said, for good: it is never asked the same again."""

    slot: str
    asked_hash: str
    output: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An effect is about to be tried.

    ``slot`` is the plan's own name of it, ``effect_id`` is minted with the first intent of a slot.
    ``fingerprint`` is the SHA-256 of what makes it the same effect, ``request_hash`` that of the
    whole ``request``.  ``deadline_ms``: after it (wall clock) no call of this attempt is on its
    way.  ``expect`` is the version that a compare-and-swap rests on, ``approved_hash`` the request
    that ``approved_by`` saw.  ``key_since_ms`` is when the key was first used, ``retention_s`` how
    long the provider keeps it.
    """

    slot: str
    effect_id: str
    attempt: int
    op: str
    effect: Effect
    tier: Tier
    target: str
    fingerprint: str
    request_hash: str
    request: Json = None
    blob: str = ""
    key: str = ""
    key_since_ms: int = 0
    retention_s: int = 0
    approval: Approval = Approval.NONE
    approved_by: str = ""
    approved_hash: str = ""
    capability: str = ""
    plan_epoch: int = 0
    premises: tuple[int, ...] = ()
    expect: str = ""
    deadline_ms: int = 0
    compensates: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An attempt has ended, and how; the answer is what the agent is given, for good."""

    slot: str
    effect_id: str
    attempt: int
    outcome: Outcome
    request_hash: str
    response_hash: str
    response: Json = None
    blob: str = ""
    resource: str = ""
    version_before: str = ""
    version_after: str = ""
    irreversible: bool = False
    provider_ref: str = ""
    via: Via = Via.CALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What became known of an attempt that was in doubt, by which evidence, by whom."""

    slot: str
    effect_id: str
    verdict: Verdict
    method: str
    by: str
    authoritative: bool
    observed_hash: str = ""
    fenced_epoch: int = 0
    quiesced_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A writer took the run: whoever held it before may do nothing more."""

    epoch: int
    holder: str
    claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Capabilities end."""

    capabilities: tuple[str, ...]
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The run shall end; ``in_flight`` are the slots that may still be carried out."""

    by: str
    in_flight: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The run has ended: completed, failed, cancelled or escalated."""

    status: str
    output: Json = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that still matters of the records before this one, which may be gone.

    ``prev`` is the hash of the last of them (hex): the chain goes on from it.
    """

    prev: str
    facts: Json


Record: TypeAlias = (
    Plan
    | Read
    | Decision
    | Intent
    | Completion
    | Resolution
    | Lease
    | Revoke
    | Cancel
    | Terminal
    | Summary
)
KINDS: Mapping[str, type[Record]] = MappingProxyType(
    {kind.__name__.lower(): kind for kind in get_args(Record)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record in its place: who wrote it, when, in which epoch.

    ``wall_ms`` is for people, ``mono_ns`` is the writer's monotonic clock.
    """

    run: str
    seq: int
    epoch: int
    actor: str
    wall_ms: int
    mono_ns: int
    record: Record

    def text(self) -> bytes:
        """Return the entry as it is written: fields in their order, keys of free values sorted.

        Raises:
            CanonicalError: what the agent or a provider gave has no canonical text.

        """
        record: Any = self.record
        kind = type(record).__name__
        for name in FREE.get(kind, ()):
            if (value := getattr(record, name)) is not None:
                free(value)
        whole = {
            "run": self.run,
            "seq": self.seq,
            "epoch": self.epoch,
            "actor": self.actor,
            "wall_ms": self.wall_ms,
            "mono_ns": self.mono_ns,
            "kind": TEXTS[kind],
            "body": record,
        }
        try:
            return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError as error:
            msg = f"no canonical text: {error}"
            raise CanonicalError(msg) from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """Return what ``text`` wrote.

        Raises:
            VersionError: a later version wrote it, or something else did.

        """
        kind = KINDS.get(str(data.get("kind")))
        if kind is None or data.keys() != WRITTEN:
            msg = f"a record of kind {data.get('kind')!r} with {sorted(data)} is of another version"
            raise VersionError(msg)
        return cls(
            run=data["run"],
            seq=data["seq"],
            epoch=data["epoch"],
            actor=data["actor"],
            wall_ms=data["wall_ms"],
            mono_ns=data["mono_ns"],
            record=made(kind, data["body"]),
        )


def plain(record: object) -> dict[str, Json]:
    """Return a record as a JSON object; what it holds by default is there too."""
    return {name: _plain(getattr(record, name)) for name in _names(type(record))}


def made(kind: type[Any], data: Any) -> Any:  # noqa: ANN401 - any of the records, by its class
    """Return the record of a JSON object.

    Raises:
        VersionError: it has other fields, or a value that this version does not know.

    """
    name = kind.__name__
    if not isinstance(data, dict) or data.keys() != NAMES[name]:
        seen = sorted(data) if isinstance(data, dict) else type(data).__name__
        msg = f"{kind.__name__.lower()} has {seen}, expected {sorted(_names(kind))}"
        raise VersionError(msg)
    try:
        if makers := MADE[name]:
            data = data | {field: of(data[field]) for field, of in makers}
        return kind(**data)
    except (TypeError, ValueError) as error:
        msg = f"{kind.__name__.lower()} is of another version: {error}"
        raise VersionError(msg) from error


def _names(kind: type[Any]) -> tuple[str, ...]:
    return FIELDS[kind.__name__]


def _plain(value: Any) -> Json:  # noqa: ANN401 - a field of a record
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, StrEnum):
        return value.value
    if hasattr(value, "__dataclass_fields__"):
        return plain(value)
    return value  # type: ignore[no-any-return]


def _maker(hint: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401 - a field's type
    """Return what makes a field's value of what JSON has; ``None`` where that is the same."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    if hint == tuple[Premise, ...]:
        return lambda value: tuple(made(Premise, inner) for inner in value)
    return tuple if getattr(hint, "__origin__", None) is tuple else None


FIELDS: Mapping[str, tuple[str, ...]] = {
    kind.__name__: tuple(field.name for field in fields(kind))
    for kind in (*KINDS.values(), Premise, Entry)
}
WRITTEN = frozenset({*FIELDS["Entry"], "kind", "body"} - {"record"})
TEXTS: Mapping[str, str] = {kind.__name__: text for text, kind in KINDS.items()}
NAMES: Mapping[str, frozenset[str]] = {kind: frozenset(names) for kind, names in FIELDS.items()}
FREE: Mapping[str, tuple[str, ...]] = {
    kind.__name__: tuple(field.name for field in fields(kind) if field.type == "Json")
    for kind in KINDS.values()
    if any(field.type == "Json" for field in fields(kind))
}
"""The fields whose values come from elsewhere."""
MADE: Mapping[str, Sequence[tuple[str, Callable[[Any], Any]]]] = {
    kind.__name__: [
        (name, maker) for name, hint in get_type_hints(kind).items() if (maker := _maker(hint))
    ]
    for kind in (*KINDS.values(), Premise)
}
"""The fields that JSON has otherwise."""
