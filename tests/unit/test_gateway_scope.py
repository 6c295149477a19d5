"""Scope: no spelling of a target, and no argument, gets out of what was granted."""

from __future__ import annotations

from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway import GRANTS, Gateway, ask, datalog, wire

from runtimes.reference.gateway.errors import GrantError, Reason, RefusedError
from runtimes.reference.gateway.grant import LONGEST, MOST, Grant, OneOf, Within
from runtimes.reference.gateway.judges import Request, explain
from runtimes.reference.gateway.token import attenuate, read


BELOW, EXACT = "dns.update", "dns.get"  # on zone:example.com/ and on zone:example.com/app
ESCAPES = {
    "the folder itself": (BELOW, "zone:example.com"),
    "the folder with its slash": (BELOW, "zone:example.com/"),
    "a longer name": (BELOW, "zone:example.com.evil"),
    "below a longer name": (BELOW, "zone:example.com.evil/app"),
    "a longer word": (BELOW, "zone:example.community/app"),
    "a shorter name": (BELOW, "zone:example.co/app"),
    "before it": (BELOW, "evil/zone:example.com/app"),
    "beside it": (BELOW, "zone:example.org/app"),
    "up and away": (BELOW, "zone:example.com/../example.org/app"),
    "up to itself": (BELOW, "zone:example.com/../example.com/app"),
    "up at the end": (BELOW, "zone:example.com/.."),
    "here": (BELOW, "zone:example.com/./app"),
    "many dots": (BELOW, "zone:example.com/.../app"),
    "backslash": (BELOW, "zone:example.com/..\\app"),
    "backslash as slash": (BELOW, "zone:example.com\\app"),
    "two slashes": (BELOW, "zone:example.com//app"),
    "slash at the end": (BELOW, "zone:example.com/app/"),
    "slash at the start": (BELOW, "/zone:example.com/app"),
    "percent dots": (BELOW, "zone:example.com/%2e%2e/app"),
    "percent slash": (BELOW, "zone:example.com%2Fapp"),
    "percent twice": (BELOW, "zone:example.com/%252e%252e/app"),
    "percent zero": (BELOW, "zone:example.com/app%00.evil"),
    "mixed case": (BELOW, "zone:Example.com/app"),
    "upper case": (BELOW, "ZONE:EXAMPLE.COM/APP"),
    "trailing dot of the zone": (BELOW, "zone:example.com./app"),
    "trailing dot of the name": (BELOW, "zone:example.com/app."),
    "cyrillic a": (BELOW, "zone:ex\u0430mple.com/app"),
    "cyrillic a below": (BELOW, "zone:example.com/\u0430pp"),
    "greek omicron": (BELOW, "zone:example.c\u03bfm/app"),
    "fullwidth letter": (BELOW, "zone:\uff45xample.com/app"),
    "fullwidth dots": (BELOW, "zone:example.com/\uff0e\uff0e/app"),
    "fullwidth slash": (BELOW, "zone:example.com\uff0fapp"),
    "ideographic dot": (BELOW, "zone:example\u3002com/app"),
    "one dot leader": (BELOW, "zone:example.com/\u2024\u2024/app"),
    "two dot leader": (BELOW, "zone:example.com/\u2025/app"),
    "ligature": (BELOW, "zone:example.com/\ufb01le"),
    "kelvin sign": (BELOW, "zone:example.com/\u212a"),
    "long s": (BELOW, "zone:example.com/\u017f"),
    "division slash": (BELOW, "zone:example.com\u2215app"),
    "soft hyphen": (BELOW, "zone:exam\u00adple.com/app"),
    "zero width space": (BELOW, "zone:example\u200b.com/app"),
    "right to left": (BELOW, "zone:example.com/\u202eppa"),
    "byte order mark": (BELOW, "\ufeffzone:example.com/app"),
    "combining mark": (BELOW, "zone:example.com/a\u0301pp"),
    "lone surrogate": (BELOW, "zone:example.com/\ud800"),
    "arabic digit": (BELOW, "zone:example.com/\u0661"),
    "newline at the end": (BELOW, "zone:example.com/app\n"),
    "newline and more": (BELOW, "zone:example.com/app\nzone:example.org/app"),
    "zero byte": (BELOW, "zone:example.com/app\0.evil"),
    "space before": (BELOW, " zone:example.com/app"),
    "space after": (BELOW, "zone:example.com/app "),
    "tab": (BELOW, "zone:example.com/\tapp"),
    "star": (BELOW, "zone:example.*"),
    "star of all": (BELOW, "*"),
    "star within a name": (BELOW, "zone:example.com/a*"),
    "star in the middle": (BELOW, "zone:example.com/*/app"),
    "star of an exact one": (EXACT, "zone:example.com/*"),
    "question mark": (BELOW, "zone:example.com/app?zone=example.org"),
    "fragment": (BELOW, "zone:example.com/app#evil"),
    "quote": (BELOW, 'zone:example.com/app"), target("x'),
    "datalog": (BELOW, "{target}"),
    "variable": (BELOW, "$target"),
    "empty": (BELOW, ""),
    "slash": (BELOW, "/"),
    "very long": (BELOW, f"zone:example.com/{'a' * LONGEST}"),
    "enormous": (BELOW, f"zone:example.com/{'a/' * 100_000}a"),
    "below an exact one": (EXACT, "zone:example.com/app/x"),
    "longer than an exact one": (EXACT, "zone:example.com/app2"),
    "an exact one with a slash": (EXACT, "zone:example.com/app/"),
    "an exact one in upper case": (EXACT, "zone:example.com/APP"),
    "beside an exact one": (EXACT, "zone:example.com/mail"),
    "an exact one of another operation": ("wire.send", "zone:example.com/app"),
    "an operation that nobody has": ("dns.delete", "zone:example.com/app"),
    "a longer operation": ("dns.update.all", "zone:example.com/app"),
    "a shorter operation": ("dns", "zone:example.com/app"),
    "an operation in upper case": ("DNS.UPDATE", "zone:example.com/app"),
    "an operation with a space": ("dns.update ", "zone:example.com/app"),
    "an operation with a newline": ("dns.update\n", "zone:example.com/app"),
    "an operation that looks the same": ("dns.upd\u0430te", "zone:example.com/app"),
    "an operation of a surrogate": ("dns.update\ud800", "zone:example.com/app"),
    "an empty operation": ("", "zone:example.com/app"),
    "any operation": ("*", "zone:example.com/app"),
}
WITHIN = {
    "below": (BELOW, "zone:example.com/app"),
    "far below": (BELOW, "zone:example.com/a/b/c/d"),
    "hidden": (BELOW, "zone:example.com/.well-known/x"),
    "dots": (BELOW, "zone:example.com/www.app"),
    "its own kind of case": (BELOW, "zone:example.com/App"),
    "its own name": (BELOW, "zone:example.com/zone:example.com"),
    "evil is a word": (BELOW, "zone:example.com/evil"),
    "as long as may be": (BELOW, f"zone:example.com/{'a' * (LONGEST - 17)}"),
    "all of it": (BELOW, "zone:example.com/*"),
    "other letters": (BELOW, "zone:example.com/caf\u00e9"),
    "exact": (EXACT, "zone:example.com/app"),
}
BOUNDS: dict[str, dict[str, Any]] = {
    "one too many": {"amount": 5_001},
    "below zero": {"amount": -1},
    "much below zero": {"amount": -(10**12)},
    "more than 64 bits": {"amount": 1 << 64},
    "wraps to a small one": {"amount": (1 << 64) + 5},
    "as text": {"amount": "4000"},
    "as a fraction": {"amount": 4_000.0},
    "not a number": {"amount": float("nan")},
    "true": {"amount": True},
    "nothing": {"amount": None},
    "in a list": {"amount": [4_000]},
    "in an object": {"amount": {"value": 4_000}},
    "another": {"to": "mallory"},
    "upper case": {"to": "Landlord"},
    "with a space": {"to": "landlord "},
    "with a zero byte": {"to": "landlord\0"},
    "with a newline": {"to": "landlord\n"},
    "that looks the same": {"to": "l\u0430ndlord"},
    "fullwidth": {"to": "\uff4candlord"},
    "lone surrogate": {"to": "\ud800"},
    "empty": {"to": ""},
    "a list of allowed ones": {"to": ["landlord"]},
    "both": {"to": "landlord,tax"},
    "datalog": {"to": '"]; allow if true; //'},
}


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    """Lend one gateway to all rows of the tables."""
    return Gateway()


