"""The world of one run: every verb, what each tier offers, and what never goes backwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.effects import Effect, Json, Tier
from harness.scenario import Added, Answer, Provider
from harness.world.cell import RETENTION_S, Call, Cell, Outcome


WORLD: dict[str, Json] = {"a/1": "one", "a/2": "two", "b": [1]}


def cell(tier: Tier = Tier.O, world: Mapping[str, Json] = WORLD, *answers: Answer) -> Cell:
    """Return a new cell."""
    return Cell.of(tier, world, answers)


def call(op: str, effect: Effect = Effect.IRREVERSIBLE, **more: Any) -> Call:
    """Return a call of run ``r``; what is not a field of a call is an argument."""
    fields = {"step", "key", "premises", "slept_s", "run"}
    given_ = {name: more.pop(name) for name in list(more) if name in fields}
    return Call(**{"run": "r", "step": op, "op": op, "effect": effect, "args": more, **given_})


def ok(value: Json = None, etag: str = "") -> dict[str, Json]:
    """Return a reply that says ok."""
    return {"status": "ok", "value": value, "etag": etag}


# Verbs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("b", ok([1], "v1")),
        ("a/*", ok({"a/1": "one", "a/2": "two"}, "v1,v1")),
        ("nowhere", ok(None, "")),
        ("nowhere/*", ok({}, "")),
    ],
)
def test_read(path: str, expected: dict[str, Json]) -> None:
    """A read answers value and ETag, of one resource or of all below."""
    world = cell()
    outcome = world.apply(call("read", Effect.READ, path=path))
    assert Outcome(expected, applied=False) == outcome
    assert world.values() == WORLD


def test_a_read_is_a_copy() -> None:
    """What a caller does with an answer does not reach the world."""
    world = cell()
    reply = world.apply(call("read", Effect.READ, path="b")).reply
    reply["value"].append(2)  # type: ignore[union-attr]
    assert [1] == world.values()["b"]


def test_first_values_are_copied() -> None:
    """Two cells of one scenario share nothing."""
    first, second = cell(), cell()
    first.apply(call("append", path="b", value=2))
    assert [1] == second.values()["b"]
    assert WORLD == second.values()


def test_ask_differs_each_time() -> None:
    """The planner turns its options, so that asking again is seen."""
    world = cell()
    asked = call("ask", Effect.READ, options=["x", "y", "z"])
    answers = [world.apply(asked).reply["value"] for _ in range(4)]
    assert [["x", "y", "z"], ["y", "z", "x"], ["z", "x", "y"], ["x", "y", "z"]] == answers


def test_ask_without_options() -> None:
    """A planner with an empty list of options answers an empty list."""
    reply = cell().apply(call("ask", Effect.READ, options=[])).reply
    assert {"status": "ok", "value": []} == reply


@pytest.mark.parametrize(
    ("op", "args", "path", "value", "etag"),
    [
        ("create", {"path": "new", "value": 1}, "new", 1, "v1"),
        ("create", {"path": "b", "value": 2}, "b", [1], "v1"),
        ("set", {"path": "b", "value": 2}, "b", 2, "v2"),
        ("set", {"path": "new", "value": 2}, "new", 2, "v1"),
        ("append", {"path": "b", "value": 2}, "b", [1, 2], "v2"),
        ("append", {"path": "new", "value": 2}, "new", [2], "v1"),
        ("append", {"path": "a/1", "value": 2}, "a/1", [2], "v2"),
        ("copy", {"path": "a/1", "to": "c"}, "c", "one", "v1"),
        ("copy", {"path": "nowhere", "to": "c"}, "c", None, ""),
        ("clear", {"path": "b"}, "b", [], "v2"),
        ("clear", {"path": "a/*"}, "a/2", [], "v2,v2"),
    ],
)
def test_writes(op: str, args: dict[str, Json], path: str, value: Json, etag: str) -> None:
    """Each writing verb changes its resource, counts the version, and is applied."""
    world = cell()
    outcome = world.apply(call(op, **args))
    assert outcome.applied
    assert value == world.values()[path]
    assert etag == outcome.reply["etag"]


def test_unknown_verb() -> None:
    """A verb that the world does not have is rejected and changes nothing."""
    outcome = cell().apply(call("explode"))
    assert Outcome(
        {"status": "rejected", "value": "the world has no verb 'explode'"}, applied=False
    ) == (outcome)


def test_drift_has_its_author() -> None:
    """A stranger's write counts the version and carries the stranger's name."""
    world = cell()
    world.write("b", "drifted", "stranger")
    assert ("drifted", 2, "stranger") == (
        world.resources["b"].value,
        world.resources["b"].version,
        world.resources["b"].author,
    )


# Tier K --------------------------------------------------------------------------------------


def test_key_is_honoured() -> None:
    """The same key with the same request gets the stored reply and is not applied again."""
    world = cell(Tier.K)
    mail = call("append", path="b", value=2, key="k")
    first, second = world.apply(mail), world.apply(mail)
    assert (True, False) == (first.applied, second.applied)
    assert first.reply == second.reply
    assert [1, 2] == world.values()["b"]


def test_key_of_another_request() -> None:
    """The same key with another request is rejected."""
    world = cell(Tier.K)
    world.apply(call("append", path="b", value=2, key="k"))
    outcome = world.apply(call("append", path="b", value=3, key="k"))
    why = "this key was used with another request"
    assert Outcome({"status": "rejected", "value": why}, applied=False) == outcome


@pytest.mark.parametrize(
    ("slept_s", "expected"), [(RETENTION_S - 1, [1, 2]), (RETENTION_S, [1, 2, 2])]
)
def test_retention(slept_s: float, expected: list[Json]) -> None:
    """A key is forgotten after 24 virtual hours, not a second before."""
    world = cell(Tier.K)
    world.apply(call("append", path="b", value=2, key="k"))
    world.apply(call("append", path="b", value=2, key="k", slept_s=slept_s))
    assert expected == world.values()["b"]
    assert RETENTION_S == 86_400


@pytest.mark.parametrize("tier", [Tier.Q, Tier.V, Tier.O])
def test_key_without_tier_k(tier: Tier) -> None:
    """A provider of another tier ignores keys."""
    world = cell(tier)
    mail = call("append", path="b", value=2, key="k")
    assert [True, True] == [world.apply(mail).applied for _ in range(2)]


def test_tier_k_without_key() -> None:
    """A call without a key is applied each time."""
    world = cell(Tier.K)
    mail = call("append", path="b", value=2)
    assert [True, True] == [world.apply(mail).applied for _ in range(2)]


def test_a_rejection_is_not_stored_under_its_key() -> None:
    """What was not applied leaves its key free."""
    world = cell(Tier.K)
    world.apply(call("explode", key="k"))
    assert {} == world.keys


# Tier Q --------------------------------------------------------------------------------------


def test_query() -> None:
    """Tier Q says whether a step's effect was applied."""
    world = cell(Tier.Q)
    asked = Call(run="r", step="query", op="query", effect=Effect.READ, args={"step": "append"})
    assert {"status": "ok", "value": False} == world.apply(asked).reply
    world.apply(call("append", path="b", value=2))
    assert {"status": "ok", "value": True} == world.apply(asked).reply


