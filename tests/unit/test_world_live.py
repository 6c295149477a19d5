"""The world with real providers: what their records show is applied, and nothing else is."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.effects import Effect, Json, Tier
from harness.history import History
from harness.load import LoadError
from harness.loop import Loop
from harness.runtime import RuntimeUnavailableError
from harness.scenario import Added, Case, Program, Provider, Scenario
from harness.world import World
from harness.world.cell import STRANGER, Call, Cell
from harness.world.live import Acted, LiveCell, ProviderError, Stands
from harness.world.room import APPLIED, Room


@dataclass
class Desk:
    """A part that counts, and does what it is told."""

    value: list[Json] = field(default_factory=list)
    times: int = 1
    broken: str = ""
    fenced: list[int] = field(default_factory=list)
    going: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def act(self, call: Call) -> Acted:
        if self.broken:
            raise ProviderError(self.broken)
        if self.going:
            self.begun.set()
            await self.going.wait()
        self.value += [call.args["value"]] * self.times
        return Acted({"status": "ok", "value": None, "etag": f"e{len(self.value)}"}, self.times)

    async def look(self, path: str) -> tuple[Json, str]:
        del path
        return [*self.value], f"e{len(self.value)}"

    async def strange(self, path: str, value: Json | Added) -> None:
        del path
        self.value.append(value.item if isinstance(value, Added) else value)

    async def fence(self, run: str, epoch: int) -> None:
        del run
        self.fenced.append(epoch)


@dataclass
class Face:
    """A served world with one live cell."""

    world: World
    desk: Desk
    history: History

    def post(self, route: str, /, **body: Any) -> dict[str, Any]:
        """Ask the world."""
        content = json.dumps({"cell": "c", "run": "c", **body}).encode()
        request = urllib.request.Request(f"http://{self.world.address}{route}", content)
        with urllib.request.urlopen(request, timeout=10.0) as answer:  # noqa: S310 - ours
            found: dict[str, Any] = json.load(answer)
            return found

    def add(self, value: str, **more: Any) -> dict[str, Any]:
        """Have something added."""
        ident = {"step": "s", "incarnation": "w", "seq": 1, "effect": "irreversible"}
        return self.post(
            "/perform", op="append", args={"path": "desk/log", "value": value}, **ident, **more
        )

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.history]


def cell(desk: Desk) -> LiveCell:
    """Return a cell with a real desk."""
    made = Cell.of(Tier.O, {"desk/log": [], "rest": 1})
    return LiveCell(made, {"desk": desk})


@pytest.fixture
def face() -> Iterator[Face]:
    """Serve a world with a live cell."""
    with Loop() as loop, World(loop) as world:
        found = Face(world, Desk(), History())
        world.open("c", cell(found.desk), found.history)
        yield found


@pytest.mark.parametrize("times", [0, 1, 2])
def test_applied_is_what_the_records_show(face: Face, times: int) -> None:
    """Whatever the answer says: nothing, once, or twice."""
    face.desk.times = times

    assert "ok" == face.add("x")["status"]
    assert ["call", *["apply"] * times] == face.kinds[:-1]


def test_a_provider_without_an_answer_is_a_lost_call(face: Face) -> None:
    """The worker has 502, and the history why; nothing is said to be applied."""
    face.desk.broken = "it may have gone"

    with pytest.raises(urllib.error.HTTPError) as failed:
        face.add("x")

    assert 502 == failed.value.code
    failed.value.close()
    assert ["call", "discard"] == face.kinds
    assert "it may have gone" == face.history[-1].data["why"]


def test_the_end_is_what_is_there(face: Face) -> None:
    """Real values come from the real system, others from memory; strangers' additions are told."""
    face.add("mine")
    face.world.drift("c", "desk/log", Added("theirs"))

    assert {
        "values": {"desk/log": ["mine", "theirs"], "rest": 1},
        "strange": ["desk/log"],
        "added": {"desk/log": ["theirs"]},
    } == face.world.conclude("c")
    assert None is face.world.conclude("c")


def test_a_false_premise_is_one_that_a_stranger_broke(face: Face) -> None:
    """What was read is compared with what is there, where somebody else has written."""
    premise = [{"path": "desk/log", "etag": "e0"}]
    face.world.drift("c", "desk/log", Added("theirs"))
    face.add("over", premises=premise)
    face.add("mine again", premises=premise)

    applied = [event.data["premise_broken"] for event in face.history if event.kind == "apply"]
    assert [["desk/log"], []] == applied


def test_gateways_look_and_fence_there(face: Face) -> None:
    """A look has the real version, a fence reaches all parts, no step can be asked for."""
    face.add("x")

    assert {"value": ["x"], "etag": "e1"} == face.post("/probe", ask="look", path="desk/log")
    assert {"value": 1, "etag": "v1"} == face.post("/probe", ask="look", path="rest")
    assert {} == face.post("/probe", ask="fence", epoch=4)
    assert not face.post("/probe", ask="query", step="s")["applied"]
    assert [4] == face.desk.fenced


