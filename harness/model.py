"""The model: what should happen under a schedule follows, it is never listed.

The same body is driven in memory over the same cell code.  What a runtime promises (its
guarantee) says what is kept when the attempt in flight is lost; what a fault can mean (its
happenings) says what is lost.  Each combination gives a history like a real one, and the
same oracles judge it: that verdict is the prediction.
"""

from __future__ import annotations

import itertools
import json

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from harness.effects import Guard, Json
from harness.faults import fault
from harness.guardian import Scope
from harness.history import Event, step_of
from harness.oracle import Expectation, predict
from harness.program import play
from harness.runtime import Guarantee
from harness.scenario import Answer, Case
from harness.schedule import Schedule
from harness.simulation import CREDENTIAL, ModelError, Run, Trace, World, drive
from harness.world.cell import FENCED


MAX_COMBINATIONS = 64
MAX_WAYS = 256
"""After so many ways through a program it is taken for one without an end."""
REFUSED = ("rejected", "failed", "throttled")
RETRYING = "retrying"
GHOST = frozenset({"ghost_running", "broken_chain", "orphaned_claim"})
"""What is seen of a run that is tried for ever and never goes on, or was given up."""


Replies = dict[tuple[str, str], dict[str, Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ideal:
    """The run as it should be: what it does in order, and where it ends.

    ``commands`` are the kinds of commands that it uses, by the names of capabilities;
    ``detached`` are the children that nobody waits for, ``begun`` those begun before a step or
    a wait, ``work`` the steps of each child, ``scope`` all that the run and they may do.
    """

    commands: frozenset[str]
    steps: tuple[str, ...]
    waits: tuple[str, ...]
    before: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, str]
    owed: tuple[tuple[str, str], ...]
    children: tuple[str, ...]
    world: Mapping[str, Json]
    output: Json
    detached: tuple[str, ...] = ()
    begun: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    work: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scope: frozenset[Scope] = frozenset()


def ideal(case: Case, run: str, arg: Json, events: Sequence[Event] = ()) -> Ideal:
    """Return the run without faults; ``events`` give the answers that were really given.

    The end (world and output) is that of a world that answers without refusals but the lasting
    ones, and with the recorded decisions; what is owed follows from all recorded replies.
    """
    replies: Replies = {}
    decisions: dict[str, Json] = {}
    chosen = {e.data["step"] for e in events if e.kind == "call" and e.data["op"] == "ask"}
    for event in events:
        if event.kind != "reply" or "phase" in event.data:
            continue
        reply = event.data["reply"]
        # What hangs was not given, and what is fenced was given to somebody else.
        if reply["status"] != "hang" and reply.get("value") != FENCED:
            replies[event.run, step_of(event)] = reply
            if event.data["step"] in chosen and event.data["reply"]["status"] == "ok":
                decisions[event.data["step"]] = event.data["reply"]["value"]
    body, answers = case.scenario.main.body, case.answers

    def follow(given: Sequence[Answer], replies: Replies) -> tuple[Trace, Json]:
        world = World.of(case, decisions, given)
        trace = Trace(Run(world, run, Guarantee.MEMO, Guard.NONE, (), arg), replies)
        return trace, drive(play(body, arg, trace))

    # What a stranger's words have it do is not its own.
    own = [answer for answer in answers if not answer.injects]
    best, output = follow([answer for answer in own if answer.lasting], {})
    end, trace = best.run, follow(answers, replies)[0]
    asked = trace if len(own) == len(answers) else follow(own, {})[0]
    allowed = frozenset().union(*best.does.values(), *asked.does.values())
    return Ideal(
        commands=frozenset(trace.commands),
        steps=tuple(trace.steps),
        waits=tuple(trace.waits),
        before=trace.before,
        groups=trace.groups,
        owed=tuple(each for each in trace.owed if trace.does[each] <= allowed),
        children=tuple(end.children),
        world=end.world.cell.values(),
        output=output,
        detached=tuple(trace.detached),
        begun=trace.begun,
        work=trace.work,
        scope=allowed,
    )


def slots(case: Case, run: str, arg: Json) -> frozenset[str]:
    """Return the names of all steps that a program has, whatever it is told at each.

    Every step that is found is refused in each way, on the way to it too; where that does not come
    to an end, nothing is returned, as nobody can list them.
    """
    found: set[str] = set()
    left: list[Replies] = [{}]
    for _ in range(MAX_WAYS):
        if not left:
            return frozenset(found)
        replies = left.pop()
        # What a stranger's words have it do is no step of its own.
        world = World.of(case, {}, [answer for answer in case.answers if not answer.injects])
        trace = Trace(Run(world, run, Guarantee.MEMO, Guard.NONE, (), arg), replies)
        with suppress(Exception):  # the body's own: with that answer it cannot go on
            drive(play(case.scenario.main.body, arg, trace))
        for at in trace.does:
            if at[1] not in found:
                found.add(at[1])
                left += [{**replies, at: {"status": status}} for status in REFUSED]
    return frozenset()


def expect(
    case: Case,
    schedule: Schedule,
    guarantee: Guarantee,
    guard: Guard,
    settings: Mapping[str, Json],
    run: str,
    arg: Json,
    events: Sequence[Event] = (),
) -> Expectation:
    """Return what the oracles should find for a run under a schedule.

    Raises:
        ModelError: the happenings of its faults are too many to combine.

    """
    end = ideal(case, run, arg, events)
    faults = [fault(stage.fault) for stage in schedule.stages]
    choices = [f.happenings(settings) for f in faults]
    versions = {happening.version for choice in choices for happening in choice} - {""}
    owed, scope = set(end.owed), end.scope
    for version in versions:  # what only one of the programs calls by that name is not owed
        other = ideal(case.at(version), run, arg, events)
        owed, scope = owed & set(other.owed), scope | other.scope
    combinations = list(itertools.islice(itertools.product(*choices), MAX_COMBINATIONS + 1))
    if len(combinations) > MAX_COMBINATIONS:
        msg = f"{schedule}: more than {MAX_COMBINATIONS} ways in which its faults may turn out"
        raise ModelError(msg)
    found: list[frozenset[str]] = []
    ends: set[str] = set()
    bare = Expectation(
        exact=True,
        ends=frozenset({"completed"}),
        violated=frozenset(),
        permitted=frozenset(),
        owed=tuple(each for each in end.owed if each in owed),
        children=end.children,
        groups=end.groups,
        world=end.world,
        output=end.output,
        hang_timer_s=settings.get("hang_timer_s"),  # type: ignore[arg-type]
        changed=bool(versions),
        scope=scope,
        asks=frozenset(case.scenario.approvals),
    )
    # Only another program, or a stranger's words, may ask for what is no step of this one.
    strange = bool(versions) or any(answer.injects for answer in case.answers)
    told = guard is Guard.GATEWAY and strange
    named = slots(case, run, arg) if told else frozenset[str]()
    for happenings in combinations:
        stages = [(s.point, h) for s, h in zip(schedule.stages, happenings, strict=True)]
        world = World.of(case, {})
        turn = Run(world, run, guarantee, guard, stages, arg, scope=end.scope, slots=named)
        status, output = turn.finish()
        given_up = any(happening.given_up for happening in happenings)
        if not given_up:
            ends.add(status)
        stuck = any(happening.stuck for happening in happenings)
        world.history.append("view", run, status=status, output=output, moves="unknown", claim="")
        world.history.append("world", run, **world.cell.state())
        leaked: list[Json] = ["what is kept"] if CREDENTIAL in json.dumps(turn.kept) else []
        world.history.append("scan", searched=1, found=leaked)
        seen = predict(world.history, bare, hung=stuck)
        if any(happening.lost for happening in happenings):
            seen |= {"lost_run"}
        stays = given_up or any(happening.refused == RETRYING for happening in happenings)
        found.append(seen | GHOST if stays else seen)
    exact = all(f.exact for f in faults)
    return replace(
        bare,
        exact=exact,
        ends=frozenset(ends),
        violated=found[0] if exact else frozenset.intersection(*found),
        permitted=frozenset.union(*found),
    )
