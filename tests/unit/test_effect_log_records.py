"""Records: one text for one value, and nothing else is read."""

from __future__ import annotations

import json

from dataclasses import replace

import pytest

from hypothesis import given
from hypothesis import strategies as st
from support.effects import completion, intent, story

from runtimes.reference.effect_log.canonical import CanonicalError, canonical, digest
from runtimes.reference.effect_log.errors import VersionError
from runtimes.reference.effect_log.records import KINDS, Cancel, Decision, Entry, Record, Summary


INTS = st.integers(min_value=-(2**63), max_value=2**64 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | INTS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
ALL = [*story(), Cancel(by="operator", in_flight=("notify",)), Summary(prev="00", facts={"a": 1})]


def entry(record: Record) -> Entry:
    """Return a record in a place."""
    return Entry(run="r", seq=7, epoch=1, actor="g", wall_ms=5, mono_ns=9, record=record)


@given(JSON)
def test_a_value_is_read_back(value: object) -> None:
    """What was written is what is read, whatever it is."""
    assert value == json.loads(canonical(value))


@given(st.dictionaries(TEXT, JSON))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    """One value has one text, and one hash."""
    assert digest(value) == digest(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"price": [1, 2.5]}, r"\$\.price\[1\]: float 2\.5"),
        (float("nan"), "float nan"),
        ({1: "a"}, "the key 1 is not text"),
        ({"a": (1, 2)}, "tuple"),
        ({"a": b"x"}, "bytes"),
        ("\ud800", "no canonical text"),
        (2**64, "no canonical text"),
    ],
)
def test_what_has_no_text(value: object, why: str) -> None:
    """It is refused, and the message says where it stands."""
    with pytest.raises(CanonicalError, match=why):
        canonical(value)


def test_there_is_one_of_each_kind() -> None:
    """The next test is about all kinds."""
    assert set(KINDS.values()) == {type(record) for record in ALL}


@pytest.mark.parametrize("record", ALL, ids=lambda record: type(record).__name__)
def test_a_record_is_read_back(record: Record) -> None:
    """By way of its text."""
    data = json.loads(entry(record).text())
    assert entry(record) == Entry.from_json(data)


@given(JSON)
def test_what_others_gave_is_in_the_record_as_it_was(value: object) -> None:
    """And keys in another order make no other record."""
    one = replace(completion(intent("a")), response={"a": value, "b": 1})
    other = replace(one, response={"b": 1, "a": value})
    assert entry(one).text() == entry(other).text()
    assert entry(one) == Entry.from_json(json.loads(entry(one).text()))


@pytest.mark.parametrize(
    "record",
    [
        replace(completion(intent("a")), response={"price": float("nan")}),
        intent("a", request=[float("inf")]),
        Decision(slot="a", asked_hash="", output=("tuple",)),  # type: ignore[arg-type]
        intent("a", target="\ud800"),
    ],
)
def test_a_record_without_a_text_is_refused(record: Record) -> None:
    """Whoever it came from."""
    with pytest.raises(CanonicalError):
        entry(record).text()


@pytest.mark.parametrize("record", ALL, ids=lambda record: type(record).__name__)
def test_another_version_is_refused(record: Record) -> None:
    """A field more, a field less, another kind, a word that this version does not know."""
    whole = json.loads(entry(record).text())
    body = dict(whole["body"])
    for wrong in (
        {**whole, "kind": "rumour"},
        {**whole, "more": 1},
        {name: value for name, value in whole.items() if name != "actor"},
        {**whole, "body": {**body, "more": 1}},
        {**whole, "body": dict([*body.items()][1:])},
        {**whole, "body": []},
    ):
        with pytest.raises(VersionError):
            Entry.from_json(wrong)
    if "tier" in body:
        with pytest.raises(VersionError, match="'Z' is not a valid Tier"):
            Entry.from_json({**whole, "body": {**body, "tier": "Z"}})
