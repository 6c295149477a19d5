"""Each check fails for a runtime that declares its primitive and does not keep the promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance import liar
from conformance.checks import CHECKS
from conformance.kit import kit
from conformance.stand import opened

from harness.deadline import DeadlineError
from harness.policy import PRIMITIVES


IDLE_S = 4.0
"""A liar that does nothing is given up on sooner."""


def test_every_primitive_has_a_liar() -> None:
    """No check is believed that was never seen to fail."""
    assert set(PRIMITIVES) <= set(liar.LIES)


@pytest.mark.parametrize("lie", liar.LIES)
def test_liar_is_found(lie: str, tmp_path: Path) -> None:
    """The check fails although the worker starts and takes the scenario."""
    primitive = lie.partition("-")[0]
    with opened(liar.runtime(lie), tmp_path) as honest:
        twice = primitive == "idempotent_start"
        stand = replace(honest, backend=liar.Twice(honest.backend)) if twice else honest
        with (
            kit(stand, primitive, IDLE_S) as lent,
            pytest.raises((AssertionError, DeadlineError)),
        ):
            CHECKS[primitive](lent)


@pytest.mark.parametrize("name", liar.TOLD)
def test_choice_is_told(name: str, tmp_path: Path) -> None:
    """What engines may do as they like fails no check, and is said as it is."""
    primitive = name.partition("-")[0]
    with opened(liar.runtime(liar.TELL + name), tmp_path) as stand, kit(stand, primitive) as lent:
        assert liar.TOLD[name][1] == CHECKS[primitive](lent)
