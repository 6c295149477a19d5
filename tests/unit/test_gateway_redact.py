"""What goes out: no credential in any disguise, and the name of each that tried."""

from __future__ import annotations

import base64
import json

from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.effects import Json
from harness.secrets import forms, is_split
from runtimes.reference.gateway.redact import Redactor


PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAY = "sk-live/4f+Zq9 \"wK2~0tR7'"
DNS = "é-zone-Ω-0123456789"
SECRETS = {"payments": PAY, "dns": DNS}
REDACTOR = Redactor(SECRETS, canaries=["dns"])
PIECE = st.sampled_from(
    [
        *(form for secret in SECRETS.values() for form in forms(secret).values()),
        *(secret.encode()[at:] for secret in SECRETS.values() for at in range(8)),
        *(secret.encode()[:-at] for secret in SECRETS.values() for at in range(1, 8)),
        quote(PAY, safe="").encode(),
        base64.urlsafe_b64encode(b"xy" + DNS.encode() + b"z"),
        b"[redacted ",
        b"\n",
    ]
)
CONTENT = st.lists(PIECE | st.binary(max_size=5), max_size=8).map(b"".join)
DISGUISES = {
    "raw": lambda it: it,
    "reversed": lambda it: it[::-1],
    "hex": lambda it: it.encode().hex(),
    "upper-case hex": lambda it: it.encode().hex().upper(),
    "hex in mixed case": lambda it: it.encode().hex()[:9] + it.encode().hex()[9:].upper(),
    "URL": lambda it: quote(it, safe=""),
    "URL, lower case": lambda it: quote(it, safe="").replace("%2F", "%2f"),
    "URL, in part": lambda it: quote(it, safe="/+"),
    "form": quote_plus,
    "URL, all of it": lambda it: "".join(f"%{byte:02X}" for byte in it.encode()),
    "JSON": lambda it: json.dumps(it)[1:-1],
    "JSON with strokes": lambda it: json.dumps(it)[1:-1].replace("/", "\\/"),
    "JSON, all of it": lambda it: "".join(f"\\u{ord(each):04X}" for each in it),
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=list(DISGUISES))
def test_a_disguise(name: str, disguise: Any) -> None:
    """It is taken out wherever it stands, with nothing of it left, and its name is told."""
    text = disguise(SECRETS[name])
    value: Json = {f"key {text}": ["before", f"({text})", 1, None, True]}
    clean = REDACTOR.redact(value)
    marker = f"[redacted {name}]"
    assert {f"key {marker}": ["before", f"({marker})", 1, None, True]} == clean.value
    assert {name} == clean.names == REDACTOR.leaks(value)
    assert f"<{marker}>".encode() == REDACTOR.redact(f"<{text}>".encode()).value


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", [b"", b"u", b"u:", b"u:\xff"])
@pytest.mark.parametrize("after", [b"", b"\xff", b"\xff\xff"])
def test_within_base64(name: str, encode: Any, before: bytes, after: bytes) -> None:
    """It is taken out wherever it begins, and what is left tells nothing of it."""
    text = encode(before + SECRETS[name].encode() + after)
    clean = REDACTOR.redact(b"Basic " + text + b"\n")
    assert {name} == clean.names
    start, end = len(before) * 8 // 6, -(-(len(before) + len(SECRETS[name].encode())) * 8 // 6)
    assert b"Basic %s[redacted %s]%s\n" % (text[:start], name.encode(), text[end:]) == clean.value


def test_reversed_bytes() -> None:
    """Letters of several bytes may be reversed as bytes, which is no text any more."""
    clean = REDACTOR.redact(b"<" + DNS.encode()[::-1] + b">")
    assert (b"<[redacted dns]>", {"dns"}) == (clean.value, clean.names)


def test_base64_in_a_url() -> None:
    """Its marks may be encoded once more."""
    marks = "~~~???>>>~~~???>>>"
    text = base64.b64encode(marks.encode()).decode()
    assert {"/", "+"} <= set(text)
    value = f"?t={quote(text, safe='')}&u={text.replace('/', chr(92) + '/')}"
    assert "?t=[redacted it]&u=[redacted it]" == Redactor({"it": marks}).redact(value).value


def test_a_secret_of_digits() -> None:
    """It may come back as a number; other numbers stay numbers."""
    redactor = Redactor({"pin": "123456789012"})
    clean = redactor.redact({"pin": 123456789012, "sum": 12345, "rate": 0.5, "ok": True})
    assert {"pin": "[redacted pin]", "sum": 12345, "rate": 0.5, "ok": True} == clean.value
    assert clean.value["ok"] is True


@pytest.mark.parametrize("at", range(6, len(PAY) - 5))
@pytest.mark.parametrize("both", [False, True])
def test_in_two_fields(at: int, both: bool) -> None:
    """Two halves in two fields are taken out of both; one half alone is no secret."""
    value: Json = {
        "first": f"<{PAY[:at]}",
        "rest": [{"second": f"{PAY[at:]}>" if both else "none"}],
    }
    clean = REDACTOR.redact(value)
    if both:
        marker = "[redacted payments]"
        assert {"first": f"<{marker}", "rest": [{"second": f"{marker}>"}]} == clean.value
        assert {"payments"} == clean.names
    else:
        assert (value, frozenset()) == (clean.value, clean.names)


