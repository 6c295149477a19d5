"""A release of a service, while the program that carries it out is released itself.

Three later versions of the program take other steps to the same end; a run that one version
began is handed to a worker that has another.
"""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
SET = Op("set", Effect.IDEMPOTENT)
TELL = Op("append", Effect.IRREVERSIBLE)

IMAGE = step("read_image", READ, {"path": "image"})
POOL = step("check_pool", READ, {"path": "pool"})
DRAIN = step("drain_pool", TELL, {"path": "drained", "value": "pool"})
RENAMED = step("empty_pool", TELL, {"path": "drained", "value": "pool"})
SWITCH = step("switch_image", SET, {"path": "running", "value": "v2"})
REFILL = step("refill_pool", TELL, {"path": "filled", "value": "pool"})


def program(*steps: Any) -> tuple[Program, ...]:
    """Return the program that takes those steps in their order."""

    async def release(arg: Any) -> Any:
        del arg
        ended = {(await command).status for command in steps}
        return {"released": ended == {"ok"}}

    return (Program(name="release", body=release),)


SCENARIO = Scenario(
    name="rollout",
    programs=program(IMAGE, POOL, DRAIN, SWITCH, REFILL),
    world={"image": "v2", "pool": "full", "drained": [], "running": "v1", "filled": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    versions={
        "renamed": program(IMAGE, POOL, RENAMED, SWITCH, REFILL),
        "reordered": program(POOL, IMAGE, SWITCH, DRAIN, REFILL),
        "removed": program(IMAGE, DRAIN, SWITCH, REFILL),
    },
)
