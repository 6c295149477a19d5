"""The oracles by name; ``EVIDENT`` are those that a history of the model can show too."""

from collections.abc import Mapping

from harness.oracle import Oracle
from harness.oracles import effects, ends, recovery


EVIDENT: Mapping[str, Oracle] = {
    "duplicate_effect": effects.duplicate_effect,
    "lost_effect": effects.lost_effect,
    "stale_decision": effects.stale_decision,
    "zombie_write": effects.zombie_write,
    "cancelled_effect": effects.cancelled_effect,
    "overreach": effects.overreach,
    "unapproved": effects.unapproved,
    "parity": ends.parity,
    "credential_leak": recovery.credential_leak,
}

ORACLES: Mapping[str, Oracle] = {
    **EVIDENT,
    "unlogged_effect": effects.unlogged_effect,
    "cancel_ignored": effects.cancel_ignored,
    "ghost_running": ends.ghost_running,
    "orphaned_claim": ends.orphaned_claim,
    "broken_chain": ends.broken_chain,
    "lost_run": ends.lost_run,
    "escalation": ends.escalation,
    "hung_handler": recovery.hung_handler,
    "false_alarm": recovery.false_alarm,
    "recovery_harm": recovery.recovery_harm,
    "vacuity": recovery.vacuity,
}