def test_query_with_lag() -> None:
    """What was just applied is seen only after the lag, in virtual time."""
    world = cell(Tier.Q)
    world.lag_s = 60.0
    world.apply(call("append", path="b", value=2))

    def seen(slept_s: float) -> Json:
        asked = Call(
            run="r",
            step="query",
            op="query",
            effect=Effect.READ,
            args={"step": "append"},
            slept_s=slept_s,
        )
        return world.apply(asked).reply["value"]

    assert [False, False, True] == [seen(0.0), seen(59.0), seen(60.0)]


@pytest.mark.parametrize("tier", [Tier.K, Tier.V, Tier.O])
def test_query_without_tier_q(tier: Tier) -> None:
    """Other tiers refuse to be asked."""
    asked = Call(run="r", step="query", op="query", effect=Effect.READ, args={"step": "append"})
    assert cell(tier).apply(asked).reply["status"] == "rejected"


# Tier V and premises -------------------------------------------------------------------------


def premise(path: str, etag: str) -> dict[str, str]:
    """Return a premise as it travels."""
    return {"path": path, "etag": etag}


def test_compare_and_swap() -> None:
    """Tier V refuses a write whose premise has moved on, and applies one whose has not."""
    world = cell(Tier.V)
    switch = call("set", Effect.HYBRID, path="b", value=2, premises=[premise("b", "v1")])
    assert world.apply(switch).applied
    refused = world.apply(switch)
    assert Outcome({"status": "rejected", "value": "the version has moved on"}, applied=False) == (
        refused
    )


def test_a_stranger_breaks_a_premise() -> None:
    """Without tier V the write goes through, and the broken premise is noted."""
    world = cell()
    world.write("b", "drifted", "stranger")
    switch = call("set", Effect.HYBRID, path="b", value=2, premises=[premise("b", "v1")])
    assert ("b",) == world.apply(switch).premise_broken


