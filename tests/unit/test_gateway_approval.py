"""A human's word: for one request, on one state of the world, once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_file import ApprovalFileError, FileStore
from runtimes.reference.gateway.approval_state import (
    All,
    Approval,
    ApprovalError,
    State,
    Subject,
)
from runtimes.reference.gateway.clock import Moment, SystemClock, Watch
from runtimes.reference.gateway.request import parse


SUBJECT = Subject(run="r", slot="pay", request_hash="a" * 64, premise_hash="b" * 64)
LASTS_S = 60
NS = 1_000_000_000


class Clock:
    """A clock in the test's hands."""

    def __init__(self) -> None:
        self.moment = Moment(life="one", mono_ns=5 * NS, wall_ms=0)

    def now(self) -> Moment:
        return self.moment

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.moment = replace(self.moment, mono_ns=self.moment.mono_ns + int(seconds * NS))


class CrashError(Exception):
    """The gateway died."""


class Memory:
    """A store that may die before or after it has written."""

    def __init__(self) -> None:
        self.kept: All = ()
        self.dies = ""
        self.held = False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one in."""
        assert not self.held
        self.held = True
        try:
            yield
        finally:
            self.held = False

    def load(self) -> All:
        """Return what is kept."""
        return self.kept

    def save(self, approvals: All) -> None:
        """Keep it, unless it is time to die."""
        assert self.held
        dies, self.dies = self.dies, ""
        if dies != "before":
            self.kept = approvals
        if dies:
            raise CrashError


@pytest.fixture
def clock() -> Clock:
    """Lend a clock."""
    return Clock()


@pytest.fixture
def approvals(tmp_path: Path, clock: Clock) -> Approvals:
    """Lend approvals in a file."""
    return Approvals(FileStore(tmp_path / "approvals"), clock)


def approved(approvals: Approvals, subject: Subject = SUBJECT) -> Approval:
    """Ask for a word, and give it."""
    return approvals.approve(approvals.ask(subject, LASTS_S), "ann", LASTS_S)


def state(approvals: Approvals, ident: str) -> State:
    """Return the state of one."""
    return next(each.state for each in approvals.all() if each.ident == ident)


# What it is good for --------------------------------------------------------------------------


def test_asked_given_used(approvals: Approvals) -> None:
    """A word that is asked for and given is good for one effect."""
    asked = approvals.ask(SUBJECT, LASTS_S)
    assert (State.PENDING, SUBJECT, "") == (asked.state, asked.subject, asked.by)
    given = approvals.approve(asked, "ann", LASTS_S)
    assert (State.APPROVED, "ann") == (given.state, given.by)
    used = approvals.use(SUBJECT, "effect-1")
    assert (State.USED, "ann", "effect-1", asked.ident) == (
        used.state,
        used.by,
        used.claim,
        used.ident,
    )
    with pytest.raises(ApprovalError, match="one effect only"):
        approvals.use(SUBJECT, "effect-2")


def test_who_used_it_may_come_back(approvals: Approvals, clock: Clock) -> None:
    """The effect that used it may have died before it knew; its next attempt goes on."""
    approved(approvals)
    first = approvals.use(SUBJECT, "effect-1")
    clock.go_on(10 * LASTS_S)
    assert first == approvals.use(SUBJECT, "effect-1")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"request_hash": "c" * 64}, "another request_hash"),
        ({"premise_hash": "c" * 64}, "another premise_hash"),
        ({"plan_epoch": 1}, "another plan_epoch"),
        ({"fork": "left"}, "seen none"),
        ({"run": "other"}, "seen none"),
        ({"slot": "other"}, "seen none"),
    ],
)
def test_not_inherited(approvals: Approvals, changed: dict[str, Any], why: str) -> None:
    """What differs in anything needs a word of its own, and the first one stays good."""
    approved(approvals)
    with pytest.raises(ApprovalError, match=why):
        approvals.use(replace(SUBJECT, **changed), "effect-1")
    assert State.USED is approvals.use(SUBJECT, "effect-1").state


def test_the_premises_have_changed(approvals: Approvals) -> None:
    """What is asked on other premises makes the word stale; that they changed back is no word."""
    first = approved(approvals)
    drifted = replace(SUBJECT, premise_hash="c" * 64)
    second = approvals.ask(drifted, LASTS_S)
    assert (State.STALE, State.PENDING) == (state(approvals, first.ident), second.state)
    with pytest.raises(ApprovalError, match="stale; ask again"):
        approvals.use(SUBJECT, "effect-1")
    again = approvals.ask(SUBJECT, LASTS_S)
    assert (State.PENDING, True) == (again.state, again.ident != first.ident)
    with pytest.raises(ApprovalError, match="seen one that is stale"):
        approvals.approve(second, "ann", LASTS_S)


def test_an_older_plan_gets_no_word(approvals: Approvals) -> None:
    """Once a run asks for its next plan, nothing of the one before is asked or used."""
    approved(approvals)
    newer = replace(SUBJECT, plan_epoch=1, slot="other")
    approvals.ask(newer, LASTS_S)
    for step in (lambda: approvals.use(SUBJECT, "e"), lambda: approvals.ask(SUBJECT, LASTS_S)):
        with pytest.raises(ApprovalError, match="expected plan 1, seen plan 0"):
            step()
    fork = replace(SUBJECT, fork="left")
    assert State.PENDING is approvals.ask(fork, LASTS_S).state


def test_asking_twice_is_asking_once(approvals: Approvals, tmp_path: Path) -> None:
    """A worker that asks again is told what is known; only an end without a word is asked anew."""
    asked = approvals.ask(SUBJECT, LASTS_S)
    written = (tmp_path / "approvals").stat().st_ino
    assert asked == approvals.ask(SUBJECT, LASTS_S)
    assert written == (tmp_path / "approvals").stat().st_ino
    approvals.deny(asked, "ann")
    assert State.DENIED is approvals.ask(SUBJECT, LASTS_S).state
    assert 1 == len(approvals.all())


@pytest.mark.parametrize("given", [False, True])
def test_denied(approvals: Approvals, given: bool) -> None:
    """A denial is for good, and takes back a word that is not used yet."""
    asked = approved(approvals) if given else approvals.ask(SUBJECT, LASTS_S)
    approvals.deny(asked, "bob")
    with pytest.raises(ApprovalError, match="denied"):
        approvals.use(SUBJECT, "effect-1")
    with pytest.raises(ApprovalError, match="denied"):
        approvals.approve(asked, "ann", LASTS_S)


def test_used_is_used(approvals: Approvals) -> None:
    """No word can be taken back, or given again, once it is used."""
    given = approved(approvals)
    approvals.use(SUBJECT, "effect-1")
    for step in (approvals.deny, lambda it, by: approvals.approve(it, by, LASTS_S)):
        with pytest.raises(ApprovalError, match="used"):
            step(given, "ann")
    assert State.USED is approvals.ask(SUBJECT, LASTS_S).state


def test_not_yet(approvals: Approvals) -> None:
    """A request is no approval."""
    approvals.ask(SUBJECT, LASTS_S)
    with pytest.raises(ApprovalError, match="pending; wait") as caught:
        approvals.use(SUBJECT, "effect-1")
    assert State.PENDING is caught.value.state


@pytest.mark.parametrize("changed", [{"request_hash": "c" * 64}, {"premise_hash": "c" * 64}])
def test_what_was_shown_counts(approvals: Approvals, changed: dict[str, Any]) -> None:
    """A human who saw another request than the one that is asked has approved nothing."""
    asked = approvals.ask(SUBJECT, LASTS_S)
    forged = replace(asked, subject=replace(SUBJECT, **changed))
    with pytest.raises(ApprovalError, match="what was shown"):
        approvals.approve(forged, "ann", LASTS_S)
    with pytest.raises(ApprovalError, match="what was shown"):
        approvals.approve(replace(asked, ident="another"), "ann", LASTS_S)
    assert State.PENDING is state(approvals, asked.ident)


@pytest.mark.parametrize(
    "step",
    [
        lambda it, asked: it.approve(asked, "", LASTS_S),
        lambda it, asked: it.deny(asked, ""),
        lambda it, _: it.use(SUBJECT, ""),
    ],
)
def test_nobody(approvals: Approvals, step: Callable[[Approvals, Approval], object]) -> None:
    """Who decides has a name, and who uses it too."""
    asked = approvals.ask(SUBJECT, LASTS_S)
    with pytest.raises(ApprovalError, match="empty text"):
        step(approvals, asked)


# How long it lasts ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [False, True])
def test_it_lasts_so_long(approvals: Approvals, clock: Clock, given: bool) -> None:
    """Until its time is over, and not at that time; then it is asked for anew."""
    first = approved(approvals) if given else approvals.ask(SUBJECT, LASTS_S)
    clock.go_on(LASTS_S - 0.001)
    assert first.state is state(approvals, first.ident)
    clock.go_on(0.001)
    assert State.EXPIRED is state(approvals, first.ident)
    with pytest.raises(ApprovalError, match="expired; ask again"):
        approvals.use(SUBJECT, "effect-1")
    with pytest.raises(ApprovalError, match="expired"):
        approvals.approve(first, "ann", LASTS_S)
    assert first.ident != approvals.ask(SUBJECT, LASTS_S).ident


def test_expired_is_for_good(approvals: Approvals, clock: Clock) -> None:
    """A clock that runs back brings nothing back."""
    approved(approvals)
    clock.go_on(LASTS_S)
    approvals.ask(replace(SUBJECT, slot="other"), LASTS_S)
    clock.go_on(-LASTS_S)
    with pytest.raises(ApprovalError, match="expired"):
        approvals.use(SUBJECT, "effect-1")


@pytest.mark.parametrize(
    "later",
    [Moment(life="two", mono_ns=6 * NS, wall_ms=0), Moment(life="one", mono_ns=4 * NS, wall_ms=0)],
    ids=["boot", "back"],
)
def test_no_time_is_no_word(approvals: Approvals, clock: Clock, later: Moment) -> None:
    """Where nobody can tell how long ago it was given, it is over; what is used stays used."""
    approved(approvals)
    other = replace(SUBJECT, slot="other")
    approved(approvals, other)
    approvals.use(other, "effect-2")
    clock.moment = later
    with pytest.raises(ApprovalError, match="expired"):
        approvals.use(SUBJECT, "effect-1")
    with pytest.raises(ApprovalError, match="one effect only"):
        approvals.use(other, "effect-3")


def test_the_machine_has_a_clock() -> None:
    """It goes on, and tells one start of the machine from another."""
    one, other = Watch(SystemClock()).now(), Watch(SystemClock()).now()
    assert one.life == other.life != ""
    assert 0 < one.mono_ns <= other.mono_ns


# The file -------------------------------------------------------------------------------------


def test_another_process_goes_on(tmp_path: Path, clock: Clock) -> None:
    """What one gateway was told, the next one knows."""
    store = FileStore(tmp_path / "approvals")
    approved(Approvals(store, clock))
    Approvals(FileStore(tmp_path / "approvals"), clock).use(SUBJECT, "effect-1")
    with pytest.raises(ApprovalError, match="one effect only"):
        Approvals(store, clock).use(SUBJECT, "effect-2")


def test_a_run_is_forgotten(approvals: Approvals) -> None:
    """All of it, and nothing of another run."""
    other = replace(SUBJECT, run="other")
    approved(approvals)
    approved(approvals, other)
    approvals.forget("r")
    assert [other] == [each.subject for each in approvals.all()]


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask, nobody else may read the file or its lock, and nothing else is left."""
    before = os.umask(0)
    try:
        approvals = Approvals(FileStore(tmp_path / "approvals"), Clock())
        approvals.ask(SUBJECT, LASTS_S)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert 0o600 == modes.pop("approvals")
    assert set(modes) <= {"approvals.lock"}
    assert set(modes.values()) <= {0o600}


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o640, 0o604])
def test_others_may_have_written_it(tmp_path: Path, approvals: Approvals, mode: int) -> None:
    """Then no approval in it counts."""
    approved(approvals)
    (tmp_path / "approvals").chmod(mode)
    with pytest.raises(ApprovalFileError, match="owner"):
        approvals.use(SUBJECT, "effect-1")


