"""Faults: what they need, how they are confirmed, and what the oracles make of a change."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.deadline import Deadline, DeadlineError
from harness.effects import Json
from harness.faults import FAULTS, FaultError, Means, UnconfirmedError, fault
from harness.faults.changes import AHEAD_S, ahead
from harness.history import Event
from harness.link import Mode
from harness.oracle import Expectation, Outcome
from harness.oracles.ends import broken_chain, ghost_running
from harness.process import Exit, Process, Service


ALWAYS = {
    *("kill(worker)", "terminate(worker)", "pause(worker)", "roll(workers)", "late(request)"),
    *("drift(world)", "lose(reply)", "hang(handler)", "restart(backlog)"),
    *("gone(worker)", "slow(handler)", "age(23h)", "age(25h)", "double(worker)", "repeat(start)"),
}


@dataclass(slots=True)
class Server:
    """A server that is only named."""

    name: str = "engine"
    binary: object = None

    def alive(self) -> bool:
        return True

    def kill(self) -> Exit:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def ready(self, deadline: Deadline) -> None:
        raise NotImplementedError

    def upgrade(self, binary: object) -> None:
        self.binary = binary


@dataclass(slots=True)
class Link:
    """A link that touches something at each mode, or, broken itself, never."""

    works: bool = True
    name: str = "path"
    touched: int = 0
    modes: list[Mode] = field(default_factory=list)

    def set_mode(self, mode: Mode, delay_s: float = 0.0) -> None:
        del delay_s
        self.modes.append(mode)
        self.touched += self.works


@dataclass(slots=True)
class Worker:
    """A worker that can be killed by nobody."""

    incarnation: str

    def kill(self) -> None:
        """Do nothing, and have nothing to say of it."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Kept:
    """A log whose damage is only told."""

    said: list[str]
    room: bool = True
    refuses: bool = True

    def cut(self) -> str:
        return "cut"

    def flip(self) -> str:
        return "flip"

    def tear(self) -> str:
        return "tear"

    def wipe(self) -> str:
        return "wipe"

    def fill(self) -> None:
        self.room = False

    def empty(self) -> None:
        self.said.append("room")
        self.room = True

    def unwritten(self) -> int:
        return int(not self.room and self.refuses and "reply" in self.said)


@dataclass(slots=True)
class Gateway:
    """A gateway that is only named; to be killed it has to be there."""

    kept: Kept
    name: str = "gateway"

    @property
    def service(self) -> Gateway:
        return self

    def kill(self) -> None:
        self.kept.said.append("kill")

    def restart(self) -> None:
        self.kept.said.append("restart")

    def ready(self, deadline: Deadline) -> None:
        del deadline


@dataclass(slots=True)
class Stage:
    """A scene with links and nothing else; it notes what is done."""

    links: Sequence[Link]
    said: list[str] = field(default_factory=list)
    ahead_s: float = 0.0
    servers: Sequence[Service] = ()
    databases: Sequence[Service] = ()
    settings: Mapping[str, Json] = field(default_factory=dict)
    both: bool = True
    over: bool = True
    workers: list[Worker] = field(default_factory=lambda: [Worker("w1")])
    guardian: Any = None
    drops: bool = False
    named: str = ""
    names: list[str] = field(default_factory=list)
    """What further workers say of themselves."""

    @property
    def worker(self) -> Process:
        return self.workers[-1]  # type: ignore[return-value]

    def report(self, ended: Exit | None, victim: str, **more: Json) -> None:
        assert ended is None
        facts = " ".join(str(more[name]) for name in ("mode", "touched", "lives") if name in more)
        self.said.append(f"broke {victim} {facts}".strip())

    def age(self, for_s: float) -> None:
        self.said.append(f"age {for_s:g}")

    def revoke(self) -> None:
        self.said.append("revoke")

    def repeat(self) -> None:
        self.said.append("repeat")

    def ended(self, most_s: float) -> bool:
        del most_s
        return self.over

    def bar(self) -> None:
        self.said.append("bar")

    def barred(self, most_s: float) -> bool:
        self.said.append(f"barred {most_s:g}")
        return self.both

    def unbar(self) -> None:
        self.said.append("unbar")

    def asked_twice(self, most_s: float) -> bool:
        del most_s
        return self.both

    def maim(self, part: str) -> None:
        raise NotImplementedError

    def release(self, how: str) -> None:
        self.said.append(how)
        for link in self.links:
            link.touched += link.works

    def freed(self) -> bool:
        return self.drops or "reply" in self.said

    def succeed(self, version: str = "", env: Mapping[str, str] | None = None) -> None:
        assert not version
        self.said.append(" ".join(["succeed", *(env or {}).values()]))
        self.named = self.names.pop(0) if self.names else self.named
        self.workers.append(Worker(f"w{len(self.workers) + 1}"))

    def drift(self) -> None:
        raise NotImplementedError

    def forestall(self) -> None:
        self.said.append("forestall")

    def queue(self) -> None:
        raise NotImplementedError

    def rewind(self) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        raise NotImplementedError

    def empty(self) -> None:
        raise NotImplementedError

    def abandoned(self, most_s: float) -> bool:
        raise NotImplementedError

    def outlast(self, for_s: float) -> None:
        self.said.append(f"outlast {for_s:g}")

    def introduce(self) -> None:
        raise NotImplementedError

    def meet(self) -> None:
        raise NotImplementedError

    def tell(self, text: str) -> None:
        self.said.append(text)

    def until(self, predicate: Callable[[], bool], reason: str) -> None:
        if not predicate():
            raise DeadlineError(reason)


