"""The faults by name: what each breaks, when it is undone, and what it may do to a run."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.absences import ABSENCES
from harness.faults.cancels import CANCELS
from harness.faults.changes import CHANGES
from harness.faults.deaths import DEATHS
from harness.faults.fault import Fault, FaultError, Happening, Means, Scene, UnconfirmedError
from harness.faults.gateways import GATEWAYS
from harness.faults.links import LINKS
from harness.faults.repeats import REPEATS
from harness.faults.stores import STORES


__all__ = [
    "FAULTS",
    "Fault",
    "FaultError",
    "Happening",
    "Means",
    "Scene",
    "UnconfirmedError",
    "fault",
]

FAMILIES = (DEATHS, LINKS, STORES, CHANGES, CANCELS, ABSENCES, REPEATS, GATEWAYS)
FAULTS: Mapping[str, Fault] = {fault.name: fault for family in FAMILIES for fault in family}


def fault(name: str) -> Fault:
    """Return the fault of that name.

    Raises:
        FaultError: there is none.

    """
    if name not in FAULTS:
        msg = f"unknown fault {name!r}; known: {', '.join(FAULTS)}"
        raise FaultError(msg)
    return FAULTS[name]
