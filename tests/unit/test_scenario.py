"""Scenarios: their programs, and the cases that a name asks for."""

from __future__ import annotations

from typing import Any

import pytest

from harness.effects import Tier
from harness.scenario import Answer, Program, Scenario, ScenarioError, cases


async def body(arg: Any) -> Any:
    """Do nothing."""
    return arg


THROTTLED = (Answer(step="s", status="throttled", after_s=60.0),)
SCENARIO = Scenario(
    name="shop",
    programs=(
        Program(name="order", body=body),
        Program(name="bill", body=body, on=("ordered",)),
        Program(name="pack", body=body, on=("ordered", "paid")),
    ),
    world={},
    tiers=(Tier.Q, Tier.O),
    variants={"throttled": THROTTLED},
)


def test_main() -> None:
    """The first program is the one that a trial submits."""
    assert SCENARIO.main.name == "order"


def test_program() -> None:
    """A program is found by name; a wrong name lists those there are."""
    assert SCENARIO.programs[1] is SCENARIO.program("bill")
    with pytest.raises(ScenarioError) as caught:
        SCENARIO.program("steal")
    assert "scenario 'shop' has no program 'steal'; it has order, bill, pack" == str(caught.value)


def test_consumers() -> None:
    """An event starts every program that declares it, in order."""
    assert ["bill", "pack"] == [p.name for p in SCENARIO.consumers("ordered")]
    assert () == SCENARIO.consumers("lost")


@pytest.mark.parametrize(
    ("inner", "ident", "answers"),
    [
        ("", "shop[Q]", ()),
        ("O", "shop[O]", ()),
        ("throttled", "shop[Q,throttled]", THROTTLED),
        ("O,throttled", "shop[O,throttled]", THROTTLED),
        (" throttled , O ", "shop[O,throttled]", THROTTLED),
    ],
)
def test_cases(inner: str, ident: str, answers: tuple[Answer, ...]) -> None:
    """A name asks for a tier, a variant, both or neither; the first tier is the default."""
    (found,) = cases(SCENARIO, "somewhere", inner)
    assert (ident, answers, "somewhere") == (found.id, found.answers, found.ref)


def test_unknown_case() -> None:
    """What is neither tier nor variant is refused, with those there are."""
    with pytest.raises(ScenarioError) as caught:
        cases(SCENARIO, "somewhere", "O,purple")
    assert "shop[O,purple] has no tier or variant 'purple'" in str(caught.value)
    assert "throttled" in str(caught.value)