# Needs ---------------------------------------------------------------------------------------


def test_nothing_at_hand() -> None:
    """With no server, link, part, store or version, only faults of worker and world remain."""
    found = {name: each.obstacle(Means()) for name, each in FAULTS.items() if "clock" not in name}
    assert ALWAYS == {name for name, reason in found.items() if reason is None}
    assert all(reason is None or len(reason) > 20 for reason in found.values())


def test_everything_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all of them, and a newer server, every fault is possible."""
    monkeypatch.setenv("BAKEOFF_ENGINE_BIN_NEXT", "/newer")
    means = Means(
        servers=[Server()],
        databases=[Server("base")],
        linked=True,
        parts=("parent", "listener"),
        kept=True,
        versions=("renamed", "reordered", "removed"),
        cancels=True,
        called=True,
        guarded=True,
        asks=True,
        named=True,
    )
    reasons = {name: each.obstacle(means) for name, each in FAULTS.items() if "clock" not in name}
    assert {None} == set(reasons.values())


def test_real_providers_have_their_own_time() -> None:
    """What is aged is our world; a real server's clock is not ours."""
    reasons = {name: each.obstacle(Means(live=True)) for name, each in FAULTS.items()}
    assert {"age(23h)", "age(25h)"} == {
        name for name, reason in reasons.items() if reason and "real" in reason
    }


def test_upgrade_names_the_variable() -> None:
    """Without a newer binary, the reason says how to name one."""
    reason = fault("upgrade(server)").obstacle(Means(servers=[Server()]))
    assert reason == "there is no newer server; name its binary by BAKEOFF_ENGINE_BIN_NEXT"


def test_unknown() -> None:
    """A fault that does not exist is refused, with those that do."""
    with pytest.raises(FaultError, match=r"unknown fault 'cut\(tree\)'; known: .*cut\(link\)"):
        fault("cut(tree)")


# Confirmation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cut", "black_hole", "half_open", "slow"])
def test_link_is_broken_released_and_healed(name: str) -> None:
    """The path is broken, that is written down, the held go on, and only then it is healed."""
    link = Link()
    stage = Stage([link])
    fault(f"{name}(link)").inject(stage)
    after = f"after the answers the link did {name} to 1"
    assert [f"broke path {name} 1", "reply", after] == stage.said
    fault(f"{name}(link)").heal(stage)
    assert [Mode(name), *([] if name == "slow" else [Mode.PASS])] == link.modes


def test_link_that_touches_nothing_is_not_confirmed() -> None:
    """Where nothing met the broken path, nothing is written down and nobody is let go."""
    stage = Stage([Link(works=False)])
    with pytest.raises(DeadlineError, match="the link does cut to something"):
        fault("cut(link)").inject(stage)
    assert [] == stage.said


def test_no_link() -> None:
    """Where the runtime asked for no link there is none to break."""
    with pytest.raises(UnconfirmedError, match="asked the site for no link"):
        fault("cut(link)").inject(Stage([]))


# Time, tokens, and too many -------------------------------------------------------------------


def test_time_passes_while_nobody_is_there() -> None:
    """The worker dies, so many hours pass, and only then its successor comes."""
    stage = Stage([])
    for act in (fault("age(25h)").inject, fault("age(25h)").heal):
        act(stage)
    assert ["broke w1", "age 90000", "succeed"] == stage.said


def test_a_token_ends_before_the_held_go_on() -> None:
    """What is in flight is let go once the revocation was taken."""
    stage = Stage([])
    fault("revoke(token)").inject(stage)
    assert ["revoke", "reply"] == stage.said
    reason = fault("revoke(token)").obstacle(Means())
    assert reason == "nobody can revoke: no gateway stands before the world"


@pytest.mark.parametrize(
    ("both", "said"),
    [(True, "both asked for it"), (False, "only one of them was given the step")],
)
def test_a_second_worker_beside_the_first(both: bool, said: str) -> None:
    """Nobody dies; whether both were given the step is said, and then the held go on."""
    stage = Stage([], both=both)
    for act in (fault("double(worker)").inject, fault("double(worker)").heal):
        act(stage)
    assert ["succeed", "broke w1 True", said, "reply"] == stage.said


@pytest.mark.parametrize(
    ("both", "when"),
    [
        (True, "while its successor was at work"),
        (False, "when its successor had done what it could"),
    ],
)
def test_a_successor_of_the_same_name(both: bool, when: str) -> None:
    """It has the name of the frozen one, which wakes once it has gone on, and before it goes on."""
    stage = Stage([], both=both, named="w", names=["w"], settings={"settle_s": 15.0})
    for act in (fault("namesake(worker)").inject, fault("namesake(worker)").heal):
        act(stage)
    woke = f"the first of two named w woke {when}"
    order = ["broke w1", "bar", "succeed w", "barred 15", "reply", "outlast 1", "unbar", woke]
    assert order == stage.said


