"""Sessions: what their enumeration does not reach, each by its own schedule."""

from __future__ import annotations

import asyncio

from dataclasses import replace
from typing import ClassVar

import pytest

from support.resume import Bench, wanted

from harness.effects import Tier
from runtimes.reference.effect_log.errors import ConflictError, ContradictionError
from runtimes.reference.effect_log.facts import Standing
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.records import (
    Cancel,
    Completion,
    Outcome,
    Revoke,
    Terminal,
    Verdict,
)
from runtimes.reference.enumeration.disk import Heads, Store
from runtimes.reference.enumeration.life import RUN, driven, key_of, say
from runtimes.reference.enumeration.world import Time, World
from runtimes.reference.resume import clock
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.resume.errors import (
    DriftError,
    EscalatedError,
    PlanError,
    UnreadError,
)
from runtimes.reference.resume.recovery import take_over
from runtimes.reference.resume.session import TRIES, Given
from runtimes.reference.upstreams.base import (
    Answer,
    LostError,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.refusal import Refusal, refused


class Down(World):
    """A provider that is not always there; what is named in ``down`` raises."""

    down: ClassVar[dict[str, Exception]] = {}

    async def query(self, order: Order) -> Answer | None:
        """Answer, unless down."""
        if "query" in self.down:
            raise self.down["query"]
        return await super().query(order)

    async def look(self, resource: str) -> Seen:
        """Look, unless down."""
        if "look" in self.down:
            raise self.down["look"]
        return await super().look(resource)

    async def fence(self, run: str, epoch: int) -> bool:
        """Refuse, unless down."""
        if "fence" in self.down:
            raise self.down["fence"]
        return await super().fence(run, epoch)

    async def call(self, order: Order) -> Answer:
        """Carry out, unless down; ``lost`` once it is carried out, ``refused`` is an answer."""
        if "call" in self.down:
            raise self.down["call"]
        if "refused" in self.down:
            return Answer(outcome=Outcome.FAILED_BEFORE, response={"status": "failed"})
        if "mismatch" in self.down:
            return refused(Refusal.MISMATCH)
        if "changed" in self.down:
            return Answer(outcome=Outcome.CONFLICT, response=None)
        answer = await super().call(order)
        if "lost" in self.down:
            raise LostError(order.slot)
        return answer


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """Return what of the provider is down; nothing yet."""
    found: dict[str, Exception] = {}
    monkeypatch.setattr(Down, "down", found)
    return found


def bench(tier: Tier) -> Bench:
    """Return a run that was begun with such a provider."""
    found = Bench(tier, world=Down)
    found.take()
    return found


CUT = wanted("cut", "set", "zone", premises={"zone": "v1"})
CLEAR, CREATE, READ = wanted("clear", "clear"), wanted("create", "create"), wanted("look", "read")


# Taking over ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["query", "fence"])
def test_nobody_answers_a_take_over(down: dict[str, Exception], what: str) -> None:
    """What cannot be asked for stays in doubt; who cannot be fenced is not taken over."""
    run = bench(Tier.Q)
    run.dies(CLEAR, "answer")
    down[what] = UnreachableError("nobody is there")
    if what == "fence":
        with pytest.raises(UnreachableError):
            run.take()
    else:
        run.take()
        assert Standing.IN_DOUBT is run.session.facts.effects["clear"].standing
        with pytest.raises(UnreachableError):
            run.perform(CLEAR)
    down.clear()
    run.take()
    assert Given({"status": "ok", "etag": "v2"}) == run.perform(CLEAR)
    assert ["clear"] == run.done


def test_a_premise_that_cannot_be_seen_forces_no_plan(down: dict[str, Exception]) -> None:
    """A take-over goes on with the old plan, and the effect is refused until it is seen."""
    run = bench(Tier.Q)
    zone = run.perform(READ)
    assert zone
    cut = wanted("cut", "set", "zone", premises={"zone": "v1"})
    down["call"] = UnreachableError("not sent")
    with pytest.raises(UnreachableError):
        run.perform(cut)
    down.clear()
    down["look"] = UnreachableError("nobody is there")
    run.take()
    assert 1 == run.session.facts.plan_epoch
    with pytest.raises(UnreachableError):
        run.perform(cut)
    assert [] == run.done


def test_a_false_premise_forces_a_plan_at_once() -> None:
    """Before anything is done by a plan of which something that failed rests on what is not so."""
    run = bench(Tier.Q)
    run.perform(READ)
    run.state.world.trouble = ("cut", "unreachable")
    with pytest.raises(UnreachableError):
        run.perform(wanted("cut", "set", "zone", premises={"zone": "v1"}))
    run.state.world.drift("zone", "theirs")
    run.take()
    assert 2 == run.session.facts.plan_epoch
    assert {"zone": 2} == run.session.facts.drifted


def test_another_program() -> None:
    """It is refused before it holds the run: nothing is written."""
    run = bench(Tier.Q)
    rows = len(run.state.disk.rows)
    with pytest.raises(PlanError, match="begun by program"):
        run.take(program="v2")
    assert rows == len(run.state.disk.rows)


def test_a_run_that_has_ended() -> None:
    """It can be held, keeps its plan and its end, and an end is written once."""
    run = bench(Tier.Q)
    driven(run.session.end("completed", 1))
    run.take()
    rows = len(run.state.disk.rows)
    driven(run.session.end("failed"))
    assert rows == len(run.state.disk.rows)
    assert run.session.facts.terminal == Terminal(status="completed", output=1)


# Capabilities --------------------------------------------------------------------------------


def test_recovery_repeats_under_no_ended_capability() -> None:
    """The capability of a call in doubt ends with the take-over; its repetition has none."""
    run = bench(Tier.K)
    run.dies(wanted("clear", "clear", capability="first"), "answer")
    run.take()
    tried = run.session.facts.effects["clear"]
    assert Standing.DONE is tried.standing
    assert ("", 2) == (tried.intent.capability, tried.intent.attempt)
    assert {"first"} == run.session.facts.revoked
    assert ["clear"] == run.done


def test_who_asks_again_lends_the_capability() -> None:
    """A call in doubt whose capability was revoked is repeated under that of who asks now."""
    run = bench(Tier.K)
    run.state.world.trouble = ("clear", "reply")
    run.dies(wanted("clear", "clear", capability="first"), "send")
    driven(run.session.carrier.log.append(Revoke(capabilities=("first",), by="o", why="")))
    run.perform(wanted("clear", "clear", capability="second"))
    assert "second" == run.session.facts.effects["clear"].intent.capability
    assert ["clear"] == run.done


# Cancelled -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "standing"), [(Tier.K, Standing.UNKNOWN), (Tier.Q, Standing.DONE)]
)
def test_nothing_is_repeated_for_a_cancelled_run(tier: Tier, standing: Standing) -> None:
    """It can be taken over; what is in doubt is asked for, or a human is."""
    run = bench(tier)
    run.dies(CREATE, "answer")
    driven(run.session.carrier.log.append(Cancel(by="o", in_flight=("create",))))
    run.take()
    assert standing is run.session.facts.effects["create"].standing
    assert ["create"] == run.done


