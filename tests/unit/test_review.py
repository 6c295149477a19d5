"""What a review of the harness found, each shown to be gone."""

from __future__ import annotations

import socket
import struct

from pathlib import Path
from typing import Any

import pytest

from harness.effects import Effect, Op, Tier
from harness.history import Event, split
from harness.link import TcpLink
from harness.load import LoadError, load
from harness.loop import Loop
from harness.model import ideal
from harness.process import Address
from harness.program import invoke, step
from harness.scenario import Answer, Case, Program, Scenario, ScenarioError, cases
from harness.schedule import Point, Schedule, Stage, parse
from harness.store import Store, StoreError
from harness.summary import cells
from harness.world import Cell
from harness.world.cell import Call


APPEND = Op("append", Effect.IRREVERSIBLE)


async def parent(_: Any) -> Any:
    """Run a child, then write under the same step name."""
    await invoke("h", "child", 1)
    return (await step("write", APPEND, {"path": "log", "value": 0})).status


async def child(arg: Any) -> Any:
    """Write once."""
    await step("write", APPEND, {"path": "log", "value": arg})


FAMILY = Scenario(
    name="family",
    programs=(Program(name="parent", body=parent), Program(name="child", body=child)),
    world={"log": []},
)


def write(**more: Any) -> Call:
    """Return an appending call."""
    given = {"run": "r", "step": "write", "op": "append", "effect": Effect.IRREVERSIBLE}
    return Call(**{**given, "args": {"path": "log", "value": 1}, **more})


def test_a_child_is_judged_with_its_parent() -> None:
    """The history of a run holds its children's events."""
    events = [
        Event(0, 0, "call", "r", {}),
        Event(1, 1, "call", "r.h", {}),
        Event(2, 2, "exit", "", {}),
    ]
    assert {"r": [0, 1, 2]} == {run: [e.index for e in own] for run, own in split(events).items()}


def test_a_parent_owes_what_its_child_writes() -> None:
    """The writes of an awaited child are owed by a completed parent."""
    case = Case(scenario=FAMILY, ref="x", tier=Tier.O)
    assert (("r.h", "write"), ("r", "write")) == ideal(case, "r", {}).owed


def test_injected_answers_are_the_parents() -> None:
    """A child with a step of the same name does not take the answer meant for its parent."""
    cell = Cell.of(Tier.O, {"log": []}, (Answer(step="write", status="failed"),))
    assert [True, False] == [cell.apply(write(run=run)).applied for run in ("r.h", "r")]


def test_own_write_does_not_break_a_pattern() -> None:
    """A premise on several resources is not broken by the step's own earlier write to one."""
    cell = Cell.of(Tier.O, {"a/1": 1, "a/2": 2})
    premise = {"path": "a/*", "etag": "v1,v1"}
    call = write(op="set", args={"path": "a/1", "value": 9}, premises=[premise])
    assert [(), ()] == [cell.apply(call).premise_broken for _ in range(2)]


def test_surprise_of_a_batch_is_not_hidden() -> None:
    """Under a racy fault a predicted single trial does not hide what the batch saw."""
    row = {"trial": "t", "runtime": "n", "kind": "k", "case": "c", "guard": "g", "fault": "f"}
    row |= {"depth": 1, "schedule": "s", "end": "completed", "exact": False, "outcome": "violated"}
    batch = {**row, "mode": "batch", "violated": ["lost_effect"], "surprising": True}
    single = {**row, "mode": "single", "violated": ["duplicate_effect"], "surprising": False}
    assert 1 == cells([batch, single])[0].surprising


def test_tier_of_another_scenario() -> None:
    """A tier that the scenario does not declare is refused."""
    with pytest.raises(ScenarioError, match="has no tier or variant 'K'"):
        cases(FAMILY, "x", "K")


def test_a_file_that_raises(tmp_path: Path) -> None:
    """A file that fails when it is imported is one clear error, with its line."""
    (tmp_path / "m.py").write_text("\nX = undefined\n")
    with pytest.raises(LoadError, match=r"m\.py, line 2: NameError"):
        load(f"{tmp_path / 'm.py'}:", "X")


def test_sweep_that_is_a_list(tmp_path: Path) -> None:
    """A sweep file of the wrong shape is damaged, not a crash."""
    store = Store.create(tmp_path, {})
    (store.path / "sweep.json").write_text("[]")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(store.path)


def test_step_names_may_hold_anything() -> None:
    """A line break in a step's name survives printing and parsing."""
    schedule = Schedule((Stage(Point("a\nb", "before_effect"), "f"),))
    assert schedule == parse(str(schedule))


def test_reset_is_forwarded() -> None:
    """A peer that dies with a reset is seen by the other side of the link."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Loop() as loop,
        TcpLink(loop, "l") as link,
    ):
        link.point_at(Address("127.0.0.1", server.getsockname()[1]))
        client = socket.create_connection((link.address.host, link.address.port))
        peer, _ = server.accept()
        with peer:
            peer.settimeout(10)
            client.sendall(b"x")
            assert b"x" == peer.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            try:
                assert b"" == peer.recv(1)
            except ConnectionResetError:
                return  # as good: it is seen