def refused(gateway: Gateway, token: str, request: Request) -> Reason:
    """Return why a request is refused, by both judges."""
    with pytest.raises(RefusedError) as error:
        gateway.check(token, request)
    assert not datalog(read(token, gateway.keyring), request)
    assert str(error.value).isascii()
    assert len(str(error.value)) < 400
    return error.value.reason


@pytest.mark.parametrize(("op", "target"), ESCAPES.values(), ids=[*ESCAPES])
def test_no_target_escapes(gateway: Gateway, op: str, target: str) -> None:
    """Whatever is not granted letter by letter is out of scope, and the token is good otherwise."""
    token = gateway.token()
    assert Reason.OUT_OF_SCOPE is refused(gateway, token, ask(op=op, target=target))
    assert gateway.check(token)


@pytest.mark.parametrize(("op", "target"), ESCAPES.values(), ids=[*ESCAPES])
def test_no_target_escapes_a_child(gateway: Gateway, op: str, target: str) -> None:
    """The same where the narrower grants are those of an added block."""
    token = gateway.token(grants=[*GRANTS, Grant("dns.update", "zone:example.org/")])
    child = gateway.child(token, grants=GRANTS)
    assert Reason.OUT_OF_SCOPE is refused(gateway, child, ask(op=op, target=target))
    assert gateway.check(child)