# A human -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["send", "answer"])
def test_a_human_says_and_it_goes_on(stop: str) -> None:
    """Until then it is escalated to whoever asks; afterwards the effect is there once."""
    run = bench(Tier.O)
    run.dies(CLEAR, stop)
    run.take()
    for _ in range(2):
        with pytest.raises(EscalatedError, match="a human must say"):
            run.perform(CLEAR)
    with pytest.raises(ContradictionError, match="clear"):
        driven(run.session.end("completed"))
    say(run.state)
    run.take()
    assert run.perform(CLEAR).settled is (stop == "answer")
    assert ["clear"] == run.done
    driven(run.session.end("completed"))


# Slots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(READ, wanted("look", "read", "dns"), id="a read of another resource"),
        pytest.param(
            wanted("ask", "ask", args={"options": [1, 2]}),
            wanted("ask", "ask", args={"options": [1, 3]}),
            id="a decision by other facts",
        ),
        pytest.param(CLEAR, wanted("clear", "clear", "dns"), id="an effect on something else"),
    ],
)
def test_a_slot_means_one_thing(first, then) -> None:
    """Under one plan another request for it is refused, and nothing is done."""
    run = bench(Tier.Q)
    run.perform(first)
    done = run.done
    with pytest.raises(ConflictError, match="CONFLICT"):
        run.perform(then)
    assert done == run.done


@pytest.mark.parametrize(("tier", "done"), [(Tier.Q, ["mail"]), (Tier.O, ["mail"])])
def test_other_words_under_another_plan(
    down: dict[str, Exception], tier: Tier, done: list[str]
) -> None:
    """What is in doubt is settled before its slot is given to another request."""
    run = bench(tier)
    run.dies(wanted("mail", "append", "mail", args={"value": "moved"}), "answer")
    down["query"] = UnreachableError("not now")
    if tier is Tier.Q:
        run.take()
    driven(run.session.replan(DriftError("mail", ["dns"])))
    down.clear()
    with pytest.raises(ConflictError, match="cannot be another request"):
        run.perform(wanted("mail", "append", "mail", args={"value": "we have moved"}))
    assert done == run.done


