r"""A page with a NUL in it, which is JSON, and no ``jsonb``: hatchet-dev/hatchet#3153."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
MAIL = Op("append", Effect.IRREVERSIBLE)


async def summarise(arg: Any) -> Any:
    """Fetch a page as it is, and send its length."""
    page = await step("fetch", READ, {"path": "page"})
    sent = await step("send_length", MAIL, {"path": "mail", "value": len(str(page.value))})
    return {"run": arg["run"], "sent": sent.status}


SCENARIO = Scenario(
    name="nul",
    programs=(Program(name="summarise", body=summarise),),
    world={"page": "a\x00b", "mail": []},
    tiers=(Tier.O,),
)