@pytest.mark.parametrize(("op", "target"), WITHIN.values(), ids=[*WITHIN])
def test_what_is_granted_is_allowed(gateway: Gateway, op: str, target: str) -> None:
    """The table of escapes is no table of everything: what lies within is let through."""
    token = gateway.token()
    child = gateway.child(token, grants=GRANTS)
    assert gateway.check(token, ask(op=op, target=target))
    assert gateway.check(child, ask(op=op, target=target))


@pytest.mark.parametrize("args", BOUNDS.values(), ids=[*BOUNDS])
def test_no_argument_gets_out_of_bounds(gateway: Gateway, args: dict[str, Any]) -> None:
    """Another type is no way around a bound, and the same request within it is allowed."""
    token = gateway.token()
    child = gateway.child(token, ttl_s=30)
    for one in (token, child):
        assert Reason.OUT_OF_BOUNDS is refused(gateway, one, wire(**args))
        assert gateway.check(one, wire())


@pytest.mark.parametrize("name", ["amount", "to"])
def test_a_bounded_argument_must_be_there(gateway: Gateway, name: str) -> None:
    """The provider's default is nothing that was granted."""
    token, request = gateway.token(), wire()
    args = {key: value for key, value in request.args.items() if key != name}
    short = ask(op=request.op, target=request.target, args=args)
    assert Reason.OUT_OF_BOUNDS is refused(gateway, token, short)
    assert gateway.check(token, request)


@pytest.mark.parametrize("amount", [0, 5_000])
def test_a_bound_includes_its_ends(gateway: Gateway, amount: int) -> None:
    """Up to and with."""
    assert gateway.check(gateway.token(), wire(amount=amount))


def test_an_argument_without_a_bound_is_free(gateway: Gateway) -> None:
    """However many there are: only those that are bounded are judged."""
    more = {f"x{number}": "\ud800" for number in range(5_000)}
    assert gateway.check(gateway.token(), wire(**more, deep={"a": [1.5, None]}))


def test_a_bound_of_one_grant_does_not_loosen_another(gateway: Gateway) -> None:
    """Bounds belong to their grant: the large amount goes to the tax office only."""
    large = Grant("wire.send", "account:42", (Within("amount", 90_000), OneOf("to", ("tax",))))
    small = Grant("wire.send", "account:42", (Within("amount", 100),))
    token = gateway.token(grants=[large, small])
    assert gateway.check(token, wire(amount=90_000, to="tax"))
    assert gateway.check(token, wire(amount=100, to="mallory"))
    assert Reason.OUT_OF_BOUNDS is refused(gateway, token, wire(amount=101, to="mallory"))


def test_a_message_has_no_value_of_an_argument(gateway: Gateway) -> None:
    """It may be a secret; the names of the bounded ones are enough."""
    with pytest.raises(RefusedError, match=r"\['amount', 'to'\] within bounds") as error:
        gateway.check(gateway.token(), wire(to="hunter2"))
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "//",
        "a//",
        "../",
        "zone:example.com/..",
        "a b",
        "a/*",
        "A%2f",
        "a.",
        "e\u0301",
        "a\n",
        "a" * (LONGEST + 1),
    ],
)
def test_what_has_two_spellings_cannot_be_granted(target: str) -> None:
    """Neither exactly nor with all below it."""
    with pytest.raises(GrantError, match="expected a target"):
        Grant("dns.get", target)
    assert Grant("dns.get", "zone:example.com/").below
    assert not Grant("dns.get", "zone:example.com").below