def test_another_step_breaks_a_premise() -> None:
    """A write of another step of the same run breaks the premise too."""
    world = cell()
    world.apply(call("set", path="b", value=0, step="earlier"))
    switch = call("set", Effect.HYBRID, path="b", value=2, premises=[premise("b", "v1")])
    assert ("b",) == world.apply(switch).premise_broken


def test_the_own_earlier_write_breaks_no_premise() -> None:
    """A repeated step finds its own write: a duplicate, but no stale decision."""
    world = cell()
    switch = call("set", Effect.HYBRID, path="b", value=2, premises=[premise("b", "v1")])
    assert [(), ()] == [world.apply(switch).premise_broken for _ in range(2)]


def test_a_whole_premise() -> None:
    """A premise that still holds is not noted, of one resource or of all below."""
    world = cell()
    premises = [premise("b", "v1"), premise("a/*", "v1,v1")]
    switch = call("set", Effect.HYBRID, path="b", value=2, premises=premises)
    assert world.apply(switch).premise_broken == ()


# Injected answers and the clock --------------------------------------------------------------


def test_injected_answer() -> None:
    """The nth call of the step is refused: neither applied nor stored; the others pass."""
    throttled = Answer(step="append", status="throttled", after_s=7200.0, nth=2)
    world = Cell.of(Tier.K, WORLD, (throttled,))
    outcomes = [world.apply(call("append", path="b", value=n, key=f"k{n}")) for n in range(3)]
    assert [True, False, True] == [outcome.applied for outcome in outcomes]
    assert outcomes[1].reply == {"status": "throttled", "after_s": 7200.0}
    assert [1, 0, 2] == world.values()["b"]
    assert {"k0", "k2"} == set(world.keys)


def test_injected_answer_leaves_its_key_free() -> None:
    """A retry with the same key after a refusal is applied."""
    world = Cell.of(Tier.K, WORLD, (Answer(step="append", status="failed"),))
    mail = call("append", path="b", value=2, key="k")
    assert [False, True] == [world.apply(mail).applied for _ in range(2)]


def test_a_strangers_words() -> None:
    """An injected value is read in place of the resource's, which stays what it is."""
    stranger = Answer(step="read", status="ok", value="obey", lasting=True)
    world = Cell.of(Tier.O, WORLD, (stranger,))
    outcomes = [world.apply(call("read", Effect.READ, path="b")) for _ in range(2)]
    assert [Outcome(ok("obey"), applied=False)] * 2 == outcomes
    assert world.values() == WORLD


def test_an_echo() -> None:
    """The provider acts, and repeats the credential of the call beside its answer."""
    world = Cell.of(Tier.O, WORLD, (Answer(step="read", status="echo", nth=2),))
    read = call("read", Effect.READ, path="b")
    replies = [world.apply(read, "Bearer s").reply for _ in range(2)]
    assert [ok([1], "v1"), {**ok([1], "v1"), "sent": {"Authorization": "Bearer s"}}] == replies


def test_time_passes_without_calls() -> None:
    """A key is forgotten once its retention has passed, whether anybody slept or not."""
    world = cell(Tier.K)
    mail = call("append", path="b", value=2, key="k")
    world.apply(mail)
    applied = []
    for for_s in (RETENTION_S - 1, 1.0):
        world.age(for_s)
        applied.append(world.apply(mail).applied)
    assert ([False, True], RETENTION_S) == (applied, world.clock_s)


def test_a_search_that_lags() -> None:
    """A provider of tier Q knows of an effect only after its lag."""
    world = Cell.of(Tier.Q, WORLD, lag_s=30.0)
    world.apply(call("append", path="b", value=2))
    seen = []
    for for_s in (29.0, 1.0):
        world.age(for_s)
        seen.append(world.applied("r", "append"))
    assert [False, True] == seen


def test_clock() -> None:
    """The clock follows the longest sleep that a call has told of, and never goes back."""
    world = cell()
    clocks = []
    for slept_s in (0.0, 30.0, 10.0, 40.0):
        world.apply(call("read", Effect.READ, path="b", slept_s=slept_s))
        clocks.append(world.clock_s)
    assert [0.0, 30.0, 30.0, 40.0] == clocks


# Calls on the wire ---------------------------------------------------------------------------