def test_it_is_no_link(tmp_path: Path, approvals: Approvals) -> None:
    """A link in its place leads to what somebody else chose."""
    approved(approvals)
    (tmp_path / "approvals").rename(tmp_path / "elsewhere")
    (tmp_path / "approvals").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        approvals.use(SUBJECT, "effect-1")


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda it: it[:-1],
        lambda _: "[]",
        lambda _: "{}",
        lambda it: it.replace('"version":1', '"version":2'),
        lambda it: it.replace('"state":"approved"', '"state":"blessed"'),
        lambda it: it.replace('"slot"', '"step"'),
        lambda it: it.replace('"subject"', '"subjects"'),
        lambda _: json.dumps({"version": 1, "approvals": [1]}),
        lambda _: json.dumps({"version": 1, "approvals": 1}),
    ],
)
def test_damage_is_told(tmp_path: Path, approvals: Approvals, damage: Callable[[str], str]) -> None:
    """A file that is not as it was written approves nothing; nothing is taken for none."""
    approved(approvals)
    file = tmp_path / "approvals"
    text = file.read_text()
    assert damage(text) != text
    file.write_text(damage(text))
    with pytest.raises(ApprovalFileError, match="damaged"):
        approvals.use(SUBJECT, "effect-1")


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_it_is_there_whole_or_not_at_all(
    tmp_path: Path, approvals: Approvals, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A write that fails on its way leaves what was; the same step may be done again."""
    approved(approvals)
    before = (tmp_path / "approvals").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        if call == "write":
            patched.setattr("runtimes.reference.gateway.approval_file.canonical", fail)
        else:
            patched.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            approvals.use(SUBJECT, "effect-1")
    assert before == (tmp_path / "approvals").read_bytes()
    assert "effect-2" == approvals.use(SUBJECT, "effect-2").claim


KILLED = """
import os, signal, sys
from pathlib import Path
from runtimes.reference.gateway import approval_file
from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_file import FileStore
from runtimes.reference.gateway.approval_state import Subject

path, when = Path(sys.argv[1]), sys.argv[2]
approvals = Approvals(FileStore(path))
subject = Subject(run="r", slot="pay", request_hash="a" * 64, premise_hash="b" * 64)
approvals.approve(approvals.ask(subject, 3600), "ann", 3600)
replace = os.replace
def die(*args):
    if when == "after":
        replace(*args)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = die
approvals.use(subject, "effect-1")
"""


@pytest.mark.parametrize(("when", "other"), [("before", True), ("after", False)])
def test_killed_between_approval_and_use(tmp_path: Path, when: str, other: bool) -> None:
    """The word is neither lost nor doubled: the effect itself goes on, another may not after it."""
    path = tmp_path / "approvals"
    child = subprocess.run([sys.executable, "-c", KILLED, str(path), when], check=False)
    assert -9 == child.returncode
    approvals = Approvals(FileStore(path))
    if other:
        assert State.USED is approvals.use(SUBJECT, "effect-2").state
    else:
        with pytest.raises(ApprovalError, match="one effect only"):
            approvals.use(SUBJECT, "effect-2")
        assert "effect-1" == approvals.use(SUBJECT, "effect-1").claim


def test_the_subject_of_a_request() -> None:
    """It is bound to what the request is and rests on, not to which attempt it is."""
    body = {
        "cell": "r",
        "run": "r",
        "step": "pay",
        "op": "append",
        "effect": "irreversible",
        "args": {"path": "charges", "value": 500},
        "premises": [{"path": "order", "etag": "v1"}],
    }

    def subject(said: dict[str, Any], plan_epoch: int = 0, fork: str = "") -> Subject:
        return Subject.of("r", parse(json.dumps(said).encode()).wanted, plan_epoch, fork)

    one = subject(body | {"seq": 1}, 2, "left")
    assert one == subject(body | {"seq": 2}, 2, "left")
    assert ("r", "pay", 2, "left") == (one.run, one.slot, one.plan_epoch, one.fork)
    dearer = body | {"args": {"path": "charges", "value": 5000}}
    assert one.request_hash != subject(dearer).request_hash
    drifted = body | {"premises": [{"path": "order", "etag": "v2"}]}
    assert one.premise_hash != subject(drifted).premise_hash


# All orders of things -------------------------------------------------------------------------

SUBJECTS = st.builds(
    Subject,
    run=st.just("r"),
    slot=st.sampled_from(["pay", "mail"]),
    request_hash=st.sampled_from(["a", "b"]),
    premise_hash=st.sampled_from(["c", "d"]),
    plan_epoch=st.sampled_from([0, 0, 0, 1]),
    fork=st.sampled_from(["", "", "left"]),
)
DEATHS = st.sampled_from(["", "", "", "before", "after"])


class Orders(RuleBasedStateMachine):
    """Asking, deciding, using, time and deaths in any order, beside what a human did say."""

    shown = Bundle("shown")

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clock = Memory(), Clock()
        self.approvals = Approvals(self.store, self.clock)
        self.said: dict[str, tuple[Subject, Moment]] = {}
        self.taken: dict[str, str] = {}

    @contextmanager
    def dying(self, dies: str) -> Iterator[None]:
        """Let the gateway die in a step, and start it anew; a refusal is no death."""
        self.store.dies = dies
        try:
            yield
        except (CrashError, ApprovalError):
            self.approvals = Approvals(self.store, self.clock)
        finally:
            self.store.dies = ""

    @rule(target=shown, subject=SUBJECTS, dies=DEATHS)
    def ask(self, subject: Subject, dies: str) -> Any:
        """Ask for a word on anything."""
        with self.dying(dies):
            return self.approvals.ask(subject, LASTS_S)
        return multiple()

    @rule(asked=shown, dies=DEATHS)
    def approve(self, asked: Approval, dies: str) -> None:
        """Give a word; one whose giving died on its way was given, as far as anybody knows."""
        before = self.said.get(asked.ident)
        self.said[asked.ident] = (asked.subject, self.clock.now())
        self.store.dies = dies
        try:
            self.approvals.approve(asked, "ann", LASTS_S)
        except ApprovalError:
            self.said.pop(asked.ident)
            if before:
                self.said[asked.ident] = before
        except CrashError:
            self.approvals = Approvals(self.store, self.clock)
        finally:
            self.store.dies = ""

    @rule(asked=consumes(shown), dies=DEATHS)
    def deny(self, asked: Approval, dies: str) -> None:
        """Refuse, or take back."""
        with self.dying(dies):
            self.approvals.deny(asked, "bob")
            self.said.pop(asked.ident, None)

    @rule(asked=shown, subject=SUBJECTS)
    def approve_something_else(self, asked: Approval, subject: Subject) -> None:
        """A word on what is not asked is none."""
        if subject != asked.subject:
            with pytest.raises(ApprovalError):
                self.approvals.approve(replace(asked, subject=subject), "ann", LASTS_S)

    @rule(subject=SUBJECTS, claim=st.sampled_from(["e1", "e2"]), dies=DEATHS)
    def use(self, subject: Subject, claim: str, dies: str) -> None:
        """Whoever gets it has a word that was given on just that, lately, and alone."""
        with self.dying(dies):
            used = self.approvals.use(subject, claim)
            about, given = self.said[used.ident]
            assert subject == used.subject == about
            assert claim == self.taken.setdefault(used.ident, claim)
            assert given.life == used.since.life
            assert used.since.mono_ns - given.mono_ns < LASTS_S * NS

    @rule(asked=shown, claim=st.sampled_from(["e1", "e2"]), dies=DEATHS)
    def use_what_was_asked(self, asked: Approval, claim: str, dies: str) -> None:
        """The same for what is known: most others are refused."""
        self.use(asked.subject, claim, dies)

    @rule(seconds=st.sampled_from([1, LASTS_S / 2, LASTS_S, -1]))
    def time_passes(self, seconds: float) -> None:
        """The clock goes on, or is wrong."""
        self.clock.go_on(seconds)

    @rule()
    def the_machine_starts_anew(self) -> None:
        """What was open is over."""
        moment = self.clock.moment
        self.clock.moment = Moment(life=f"{moment.life}+", mono_ns=1, wall_ms=0)
        assert not any(each.state.open for each in self.approvals.all())

    @invariant()
    def one_open_word_for_a_step(self) -> None:
        """A plan has one request for each."""
        places = [each.subject.place for each in self.approvals.all() if each.state.open]
        assert len(places) == len(set(places))


Orders.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestOrders = Orders.TestCase
