"""The gateway's process with one safeguard taken away: ``python gateway.py DEFECT --folder ...``."""

from __future__ import annotations

import dataclasses
import sys

from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

from runtimes.reference.effect_log.anchor import FileAnchor
from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.effect_log.sqlite import SqliteStore
from runtimes.reference.gateway import approval, gateway
from runtimes.reference.gateway.__main__ import main
from runtimes.reference.gateway.approval_state import State, Subject


APPEND = SqliteStore.append


def _forgetful(self: FileAnchor, run: str) -> None:
    """Know no head."""
    del self, run


def _anybody(*of: Any) -> None:
    """Let a run ask for any step."""
    del of


def _hopeful(self: SqliteStore, rows: Any) -> None:
    """Go on whether it was written or not."""
    try:
        APPEND(self, rows)
    except EffectLogError:
        return


def _again(known: Any, subject: Subject, claim: str, now: Any) -> Any:
    """Give a used word to whoever asks."""
    latest = next(each for each in reversed(known) if each.subject == subject)
    fresh = dataclasses.replace(latest, state=State.USED, since=now, claim=claim)
    return known, fresh


def _loose(run: str, wanted: Any, plan_epoch: int = 0, fork: str = "") -> Subject:
    """Bind a word to the step only."""
    del plan_epoch, fork
    return Subject(run=run, slot=wanted.slot, request_hash="any", premise_hash="any")


DEFECTS: Mapping[str, tuple[object, str, Callable[..., Any]]] = {
    "no_anchor": (FileAnchor, "head", _forgetful),
    "any_step": (gateway, "_in_plan", _anybody),
    "no_intent": (SqliteStore, "append", _hopeful),
    "used_again": (approval, "used", _again),
    "loose_word": (Subject, "of", staticmethod(_loose)),
}

if __name__ == "__main__":
    where, name, instead = DEFECTS[sys.argv.pop(1)]
    with patch.object(where, name, instead):
        main()