def test_other_words_for_what_was_not_done(down: dict[str, Exception]) -> None:
    """Under a new plan they are a new effect, with a name of its own."""
    run = bench(Tier.Q)
    down["call"] = UnreachableError("not sent")
    with pytest.raises(UnreachableError):
        run.perform(wanted("mail", "append", "mail", args={"value": "moved"}))
    down.clear()
    driven(run.session.replan(DriftError("mail", ["dns"])))
    run.perform(wanted("mail", "append", "mail", args={"value": "we have moved"}))
    assert ["mail@2"] == run.done


def test_what_is_sealed_is_given_without_asking() -> None:
    """A read, a decision and an effect that is done; nothing of what was never asked for."""
    run = bench(Tier.O)
    ask = wanted("ask", "ask", args={"options": [1, 2]})
    given = {each.slot: run.perform(each) for each in (READ, ask, CREATE)}
    assert given == {each.slot: run.session.sealed(each) for each in (READ, ask, CREATE)}
    assert run.session.sealed(CLEAR) is None
    run.dies(CLEAR, "send")
    run.take()
    assert run.session.sealed(CLEAR) is None


@pytest.mark.parametrize("asked", [READ, wanted("ask", "ask", args={"options": [1, 2]})])
def test_what_failed_is_not_sealed(down: dict[str, Exception], asked) -> None:
    """A read or a question that was refused is tried again when it is asked for again."""
    run = bench(Tier.Q)
    down["refused"] = Exception()
    assert Given({"status": "failed"}) == run.perform(asked)
    down.clear()
    given = run.perform(asked)
    assert Given({"status": "failed"}) != given
    assert given == run.perform(asked)


def test_no_such_operation() -> None:
    """Nothing is done, and the slot is free."""
    run = bench(Tier.Q)
    with pytest.raises(UnknownOperationError):
        run.perform(wanted("x", "shred", "users"))
    assert {} == run.session.busy


def test_a_premise_that_was_never_read() -> None:
    """It is refused: nobody knows what it said."""
    run = bench(Tier.Q)
    with pytest.raises(UnreadError, match="v7"):
        run.perform(wanted("cut", "set", "zone", premises={"zone": "v7"}))
    assert [] == run.done


# Trying --------------------------------------------------------------------------------------


def test_a_key_with_another_request(down: dict[str, Exception]) -> None:
    """Log and provider disagree on what a key stands for: a human must look, nobody repeats it."""
    run = bench(Tier.K)
    down["mismatch"] = LostError("")
    with pytest.raises(EscalatedError, match="another request under this key"):
        run.perform(CLEAR)
    down.clear()
    run.take()
    with pytest.raises(EscalatedError):
        run.perform(CLEAR)
    assert [] == run.done


def test_a_repetition_that_was_not_sent_says_nothing_of_the_first(
    down: dict[str, Exception],
) -> None:
    """The first one may have been carried out, and stays in doubt until it is known."""
    run = bench(Tier.K)
    run.dies(CLEAR, "answer")
    down["call"] = UnreachableError("not sent")
    run.take()
    assert Standing.IN_DOUBT is run.session.facts.effects["clear"].standing
    down.clear()
    run.take()
    assert Given({"status": "ok", "etag": "v2"}) == run.perform(CLEAR)
    assert ["clear"] == run.done


def test_lost_again_and_again(down: dict[str, Exception]) -> None:
    """It is tried so often and no more; then the answer is that nobody knows."""
    run = bench(Tier.K)
    down["lost"] = Exception()
    with pytest.raises(LostError):
        run.perform(CLEAR)
    assert TRIES == run.session.facts.effects["clear"].intent.attempt
    assert ["clear"] == run.done


def test_who_counts_himself_is_told_of_each_loss(down: dict[str, Exception]) -> None:
    """A program with attempts of its own hears of one at a time, and leaves the last to a human."""
    run = bench(Tier.O)
    run.session.losses = 1
    down["lost"] = Exception()
    for attempt in (1, 2):
        with pytest.raises(LostError):
            run.perform(CREATE)
        assert attempt == run.session.facts.effects["create"].intent.attempt
    driven(run.session.give_up(CREATE, "its attempts are used up"))
    assert Standing.UNKNOWN is run.session.facts.effects["create"].standing
    with pytest.raises(EscalatedError, match="used up"):
        run.perform(CREATE)


