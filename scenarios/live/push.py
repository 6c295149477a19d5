"""A commit is pushed to a real repository, and a real mail says so; others push there too."""

from typing import Any

from harness.effects import Effect, Json, Op, Tier
from harness.program import step
from harness.scenario import Added, Program, Provider, Scenario


READ = Op("read", Effect.READ)
PUSH = Op("set", Effect.HYBRID)
MAIL = Op("append", Effect.IRREVERSIBLE)
BRANCH, INBOX = "git/main", "mail/reviewers"
MINE, THEIRS = "fix the rounding", "bump the version"


async def push(arg: Any) -> Any:
    """Put a commit on the branch, on what is there by then, and tell people.

    Tier V pushes with a lease, and rebases once where it is rejected; tier O forces.
    """
    del arg
    for turn in ("", "_again"):
        seen = await step(f"read_branch{turn}", READ, {"path": BRANCH})
        if MINE in seen.value:
            break
        to: dict[str, Json] = {"path": BRANCH, "value": [*seen.value, MINE]}
        pushed = await step(f"push{turn}", PUSH, to, [seen.premise])
        if pushed.ok:
            break
    told = await step("tell", MAIL, {"path": INBOX, "value": "please review"})
    return {"told": told.status}


LIVE = "runtimes.reference.live.world"

SCENARIO = Scenario(
    name="live-push",
    programs=(Program(name="push", body=push),),
    world={BRANCH: ["the first commit"], INBOX: []},
    tiers=(Tier.V, Tier.O),
    drift={BRANCH: Added(THEIRS)},
    providers={
        "git": Provider(by_content=True, fenced=False, live=f"{LIVE}.git:START"),
        "mail": Provider(tier=Tier.O, fenced=False, live=f"{LIVE}.mail:START"),
    },
)