@pytest.mark.parametrize(("first", "second"), [("w", "v"), ("", ""), ("w", "")])
def test_a_successor_of_another_name_shows_nothing(first: str, second: str) -> None:
    """What both say that they are called must be the same, and something."""
    stage = Stage([], named=first, names=[second], settings={"settle_s": 15.0})
    with pytest.raises(UnconfirmedError, match=rf"w1 says that it is '{first}'"):
        fault("namesake(worker)").heal(stage)


@pytest.mark.parametrize("over", [True, False])
def test_a_start_comes_again(over: bool) -> None:
    """It comes again at once, and after the end too where there was one in time."""
    stage = Stage([], over=over)
    for act in (fault("repeat(start)").inject, fault("repeat(start)").heal):
        act(stage)
    told = "it was handed over three times, the last time after its end"
    again = ["repeat", "outlast 1", told] if over else []
    assert ["repeat", "broke", "reply", *again] == stage.said


# A gateway's log ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "flip", "tear", "wipe"])
def test_a_log_is_damaged_while_nobody_writes_it(how: str) -> None:
    """The gateway is dead, and what it had sent has fallen, before its files are touched."""
    stage = Stage([], drops=True)
    stage.guardian = Gateway(Kept(stage.said))
    for act in (fault(f"{how}(log)").inject, fault(f"{how}(log)").heal):
        act(stage)
    assert ["kill", "broke gateway", how, "restart"] == stage.said
    other = Stage([])
    other.guardian = Gateway(Kept(other.said))
    with pytest.raises(DeadlineError, match="drops what the gateway had asked for"):
        fault(f"{how}(log)").inject(other)
    assert how not in other.said


@pytest.mark.parametrize(("over", "refused"), [(False, 1), (True, 0)])
def test_a_disk_is_full_until_a_record_was_refused(over: bool, refused: int) -> None:
    """Or until the run has ended without one; what was refused is said before there is room."""
    stage = Stage([], over=over)
    stage.guardian = Gateway(Kept(stage.said, refuses=bool(refused)))
    for act in (fault("full(disk)").inject, fault("full(disk)").heal):
        act(stage)
    told = f"the log had no room for {refused} records until now"
    assert ["broke gateway", "reply", told, "room"] == stage.said


def test_a_disk_that_takes_everything_is_not_full() -> None:
    """Where nothing was refused and the run goes on, the fault did not come."""
    stage = Stage([], over=False)
    stage.guardian = Gateway(Kept(stage.said, refuses=False))
    with pytest.raises(DeadlineError, match="no room for a record"):
        fault("full(disk)").inject(stage)


# A change, judged ----------------------------------------------------------------------------

CHANGED = Expectation(
    exact=False,
    ends=frozenset({"completed", "failed", "parked", "retrying"}),
    violated=frozenset(),
    permitted=frozenset(),
    owed=(("r", "pay"),),
    world={},
    output=None,
    changed=True,
)
PLAIN = replace(CHANGED, ends=frozenset({"completed"}), changed=False)


def view(status: str, moves: str) -> list[Event]:
    """Return a history in which the runtime says one thing of the run."""
    return [Event(0, 0, "view", "r", {"status": status, "moves": moves, "claim": ""})]


@pytest.mark.parametrize("status", ["failed", "parked"])
def test_refusing_is_right_only_after_a_change(status: str) -> None:
    """A run that was refused or held is fine after a change, and not otherwise."""
    told = view(status, "no")
    for oracle in (broken_chain, ghost_running):
        assert Outcome.OK is oracle(told, CHANGED).outcome
    wrong = {oracle(told, PLAIN).outcome for oracle in (broken_chain, ghost_running)}
    assert Outcome.VIOLATED in wrong


def test_trying_for_ever_is_a_ghost_after_a_change() -> None:
    """The same code meets the same record each time; without a change it may still move."""
    told = view("retrying", "yes")
    assert Outcome.VIOLATED is ghost_running(told, CHANGED).outcome
    assert Outcome.UNKNOWN is ghost_running(told, PLAIN).outcome


CLOCKS = """
import threading, time
began = time.monotonic()
threading.Event().wait(0.01)
print(time.time(), began, time.monotonic())
"""


@pytest.mark.skipif(
    fault("skew(clock)").obstacle(Means()) is not None,
    reason="no libfaketime on this machine: apt-get install faketime",
)
def test_a_skewed_clock_is_the_wall_clock() -> None:
    """That by which waits end is right, as on a machine whose time is wrong."""
    before = time.time(), time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", CLOCKS],
        env={**os.environ, **ahead()},
        check=True,
        capture_output=True,
        timeout=60,
    )
    wall, began, ended = map(float, run.stdout.split())
    assert AHEAD_S <= wall - before[0] <= AHEAD_S + time.monotonic() - before[1] + 1
    assert before[1] <= began <= ended <= time.monotonic()