def test_giving_up_what_is_known_changes_nothing() -> None:
    """Only what is in doubt is left to a human."""
    run = bench(Tier.O)
    driven(run.session.give_up(CREATE, "never tried"))
    run.perform(CREATE)
    driven(run.session.give_up(CREATE, "its attempts are used up"))
    assert Standing.DONE is run.session.facts.effects["create"].standing


def test_changed_again_and_again(down: dict[str, Exception]) -> None:
    """Where others write faster than it can, a plan must say what is to follow."""
    run = bench(Tier.V)
    down["changed"] = Exception()
    with pytest.raises(DriftError, match="users"):
        run.perform(CLEAR)
    assert TRIES == run.session.facts.effects["clear"].intent.attempt


def test_the_last_try_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What succeeds at the last moment has succeeded: no plan is made anew for it."""
    run = bench(Tier.V)
    calls: list[int] = []

    async def fifth(self: Down, order: Order) -> Answer:
        calls.append(1)
        if len(calls) < TRIES:
            return Answer(outcome=Outcome.CONFLICT, response=None)
        return await World.call(self, order)

    monkeypatch.setattr(Down, "call", fifth)
    assert not run.perform(CLEAR).settled
    assert ["clear"] == run.done


# Settling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "what", "asked"),
    [
        pytest.param(Tier.Q, "query", CLEAR, id="asked"),
        pytest.param(Tier.V, "look", CLEAR, id="looked at"),
    ],
)
def test_a_provider_that_cannot_say(
    down: dict[str, Exception], tier: Tier, what: str, asked
) -> None:
    """It promised to know and has no such thing: a human must, and the run does not hang."""
    run = bench(tier)
    run.dies(asked, "answer")
    down[what] = UnknownOperationError("gone")
    run.take()
    assert Standing.UNKNOWN is run.session.facts.effects[asked.slot].standing
    with pytest.raises(EscalatedError, match="gone"):
        run.perform(asked)


@pytest.mark.parametrize(
    ("tier", "verdict"), [(Tier.K, Verdict.UNKNOWN), (Tier.O, Verdict.UNKNOWN), (Tier.Q, None)]
)
def test_in_doubt_and_its_premise_false(tier: Tier, verdict: Verdict | None) -> None:
    """It must not be repeated any more; who can be asked is, else a human."""
    run = bench(tier)
    run.perform(READ)
    run.dies(wanted("create", "create", premises={"zone": "v1"}), "answer")
    run.state.world.drift("zone", "theirs")
    run.take()
    tried = run.session.facts.effects["create"]
    assert verdict is (tried.resolution.verdict if tried.resolution else None)
    assert ["create"] == run.done


def test_a_version_of_ones_own_is_no_drift() -> None:
    """What this run made of a resource is what its later steps rest on."""
    run = bench(Tier.V)
    run.perform(READ)
    run.perform(wanted("first", "set", "zone", premises={"zone": "v1"}))
    run.perform(wanted("second", "set", "zone", args={"value": "newer"}, premises={"zone": "v1"}))
    assert ["first", "second"] == run.done


def test_what_is_back_is_no_drift() -> None:
    """A resource that was changed and changed back says what was read."""
    run = bench(Tier.V)
    run.perform(READ)
    run.state.world.drift("zone", "theirs")
    run.state.world.drift("zone", "old")
    run.perform(wanted("cut", "set", "zone", premises={"zone": "v1"}))
    assert ["cut"] == run.done


def test_a_stranger_did_what_was_in_doubt(down: dict[str, Exception]) -> None:
    """A target that is as it should be is done, whoever did it; one that is not is a conflict."""
    for value, outcome in (("new", Outcome.OK), ("theirs", Outcome.CONFLICT)):
        run = bench(Tier.V)
        run.perform(READ)
        run.dies(wanted("cut", "set", "zone", premises={"zone": "v1"}), "send")
        run.state.world.drift("zone", value)
        run.take()
        completion = run.session.facts.effects["cut"].completion
        assert isinstance(completion, Completion)
        assert outcome is completion.outcome
        assert [] == run.done
    assert {} == down


def overtaken(tier: Tier, before: str) -> Bench:
    """Return a run whose write was in doubt when a stranger wrote its target."""
    run = bench(tier)
    run.perform(READ)
    run.dies(CUT, before)
    run.state.world.drift("zone", "theirs")
    run.take()
    return run


def again(run: Bench) -> Given:
    """Ask for the same write on what is there now."""
    return run.perform(replace(CUT, premises={"zone": run.perform(READ).version}))


@pytest.mark.parametrize("tier", [Tier.V, Tier.O])
@pytest.mark.parametrize(
    ("before", "said"), [("send", Verdict.ABSENT), ("answer", Verdict.APPLIED)]
)
def test_what_a_stranger_may_have_written_over(tier: Tier, before: str, said: Verdict) -> None:
    """A new plan may do otherwise; the same again only once a human has said that it was not done."""
    run = overtaken(tier, before)
    assert 2 == run.session.facts.plan_epoch
    for _ in range(2):
        with pytest.raises(EscalatedError, match="before its target was changed"):
            again(run)
        run.take()
    assert ["cut"] == run.session.facts.unresolved
    say(run.state)
    run.take()
    assert said is run.session.facts.effects["cut"].resolution.verdict  # type: ignore[union-attr]
    again(run)
    assert ["cut"] == run.done


@pytest.mark.parametrize("tier", [Tier.K, Tier.Q])
@pytest.mark.parametrize("before", ["send", "answer"])
def test_who_can_be_asked_says_whether_it_was_written_over(tier: Tier, before: str) -> None:
    """A known key, or a question, tells: it is done once, and nobody else is asked."""
    run = overtaken(tier, before)
    again(run)
    assert ["cut"] == run.done
    assert [] == run.session.facts.unresolved


def test_what_was_overwritten_is_not_written_again() -> None:
    """A write that rests on no premise was done, and a stranger's came after it: a human must say."""
    run = bench(Tier.V)
    cut = wanted("cut", "set", "zone")
    run.dies(cut, "answer")
    run.state.world.drift("zone", "theirs")
    run.take()
    with pytest.raises(EscalatedError, match="who knows by whom"):
        run.perform(cut)
    assert ["cut"] == run.done