def test_call_round_trip() -> None:
    """A call as a history holds it can be read again."""
    sent = call("set", path="b", value=2, premises=[premise("b", "v1")], key="k", slept_s=3.0)
    assert sent == Call.from_json({**sent.to_json(), "run": "r"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("step"),
        lambda data: data.pop("effect"),
        lambda data: data.update(effect="magic"),
        lambda data: data.update(colour="red"),
    ],
)
def test_call_that_is_none(damage: Any) -> None:
    """A missing or unknown field is refused."""
    data = {"run": "r", "step": "s", "op": "set", "effect": "idempotent", "args": {}}
    damage(data)
    with pytest.raises(ValueError, match=r"a call needs|'magic' is not a valid Effect"):
        Call.from_json(data)


def test_fingerprint() -> None:
    """A request is known by its verb and arguments, whatever their order."""
    first = call("set", path="b", value=2)
    assert first.fingerprint == call("set", value=2, path="b", step="other").fingerprint
    assert first.fingerprint != call("set", path="b", value=3).fingerprint


# Whatever comes ------------------------------------------------------------------------------


PATHS = st.sampled_from(["a/1", "a/2", "b", "new"])
CALLS = st.builds(
    lambda op, path, value, key, slept_s, step: call(
        op,
        Effect.READ if op == "read" else Effect.IRREVERSIBLE,
        path=path,
        value=value,
        to="b",
        key=key,
        slept_s=slept_s,
        step=step,
    ),
    st.sampled_from(["read", "create", "set", "append", "copy", "clear", "explode"]),
    PATHS,
    st.integers(0, 2),
    st.sampled_from(["", "k1", "k2"]),
    st.floats(0, 3 * RETENTION_S),
    st.sampled_from(["s1", "s2"]),
)


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(list(Tier)), st.lists(CALLS, max_size=25))
def test_nothing_goes_backwards(tier: Tier, calls: list[Call]) -> None:
    """Versions, the clock and the ledger only grow, and a refused call changes no value."""
    world = cell(tier)
    for each in calls:
        versions = {path: r.version for path, r in world.resources.items()}
        clock_s, ledger, values = world.clock_s, set(world.applied_at), world.values()
        outcome = world.apply(each)
        assert all(version <= world.resources[path].version for path, version in versions.items())
        assert clock_s <= world.clock_s
        assert ledger <= set(world.applied_at)
        if not outcome.applied:
            assert values == world.values()


@settings(derandomize=True, deadline=None)
@given(st.lists(CALLS, max_size=25))
def test_a_key_applies_once_within_its_retention(calls: list[Call]) -> None:
    """Two applications under one key lie at least a retention apart."""
    world, last = cell(Tier.K), dict[str, float]()
    for each in calls:
        if world.apply(each).applied and each.key:
            since_s = world.clock_s - last.get(each.key, -RETENTION_S)
            assert since_s >= RETENTION_S
            last[each.key] = world.clock_s


# Providers of their own ----------------------------------------------------------------------


def test_a_provider_has_a_tier_of_its_own() -> None:
    """What is behind a path offers what its provider does; the rest what the case does."""
    world = cell(Tier.K)
    world.providers = {"a": Provider(tier=Tier.V), "b": Provider()}
    assert [Tier.V, Tier.K, Tier.K] == [world.tier_of(path) for path in ("a/1", "b", "c/d")]
    stale = [{"path": "a/1", "etag": "v0"}]
    moved = world.apply(call("set", path="a/1", value="x", premises=stale))
    assert "rejected" == moved.reply["status"]
    assert world.apply(call("append", path="b", value=2, key="k")).applied
    assert not world.apply(call("append", path="b", value=2, key="k")).applied


def test_versions_of_contents() -> None:
    """To write what is there changes nothing, where a version is one of the content."""
    world = cell(Tier.O)
    world.providers = {"a": Provider(by_content=True)}
    same = world.apply(call("set", path="a/1", value="one"))
    assert (False, ok(etag="v1")) == (same.applied, same.reply)
    assert world.apply(call("set", path="a/1", value="two")).applied
    assert world.apply(call("set", path="b", value=[1])).applied
    assert world.apply(call("set", path="a/3", value=None)).applied


def test_a_stranger_adds() -> None:
    """It is put at the end of what is there, and told at the end."""
    world = cell()
    world.write("b", Added("theirs"), "stranger")
    world.write("c", Added("first"), "stranger")
    state = world.state()
    assert {"b": ["theirs"], "c": ["first"]} == state["added"]
    assert ["b", "c"] == state["strange"]
    assert ([1, "theirs"], ["first"]) == (world.values()["b"], world.values()["c"])
