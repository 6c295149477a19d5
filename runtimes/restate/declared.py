"""What Restate does for a program's policy: by itself, by our emulation, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from harness.effects import Json
from harness.policy import PRIMITIVES, Policy
from harness.runtime import Support
from harness.scenario import Scenario, ScenarioError


ASKED = "x-bakeoff-asked-s"
"""The header that says when a run was asked for: what arrives side by side has no order."""
NATIVE = frozenset(
    {
        *("step", "decide", "retry", "gather", "now", "draw", "sleep", "sleep_until", "invoke"),
        *("wait_for", "signal", "cancel", "concurrency_key", "idempotent_start"),
    }
)
# A batch is made of the first few, and what arrives side by side has no order.
MISSING = frozenset({"batch"})
EMULATED = frozenset(PRIMITIVES) - NATIVE - MISSING
CAPABILITIES: Mapping[str, Support] = {
    **dict.fromkeys(sorted(NATIVE), Support.NATIVE),
    **dict.fromkeys(sorted(EMULATED), Support.EMULATED),
    **dict.fromkeys(sorted(MISSING), Support.MISSING),
}


def field(arg: Json, key: str) -> Json:
    """Return the value of the field that runs share a limit by."""
    return arg.get(key) if isinstance(arg, dict) and key else None


def exclusive(policy: Policy) -> bool:
    """Say whether the server's own queue of a key is the limit that a program asks for.

    It lets one through, in the order of arrival, and nobody can leave it.
    """
    limit = policy.concurrency
    alone = limit is not None and limit.key != "" and limit.limit == 1
    return alone and not policy.priority and policy.start_timeout_s is None


def emulates(scenario: Scenario) -> bool:
    """Say whether a scenario needs an emulation.

    Raises:
        ScenarioError: it needs what there is neither natively nor emulated.

    """
    policies = [program.policy for program in scenario.programs]
    used = frozenset[str]().union(*(policy.uses for policy in policies))
    if lacking := sorted(used & MISSING):
        msg = f"restate has no {', '.join(lacking)}; run {scenario.name!r} on another runtime"
        raise ScenarioError(msg)
    limited = any(policy.concurrency and not exclusive(policy) for policy in policies)
    listens = any(program.on for program in scenario.programs)
    return limited or listens or bool(used & EMULATED)