# Side by side --------------------------------------------------------------------------------


class Live(World):
    """A provider whose calls take a turn of the event loop."""

    async def call(self, order: Order) -> Answer:
        """Let others go first."""
        await asyncio.sleep(0)
        return self.apply(order)

    async def fence(self, run: str, epoch: int) -> bool:
        """Refuse older epochs at once."""
        del run
        self.epoch = epoch
        return True

    async def look(self, resource: str) -> Seen:
        """Look at once."""
        thing = self.thing(resource)
        return Seen(resource=resource, version=thing.etag, value_hash="")


def together(tier: Tier, *asked) -> tuple[Bench, list[Given]]:
    """Ask for all at once, on a real event loop and the plain log."""
    found = Bench(tier, world=Live)
    world, disk = found.state.world, found.state.disk

    async def all_() -> list[Given]:
        log = EffectLog(Store(disk), Heads(disk), "life").open(RUN)
        found.session = await take_over(log, world, Time(), "life", key_of)
        return await asyncio.gather(*(found.session.perform(each) for each in asked))

    return found, asyncio.run(all_())


@pytest.mark.parametrize("tier", Tier)
def test_two_ask_for_one_slot(tier: Tier) -> None:
    """It is done once, with one intent, and both are given the same."""
    found, given = together(tier, CLEAR, CLEAR, CLEAR)
    assert ["clear"] == found.done
    assert [given[0]] * 3 == given
    assert 1 == found.session.facts.effects["clear"].intent.attempt
    assert {} == found.session.busy


def test_two_slots_do_not_wait_for_each_other() -> None:
    """Different slots are done side by side; each is answered with its own."""
    asked = [wanted(f"create {n}", "create", f"box {n}") for n in range(4)]
    found, _ = together(Tier.O, *asked)
    assert {each.slot for each in asked} == {*found.done}


# The clock -----------------------------------------------------------------------------------


def test_the_wall_clock_waits_until_it_is_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again after each wait, and does not wait for what is past."""
    waited: list[float] = []
    shown = [1_000, 1_400, 1_500]

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    monkeypatch.setattr(clock.asyncio, "sleep", sleep)
    monkeypatch.setattr(WallClock, "now_ms", lambda _: shown.pop(0))
    asyncio.run(WallClock().until(1_500))
    assert [0.5, 0.1] == waited


def test_the_wall_clock() -> None:
    """It counts the milliseconds since 1970."""
    assert WallClock().now_ms() > 1_700_000_000_000
