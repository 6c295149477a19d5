"""Three clerks side by side, each of whom books one piece out of the same stock."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import gather, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
BOOK = Op("append", Effect.IRREVERSIBLE)
CLERKS = ("ada", "grace", "edsger")


async def book(arg: Any) -> Any:
    """Read what is wanted, book it three times at once, then close the day."""
    wanted = await step("read_wanted", READ, {"path": "wanted"})
    piece = {"path": "booked", "value": wanted.value}
    done = await gather(*(step(f"book_{clerk}", BOOK, piece) for clerk in CLERKS))
    closed = await step("close_day", BOOK, {"path": "days", "value": arg["run"]})
    return {"booked": [one.status for one in done], "closed": closed.status}


SCENARIO = Scenario(
    name="stock",
    programs=(Program(name="book", body=book),),
    world={"wanted": "bolt", "booked": [], "days": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
)
