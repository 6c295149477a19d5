"""A cell with a history, as the HTTP face has them, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from harness.effects import Json
from harness.history import History
from harness.program import (
    AFTER_ACK,
)
from harness.scenario import Answer, Case
from harness.world.cell import STRANGER, Call, Cell


CREDENTIAL = "the credential of the model"


@dataclass(slots=True)
class World:
    """A cell with a history, as the HTTP face has them."""

    case: Case
    cell: Cell
    history: History
    recorded: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(
        cls, case: Case, recorded: Mapping[str, Json], given: Collection[Answer] | None = None
    ) -> World:
        answers = case.answers if given is None else tuple(given)
        return cls(case, Cell.in_case(case, answers), History(), recorded)

    def perform(self, call: Call) -> dict[str, Json]:
        nth = 1 + sum(
            event.kind == "call" and (event.run, event.data["step"]) == (call.run, call.step)
            for event in self.history
        )
        self.history.append("call", call.run, nth=nth, **call.to_json())
        return self.apply(call)

    def apply(self, call: Call) -> dict[str, Json]:
        outcome = self.cell.apply(call, CREDENTIAL)
        if outcome.applied:
            self.history.append(
                "apply", call.run, **call.to_json(), premise_broken=list(outcome.premise_broken)
            )
        if call.op == "ask" and call.step in self.recorded:
            return {"status": "ok", "value": self.recorded[call.step]}
        return outcome.reply

    def drift(self) -> None:
        """Have a stranger write."""
        for path, value in self.case.scenario.drift.items():
            self.cell.write(path, value, STRANGER)

    def report(self, run: str, incarnation: int) -> None:
        self.history.append(
            "at", run, phase=AFTER_ACK, nth=1, step="", incarnation=str(incarnation), seq=0
        )

    def reply(self, call: Call, reply: dict[str, Json]) -> None:
        self.history.append(
            "reply",
            call.run,
            reply=reply,
            step=call.step,
            incarnation=call.incarnation,
            seq=call.seq,
        )