def test_two_keys_that_become_one() -> None:
    """No value is lost where two keys were the same secret."""
    clean = REDACTOR.redact({PAY: 1, PAY[::-1]: 2})
    assert {"[redacted payments]": 1, "[redacted payments]'": 2} == clean.value


def test_a_canary() -> None:
    """One on its way out is told from other credentials."""
    assert {"dns"} == REDACTOR.redact([PAY, DNS]).canaries
    assert not REDACTOR.redact([PAY]).canaries
    stream = REDACTOR.stream()
    stream.feed(DNS.encode())
    stream.close()
    assert {"dns"} == REDACTOR.canaries(stream.names)


@pytest.mark.parametrize(
    "value", [{}, [], "", 0, None, {"a": [PAY[:5], PAY[:-1], DNS[1:]]}, "\ud83d"]
)
def test_nothing_to_hide(value: Json) -> None:
    """An answer without a secret goes out as it came."""
    clean = REDACTOR.redact(value)
    assert (value, frozenset(), frozenset()) == (clean.value, clean.names, clean.canaries)


def test_no_secrets() -> None:
    """Who has nothing to hide changes nothing."""
    stream = Redactor({}).stream()
    assert b"abc" == stream.feed(b"ab") + stream.feed(b"c") + stream.close()


@pytest.mark.parametrize(
    ("secrets", "canaries", "why"),
    [
        ({"short": "12345678901"}, [], "'short' of at least 12"),
        ({"empty": ""}, [], "'empty' of at least 12"),
        ({"x": PAY}, ["y"], r"\['y'\]"),
        ({PAY: PAY}, [], "rename it"),
        ({f"is {PAY[:6]}": PAY}, [], "rename it"),
        ({"first": PAY, f"is {PAY[-6:]}": DNS}, [], "rename it"),
    ],
)
def test_no_redactor(secrets: dict[str, str], canaries: list[str], why: str) -> None:
    """What cannot be told from other text is refused, and no message has a secret in it."""
    with pytest.raises(ValueError, match=why) as caught:
        Redactor(secrets, canaries)
    assert not any(secret in str(caught.value) for secret in secrets.values() if secret)


def test_a_redactor_says_nothing_of_its_secrets() -> None:
    """It may stand in a log or a traceback."""
    told = f"{REDACTOR!r} {REDACTOR.stream()!r} {REDACTOR._sieve!r}"
    assert not any(secret in told for secret in SECRETS.values())


@PATIENT
@given(CONTENT, st.data())
def test_any_chunks(content: bytes, data: st.DataObject) -> None:
    """Where an answer is cut makes no difference, and nothing waits for ever."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    whole, parts = REDACTOR.stream(), REDACTOR.stream()
    expected = whole.feed(content) + whole.close()
    edges = [0, *cuts, len(content)]
    seen = b"".join(parts.feed(content[a:b]) for a, b in pairwise(edges))
    assert expected == seen + parts.close()
    assert whole.names == parts.names
    clean = REDACTOR.redact(content)
    assert clean.names == whole.names
    if not any(is_split(secret, expected) for secret in SECRETS.values()):
        assert clean.value == expected


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=list(DISGUISES))
def test_cut_anywhere(name: str, disguise: Any) -> None:
    """A disguise is found wherever it is cut in two, the longest one too."""
    text = disguise(SECRETS[name]).encode()
    for at in range(len(text) + 1):
        stream = REDACTOR.stream()
        clean = stream.feed(text[:at]) + stream.feed(text[at:]) + stream.close()
        assert f"[redacted {name}]".encode() == clean


def test_two_pieces_in_a_stream() -> None:
    """They have gone out, but at its end it is known; a single piece is no secret."""
    apart = b"\n" * 500
    for tail, expected in ((PAY[12:], {"payments"}), (PAY[13:], set())):
        stream = REDACTOR.stream()
        content = PAY[:12].encode() + apart + tail.encode() + apart
        out = b"".join(stream.feed(content[at : at + 1]) for at in range(len(content)))
        assert (content, expected) == (out + stream.close(), stream.names)


@PATIENT
@given(CONTENT)
def test_each_byte_by_itself(content: bytes) -> None:
    """The smallest chunks are no exception, and what is held back is bounded."""
    stream, out = REDACTOR.stream(), b""
    for at in range(len(content)):
        out += stream.feed(content[at : at + 1])
        assert len(stream._rest) < REDACTOR._sieve.longest
    whole = REDACTOR.stream()
    assert whole.feed(content) + whole.close() == out + stream.close()


@PATIENT
@given(
    st.recursive(
        CONTENT.map(lambda it: it.decode("latin-1")),
        lambda i: st.lists(i) | st.dictionaries(st.text(), i),
        max_leaves=8,
    )
)
def test_what_the_oracle_looks_for(value: Json) -> None:
    """Nothing goes out that the oracle of secrets would find: no form, no two pieces."""
    clean = REDACTOR.redact(value)
    texts: list[str] = []

    def walk(it: Json) -> None:
        if isinstance(it, dict):
            for key, inner in it.items():
                texts.append(key)
                walk(inner)
        elif isinstance(it, list):
            for inner in it:
                walk(inner)
        else:
            texts.append(str(it))

    walk(clean.value)
    content = "\0".join(texts).encode()
    for secret in SECRETS.values():
        assert not [form for form, needle in forms(secret).items() if needle in content]
        assert not is_split(secret, content)
    assert REDACTOR.leaks(clean.value) == frozenset()
