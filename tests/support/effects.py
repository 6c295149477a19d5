"""Records of the effect log as tests need them, and logs that they fill."""

from __future__ import annotations

import hashlib

from typing import Any

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import (
    Completion,
    Decision,
    Intent,
    Lease,
    Outcome,
    Plan,
    Premise,
    Read,
    Record,
    Resolution,
    Revoke,
    Terminal,
    Verdict,
)


LEASE = Lease(epoch=1, holder="gateway-1", claim="c1")


def read(slot: str, value: int = 1) -> Read:
    """Return a sealed read."""
    return Read(
        slot=slot, resource=f"dns/{slot}", version="v3", value_hash=digest(value), value=value
    )


def intent(slot: str, **more: Any) -> Intent:
    """Return the first intent of an opaque, irreversible effect."""
    fields: dict[str, Any] = {
        "slot": slot,
        "effect_id": hashlib.sha256(slot.encode()).hexdigest()[:32],
        "attempt": 1,
        "op": "mail.send",
        "effect": Effect.IRREVERSIBLE,
        "tier": Tier.O,
        "target": "mail/customers",
        "fingerprint": digest(["mail.send", slot]),
        "request_hash": digest([slot, "we have moved"]),
        "request": {"to": "customers", "text": "we have moved"},
    }
    return Intent(**{**fields, **more})


def completion(of: Intent, outcome: Outcome = Outcome.OK, **more: Any) -> Completion:
    """Return the end of an attempt."""
    fields: dict[str, Any] = {
        "slot": of.slot,
        "effect_id": of.effect_id,
        "attempt": of.attempt,
        "outcome": outcome,
        "request_hash": of.request_hash,
        "response_hash": digest({"accepted": True}),
        "response": {"accepted": True},
        "irreversible": True,
    }
    return Completion(**{**fields, **more})


def resolution(of: Intent, verdict: Verdict, **more: Any) -> Resolution:
    """Return what became known of an attempt."""
    fields: dict[str, Any] = {
        "slot": of.slot,
        "effect_id": of.effect_id,
        "verdict": verdict,
        "method": "key_query",
        "by": "gateway-1",
        "authoritative": verdict is not Verdict.UNKNOWN,
    }
    return Resolution(**{**fields, **more})


def story() -> list[Record]:
    """Return records of a run that does something of every kind and completes."""
    first, second, third = intent("notify"), intent("cut_over"), intent("truncate")
    premise = Premise(resource="dns/zone", version="v3", value_hash=digest(1), read_seq=2)
    return [
        LEASE,
        read("zone"),
        Decision(slot="plan", asked_hash=digest("what next?"), output={"next": "notify"}),
        Plan(plan_epoch=1, steps_hash=digest(["notify"]), premises=(premise,)),
        intent("notify", plan_epoch=1),
        completion(first),
        intent("cut_over", plan_epoch=1, premises=(2,), expect="v3"),
        completion(second, Outcome.CONFLICT),
        Revoke(capabilities=("cap-1",), by="operator", why="it leaked"),
        Plan(plan_epoch=2, steps_hash=digest(["truncate"]), why="the zone has changed"),
        intent("truncate", plan_epoch=2),
        resolution(third, Verdict.APPLIED),
        Terminal(status="completed", output={"moved": True}),
    ]
