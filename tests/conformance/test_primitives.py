"""Every runtime does what it declares of each primitive, and lacks what it declares missing."""

from __future__ import annotations

import pytest

from conformance.checks import CHECKS
from conformance.columns import only_if_asked
from conformance.kit import kit
from conformance.ledger import Ledger, Proof, emulation_lines, proof, reason
from conformance.moments import UnknownError
from conformance.stand import FAILURES, Stand

from harness.policy import PRIMITIVES


def test_every_primitive_has_a_check() -> None:
    """No primitive is taken on trust."""
    assert list(PRIMITIVES) == list(CHECKS)


@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize("stand", only_if_asked(), indirect=True)
def test_primitive(
    stand: Stand, primitive: str, ledger: Ledger | None, request: pytest.FixtureRequest
) -> None:
    """What is declared native or emulated passes its check; what is missing does not."""
    name = stand.runtime.name
    if ledger:
        ledger.forget(name, primitive, "its check did not end")
    said, failure, loaded = None, None, set[str]()
    try:
        with kit(stand, primitive) as lent:
            try:
                said = CHECKS[primitive](lent)
            finally:
                loaded = lent.emulated
    except UnknownError as error:
        if ledger:
            ledger.forget(name, primitive, f"unknown: {error}")
        pytest.skip(f"unknown: {error}")
    except FAILURES as error:
        failure = error
    lines, declared = emulation_lines(name), stand.runtime.capabilities.get(primitive)
    try:
        support, note = proof(declared, failure, loaded, lines)
    except (AssertionError, *FAILURES) as error:
        if ledger:
            ledger.forget(name, primitive, f"declared {declared}: {reason(error)}")
        raise
    if ledger:
        evidence = request.node.nodeid.partition("@")[0]
        used = lines if support == "emulated" else 0
        checked = str(CHECKS[primitive].__doc__).splitlines()[0]
        ledger.add(name, primitive, Proof(support, evidence, used, said or note, checked))
