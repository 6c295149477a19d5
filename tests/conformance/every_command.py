"""One program that uses every command, and says of each whether it kept its promise.

What a runtime draws or reads from its clock differs between runs, so the output says only
whether two uses of one value agree: before and after whatever was broken in between.
"""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import (
    decide,
    draw,
    emit,
    gather,
    invoke,
    now,
    sleep,
    sleep_until,
    step,
    wait_for,
)
from harness.scenario import Program, Scenario, Signal


READ = Op("read", Effect.READ)
SET = Op("set", Effect.IDEMPOTENT)
MAIL = Op("append", Effect.IRREVERSIBLE)
NOBODY_S, PATIENCE_S = 600.0, 30 * 24 * 3600.0


async def use_all(arg: Any) -> Any:
    """Use each command, each once at least."""
    moment, luck = await now("moment"), await draw("luck")
    await step("note", SET, {"path": "noted", "value": [moment, luck]})
    order = await decide("choose", {"options": ["left", "right"]})
    sides = await gather(
        step("look_left", READ, {"path": "side/left"}),
        step("mail_right", MAIL, {"path": "mail/right", "value": arg["run"]}),
    )
    await sleep("rest", 600.0)
    await sleep_until("noon", 1200.0)
    await emit("told", "friend", {"about": "noon"})
    child = await invoke("ask_child", "child", {"of": "you"})
    silence = await wait_for("called", "nobody", NOBODY_S)
    # Between two waits there is a step: which of them a run stands at shows by its steps only.
    await step("look_right", READ, {"path": "side/right"})
    answer = await wait_for("called", "friend", PATIENCE_S)
    later = await now("later")
    noted = await step("recall", READ, {"path": "noted"})
    await step("forget", SET, {"path": "noted", "value": None})
    done = await step("mail_end", MAIL, {"path": "mail/end", "value": arg["run"]})
    return {
        "chose": sorted(order.value),
        "sides": [side.status for side in sides],
        "child": child,
        "silence": silence.status,
        "answer": [answer.status, answer.value],
        "same moment": noted.value == [moment, luck],
        "time does not go back": later >= moment,
        "luck is in range": 0.0 <= luck < 1.0,
        "done": done.status,
    }


async def child(arg: Any) -> Any:
    """Do one thing and return what was given."""
    sent = await step("child_mail", MAIL, {"path": "mail/child", "value": arg["of"]})
    return {"of": arg["of"], "sent": sent.status}


async def listen(arg: Any) -> Any:
    """Note what one was told."""
    await step("listener_mail", MAIL, {"path": "mail/listener", "value": arg["about"]})


SCENARIO = Scenario(
    name="every_command",
    programs=(
        Program(name="use_all", body=use_all),
        Program(name="child", body=child),
        Program(name="listener", body=listen, on=("told",)),
    ),
    world={
        "noted": None,
        "side/left": "clear",
        "side/right": "clear",
        "mail/right": [],
        "mail/child": [],
        "mail/listener": [],
        "mail/end": [],
    },
    tiers=(Tier.O,),
    signals=(Signal(event="called", key="friend", payload={"tea": True}),),
)
