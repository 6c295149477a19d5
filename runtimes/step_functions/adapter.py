"""AWS Step Functions: what its documentation says it has; nothing of it runs here.

There is no server of it outside AWS, and no stand-in is put under its name.  The row exists so
that a reader finds the mapping, and the reason why nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files

from harness.compat import Claim, read_claims
from harness.effects import Json
from harness.process import Site
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import (
    Backend,
    Dial,
    Guarantee,
    Kind,
    RuntimeUnavailableError,
    Support,
    Witness,
)


REASON = (
    "step-functions: there is no server of it outside AWS: primitive mapping only "
    "(runtimes/step_functions/mapping.toml); no command changes that"
)
PHASES = ("before_effect", "after_effect", AFTER_ACK, FINALIZE, "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFunctions:
    """What AWS Step Functions is; ``mapping`` is claimed, ``capabilities`` would be proven."""

    name: str = "step-functions"
    kind: Kind = Kind.SERVER
    dial: Dial = Dial.WORKER
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    batch: int = 1
    profiles: Sequence[str] = ("default", "fast")
    witness: Mapping[str, Witness] = field(
        default_factory=lambda: dict.fromkeys(PHASES, Witness.NONE)
    )
    capabilities: Mapping[str, Support] = field(default_factory=dict)

    @property
    def mapping(self) -> Mapping[str, Claim]:
        """Return what the documentation says of each primitive, with its pages."""
        text = files("runtimes.step_functions").joinpath("mapping.toml").read_text("utf-8")
        return read_claims(text)

    def version(self) -> str:
        """Say that there is none.

        Raises:
            RuntimeUnavailableError: always.

        """
        raise RuntimeUnavailableError(REASON)

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return no settings: nothing was ever run."""
        return {"profile": profile, "never_run": True, "settle_s": 0.0, "hang_timer_s": None}

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[Backend]:
        """Refuse.

        Raises:
            RuntimeUnavailableError: always.

        """
        del site, profile
        raise RuntimeUnavailableError(REASON)
        yield


RUNTIME = StepFunctions()
