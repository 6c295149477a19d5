"""A short program with a child and an emitted run, for defects in starting others."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import emit, invoke, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
MAIL = Op("append", Effect.IRREVERSIBLE)


async def run_errands(arg: Any) -> Any:
    """Look at the list, tell the neighbours, send a child, and note that all is done."""
    wanted = await step("read_list", READ, {"path": "list"})
    await emit("leaving", "today", wanted.value)
    bought = await invoke("shop", "shop", wanted.value)
    done = await step("note_done", MAIL, {"path": "done", "value": arg["run"]})
    return {"bought": bought, "done": done.status}


async def shop(wanted: Any) -> Any:
    """Pay for what is wanted."""
    paid = await step("pay", MAIL, {"path": "paid", "value": wanted})
    return {"paid": paid.status}


async def listen(wanted: Any) -> Any:
    """Hear that somebody leaves."""
    await step("hear", MAIL, {"path": "heard", "value": wanted})


SCENARIO = Scenario(
    name="errands",
    programs=(
        Program(name="errands", body=run_errands),
        Program(name="shop", body=shop),
        Program(name="listen", body=listen, on=("leaving",)),
    ),
    world={"list": "bread", "paid": [], "heard": [], "done": []},
    tiers=(Tier.O,),
)