@pytest.mark.parametrize(
    "op", ["", "*", "dns.*", "DNS.get", "dns get", "dns.", ".dns", "dns.get\n"]
)
def test_an_operation_is_granted_by_its_name(op: str) -> None:
    """There is none for all of them."""
    with pytest.raises(GrantError, match="expected an operation"):
        Grant(op, "zone:example.com/")
    assert Grant("dns.get", "zone:example.com/").op == "dns.get"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Within("amount", 1, 2),
        lambda: Within("amount", 1 << 63),
        lambda: Within("amount", 1.5),  # type: ignore[arg-type]
        lambda: Within("amount", high=True),
        lambda: Within("", 5),
        lambda: Within("a b", 5),
        lambda: OneOf("to", ()),
        lambda: OneOf("to", tuple(str(number) for number in range(MOST + 1))),
        lambda: OneOf("to", ('a"', "b")),
        lambda: OneOf("to", ("a\\",)),
        lambda: OneOf("to", ("a\n",)),
        lambda: OneOf("to", (5,)),  # type: ignore[arg-type]
        lambda: OneOf("to\n", ("a",)),
        lambda: Grant("dns.get", "a", (Within("amount", 5),) * (MOST + 1)),
    ],
)
def test_a_bound_that_means_nothing_is_told(make: Any) -> None:
    """Before anything is signed."""
    with pytest.raises(GrantError, match="expected"):
        make()


TARGETS = ("z:a/", "z:a/x", "z:a/x/", "z:a/x/y", "z:a.evil/x", "z:b")
NUMBERS = st.integers(-3, 6)
TEXTS = st.sampled_from(("p", "q", "r"))
BOUND = st.one_of(
    st.builds(lambda a, b: Within("n", max(a, b), min(a, b)), NUMBERS, NUMBERS),
    st.builds(lambda a: Within("m", a + 3), NUMBERS),
    st.builds(lambda a: OneOf("t", tuple(a)), st.lists(TEXTS, min_size=1, max_size=3)),
)
GRANT = st.builds(
    Grant,
    st.sampled_from(("op.a", "op.b")),
    st.sampled_from(TARGETS),
    st.lists(BOUND, max_size=2).map(tuple),
)
SOME = st.lists(GRANT, min_size=1, max_size=4)
ASKED = st.builds(
    ask,
    op=st.sampled_from(("op.a", "op.b")),
    target=st.sampled_from(TARGETS),
    args=st.fixed_dictionaries(
        {"n": NUMBERS, "t": TEXTS},
        optional={"m": st.one_of(NUMBERS, st.sampled_from((True, None, "2", 1 << 70)))},
    ),
)


def test_a_child_is_narrower_and_the_judges_agree(gateway: Gateway) -> None:
    """What a child may, its parent may; its block allows just what it says; both judges say so."""
    outcomes: set[tuple[bool, bool]] = set()
    reasons: set[Reason] = set()

    def allowed(text: str, request: Request) -> bool:
        token = read(text, gateway.keyring)
        try:
            explain(token, request, gateway.watch.now())
        except RefusedError as error:
            reasons.add(error.reason)
            said = False
        else:
            said = True
        assert said == datalog(token, request)
        return said

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(SOME, SOME, SOME, ASKED)
    def holds(first: list[Grant], second: list[Grant], third: list[Grant], asked: Request) -> None:
        texts = [gateway.token(grants=first)]
        for grants in (second, third):
            texts.append(attenuate(texts[-1], gateway.keyring.shared(), grants=grants))
        seen = [allowed(text, asked) for text in texts]
        assert seen == sorted(seen, reverse=True)
        for at, grants in ((1, second), (2, third)):
            alone = any(
                grant.names(asked.op, asked.target) and grant.holds(asked.args) for grant in grants
            )
            assert seen[at] == (seen[at - 1] and alone)
            outcomes.add((seen[at - 1], seen[at]))

    holds()
    assert {(True, True), (True, False), (False, False)} == outcomes
    assert {Reason.OUT_OF_SCOPE, Reason.OUT_OF_BOUNDS} == reasons
