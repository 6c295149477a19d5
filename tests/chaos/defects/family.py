"""The family ``DEFECTIVE``: the reference runtime with one safeguard broken at a time.

Each defect names the case and the fault over which it shows, and the one oracle that must
convict it.  They exist in tests only; the product knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.effects import Json
from runtimes.reference.adapter import ReferenceRuntime


HERE = Path(__file__).parent
ERRANDS = str(HERE / "errands.py")
SETTLE_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Defective(ReferenceRuntime):
    """A reference whose worker is broken on purpose; what never ends is waited for less."""

    timer_s: float | None = None

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the reference's settings; a ``timer_s`` is claimed, and a lie."""
        settled = ReferenceRuntime.settings(self, profile)
        return {**settled, "settle_s": SETTLE_S, "hang_timer_s": self.timer_s}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """What is broken, where it shows, and which oracle must say so."""

    name: str
    safeguard: str
    oracle: str
    case: str = "migration[O]"
    fault: str = "kill(worker)"
    guard: str = "none"
    timer_s: float | None = None

    @property
    def runtime(self) -> Defective:
        """Return the reference with this defect."""
        return replace(DEFECTIVE, argv=(*DEFECTIVE.argv[:1], self.name), timer_s=self.timer_s)


DEFECTIVE = Defective(name="defective", argv=(str(HERE / "worker.py"), "sound"))

SAFEGUARDS = frozenset(
    {
        "an intent is on disk before the call",
        "what is in doubt is resolved after a death",
        "what is in doubt is resolved after a lost reply",
        "what the dead have sent is refused where it arrives",
        "a completion is recorded after the call",
        "an intent is no completion",
        "the end of a run is recorded",
        "a successor takes over",
        "a successor goes on to the end",
        "only what cannot be known is escalated",
        "a human's word is for what he was asked about",
        "what a stranger may have written over is not done again",
        "a superseded worker is fenced",
        "a lease is its epoch's, not its holder's name's",
        "the output is kept",
        "secrets stay out of logs",
        "what was read is sealed",
        "recovery keeps to its own pool",
        "what is emitted is started",
        "a child has one identity",
        "each branch of a gather has its own record",
        "a declared timer runs",
        "a slow call is no dead one",
    }
)

DEFECTS = (
    Defect(
        name="no_intent",
        safeguard="an intent is on disk before the call",
        oracle="duplicate_effect",
    ),
    Defect(
        name="blind_retry",
        safeguard="what is in doubt is resolved after a death",
        oracle="duplicate_effect",
    ),
    Defect(
        name="blind_retry",
        safeguard="what is in doubt is resolved after a lost reply",
        oracle="duplicate_effect",
        fault="lose(reply)",
    ),
    Defect(
        name="no_provider_fence",
        safeguard="what the dead have sent is refused where it arrives",
        oracle="zombie_write",
        fault="late(request)",
    ),
    Defect(
        name="ack_early",
        safeguard="a completion is recorded after the call",
        oracle="lost_effect",
    ),
    Defect(
        name="skip_last_step",
        safeguard="an intent is no completion",
        oracle="lost_effect",
    ),
    Defect(
        name="never_finish",
        safeguard="the end of a run is recorded",
        oracle="broken_chain",
    ),
    Defect(
        name="drop_run",
        safeguard="a successor takes over",
        oracle="orphaned_claim",
    ),
    Defect(
        name="give_up",
        safeguard="a successor goes on to the end",
        oracle="ghost_running",
    ),
    Defect(
        name="needless_escalation",
        safeguard="only what cannot be known is escalated",
        oracle="escalation",
    ),
    Defect(
        name="no_fence",
        safeguard="a superseded worker is fenced",
        oracle="duplicate_effect",
        fault="pause(worker)",
    ),
    Defect(
        name="old_word",
        safeguard="a human's word is for what he was asked about",
        oracle="unapproved",
        case="scenarios.semantic.payout:SCENARIO[O]",
        fault="drift(world)",
    ),
    Defect(
        name="otherwise_is_absent",
        safeguard="what a stranger may have written over is not done again",
        oracle="duplicate_effect",
        case="migration[V]",
        fault="drift(world)",
    ),
    Defect(
        name="lease_by_name",
        safeguard="a lease is its epoch's, not its holder's name's",
        oracle="duplicate_effect",
        fault="namesake(worker)",
    ),
    Defect(
        name="wrong_output",
        safeguard="the output is kept",
        oracle="parity",
    ),
    Defect(
        name="leaks_credential",
        safeguard="secrets stay out of logs",
        oracle="credential_leak",
    ),
    Defect(
        name="rereads_sealed",
        safeguard="what was read is sealed",
        oracle="stale_decision",
    ),
    Defect(
        name="hurts_bystanders",
        safeguard="recovery keeps to its own pool",
        oracle="recovery_harm",
    ),
    Defect(
        name="loses_child",
        safeguard="what is emitted is started",
        oracle="broken_chain",
        case=ERRANDS,
    ),
    Defect(
        name="child_again",
        safeguard="a child has one identity",
        oracle="parity",
        case=ERRANDS,
    ),
    Defect(
        name="half_a_gather",
        safeguard="each branch of a gather has its own record",
        oracle="lost_effect",
        case="fan_out[O]",
    ),
    Defect(
        name="impatient",
        safeguard="a slow call is no dead one",
        oracle="false_alarm",
        case=ERRANDS,
        fault="slow(handler)",
    ),
    Defect(
        name="sound",
        safeguard="a declared timer runs",
        oracle="hung_handler",
        case=ERRANDS,
        fault="hang(handler)",
        timer_s=1.0,
    ),
)