def test_what_a_real_provider_has_is_not_taken_back() -> None:
    """A caller that goes away in the middle leaves an effect, and the history has it."""

    async def scene() -> tuple[list[str], list[Json]]:
        desk, history = Desk(going=asyncio.Event()), History()
        call = Call(
            run="c",
            step="s",
            op="append",
            effect=Effect.IRREVERSIBLE,
            args={"path": "desk/log", "value": "x"},
        )
        room = Room(cell(desk), history)
        work = asyncio.ensure_future(room.apply(call, ""))
        await desk.begun.wait()
        work.cancel()
        assert desk.going
        desk.going.set()
        with pytest.raises(asyncio.CancelledError, match=APPLIED):
            await work
        return [event.kind for event in history], desk.value

    assert (["apply"], ["x"]) == asyncio.run(scene())


# Starting them -------------------------------------------------------------------------------


STARTED: list[str] = []


@dataclass
class Shop:
    """A real provider of these tests."""

    laid: list[tuple[str, Mapping[str, Json], Tier]] = field(default_factory=list)

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Desk:
        self.laid.append((run, values, tier))
        return Desk()


SHOP = Shop()


@contextmanager
def shop(site: object) -> Iterator[Shop]:
    """Start it."""
    del site
    STARTED.append("begun")
    yield SHOP
    STARTED.append("ended")


@contextmanager
def absent(site: object) -> Iterator[Shop]:
    """Say that it is not here."""
    del site
    STARTED.append("tried")
    msg = "no shop on this machine; run: apt-get install shop"
    raise RuntimeUnavailableError(msg)
    yield SHOP


def case(live: str, **more: Any) -> Case:
    """Return a case with a live provider."""

    async def body(arg: object) -> None:
        """Do nothing."""

    scenario = Scenario(
        name="s",
        programs=(Program(name="p", body=body),),
        world={"desk/log": [], "rest": 1},
        providers={"desk": Provider(live=f"{__file__}:{live}", **more)} if live else {},
    )
    return Case(scenario=scenario, ref="", tier=Tier.O)


@pytest.fixture
def stands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stands]:
    """Lend what starts providers; they are those of this file."""
    here = {"shop": shop, "absent": absent}
    monkeypatch.setattr("harness.world.live.load", lambda ref, _: here[ref.rpartition(":")[2]])
    STARTED.clear()
    with Loop() as loop, Stands(loop, lambda: nullcontext(object())) as found:  # type: ignore[arg-type]
        yield found


def test_each_is_started_once_and_each_run_has_a_part(stands: Stands) -> None:
    """The tier is the provider's own, else the case's; without a live one the cell is a cell."""
    SHOP.laid.clear()
    stands.cell(case("shop", tier=Tier.V), "r1")
    stands.cell(case("shop"), "r2")

    assert [("r1", {"desk/log": []}, Tier.V), ("r2", {"desk/log": []}, Tier.O)] == SHOP.laid
    assert ["begun"] == STARTED
    assert isinstance(stands.cell(case(""), "r3"), Cell)


def test_one_that_is_not_here_is_tried_once(stands: Stands) -> None:
    """Every case that needs it has the reason."""
    for _ in range(2):
        with pytest.raises(RuntimeUnavailableError, match="apt-get install shop"):
            stands.need(case("absent"))

    assert ["tried"] == STARTED


def test_who_is_not_installed_is_not_here() -> None:
    """A missing package is a reason too, with the command that changes it."""
    there = case("shop").scenario.providers["desk"]
    gone = Provider(live="no_such_package.sql:START", tier=there.tier)
    scenario = Scenario(
        name="s", programs=case("").scenario.programs, world={}, providers={"x": gone}
    )
    with (
        Loop() as loop,
        Stands(loop, lambda: nullcontext(object())) as found,  # type: ignore[arg-type]
        pytest.raises(RuntimeUnavailableError, match=r"pip install 'bakeoff\[gateway\]'"),
    ):
        found.need(Case(scenario=scenario, ref="", tier=Tier.O))


@pytest.mark.parametrize("reference", ["harness.world.nowhere:START", "harness.world.live:NOTHING"])
def test_who_is_misspelt_is_an_error(reference: str) -> None:
    """What is not there by that name is no server that could be installed."""
    scenario = Scenario(
        name="s",
        programs=case("").scenario.programs,
        world={},
        providers={"x": Provider(live=reference)},
    )
    with (
        Loop() as loop,
        Stands(loop, lambda: nullcontext(object())) as found,  # type: ignore[arg-type]
        pytest.raises(LoadError, match=r"nowhere|NOTHING"),
    ):
        found.need(Case(scenario=scenario, ref="", tier=Tier.O))


def test_a_stranger_in_memory_too(face: Face) -> None:
    """What has no real provider is written in memory."""
    face.world.drift("c", "rest", 2)

    assert STRANGER == face.world.cell("c").resources["rest"].author
