"""Targets: one text for one thing, and nothing that two readers take for two."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtimes.reference.gateway.errors import GrantError
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.target import Target
from runtimes.reference.gateway.visible import TargetError


SCENARIOS = [
    path
    for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.py"))
    if path.stem != "__init__"
]
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEGMENT = st.text("abcäдж日-_:@09", min_size=1, max_size=5)
TRICKS = st.text("ab./\\%25eE*?#:@[]\u0430\u202e\u200b ü~;&=+-_0123456789", max_size=24)
PREFIX = st.sampled_from(["", "zone:", "dns/", "https://", "https://host/", "a@", "mailto:"])


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("source/users", "source/users"),
        ("source/*", "source/*"),
        ("*", "*"),
        ("order", "order"),
        ("schema/foreign_keys", "schema/foreign_keys"),
        ("seen/evt:1", "seen/evt:1"),
        ("dns/App.Example", "dns/app.example"),
        ("dns/*", "dns/*"),
        ("Zone:Example.COM/www", "zone:example.com/www"),
        ("zone:example.com", "zone:example.com"),
        ("table:Users/1", "table:Users/1"),
        ("inbox/анна", "inbox/анна"),
        ("work/日本カナabc", "work/日本カナabc"),
        ("HTTPS://Host.Example", "https://host.example/"),
        ("https://host:443/a", "https://host/a"),
        ("http://host:443/a", "http://host:443/a"),
        ("https://host:08443/a/", "https://host:8443/a/"),
        ("https://host/a%20b/é?Q=%2f", "https://host/a%20b/%C3%A9?Q=%2F"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://[2001:DB8:0::1]:80/", "https://[2001:db8::1]:80/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("Anna@Example.com", "Anna@example.com"),
        ("mailto:anna+x@example.com", "anna+x@example.com"),
    ],
)
def test_one_text(text: str, canonical: str) -> None:
    """A target has one text, and that text is the same target."""
    target = Target.parse(text)
    assert canonical == str(target)
    assert target == Target.parse(canonical)


@pytest.mark.parametrize("name", [path.stem for path in SCENARIOS])
def test_the_scenarios(name: str) -> None:
    """All that they act on has one text already, which is what the world knows it by."""
    world = import_module(f"scenarios.{name}").SCENARIO.world
    assert list(world) == [str(Target.parse(path)) for path in world]
    assert all(
        Grant("read.read", path.partition("/")[0] + "/").names("read.read", path)
        for path in world
        if "/" in path
    )


REFUSED = {
    "up": ("source/a..b", "source/../b", "dots"),
    "here": ("source/.a", "source/./a", "dots"),
    "up, with a parameter": ("https://host/a;v=1/b", "https://host/..;v=1/b", "dots"),
    "nothing between": ("a/b", "a//b", "an empty one"),
    "from the root": ("etc/passwd", "/etc/passwd", "an empty one"),
    "an open end": ("a/b", "a/b/", "an empty one"),
    "nothing": ("a", "", "1 to"),
    "too much": ("a" * 2048, "a" * 2049, "1 to"),
    "a backslash": ("a/b", "a\\b", "backslash"),
    "a percent sign": ("a/b", "a%2fb", "% "),
    "a star inside": ("source/*", "source/us*", r"\*"),
    "a star before the end": ("source/*", "*/users", "star at the end"),
    "a zone of stars": ("zone:example.com/*", "table:*", "star"),
    "a control": ("a/b", "a/b\n", "not seen"),
    "a zero": ("a/b", "a/b\0", "not seen"),
    "a space": ("a/b_c", "a/b c", "not seen"),
    "no width": ("a/b", "a/\u200bb", "not seen"),
    "right to left": ("a/b", "a/\u202eb", "not seen"),
    "half a character": ("a/é", "a/\ud83d", "not seen"),
    "decomposed": ("a/é", "a/e\u0301", "NFC"),
    "full width": ("a/b", "a/\uff42", "NFKC"),
    "one foreign letter": ("dns/app.example", "dns/\u0430pp.example", "CYRILLIC, LATIN"),
    "all foreign, all alike": ("inbox/анна", "inbox/\u0440\u0430\u0443", "look like Latin"),
    "a host with one": ("https://app.example/", "https://\u0430pp.example/", "CYRILLIC"),
    "a host with one, encoded": (
        "https://xn--bcher-kva.example/",
        "https://xn--pp-6kc.example/",
        "CYRILLIC",
    ),
    "an encoded host that is none": ("https://xn--bcher-kva.x/", "https://xn--zz--.x/", "host"),
    "a trailing dot": ("dns/app.example", "dns/app.example.", "dot at the end"),
    "a trailing dot of a URL": ("https://app.example/", "https://app.example./", "dot at its end"),
    "a trailing dot of a mail host": ("a@b.example", "a@b.example.", "dot at its end"),
    "a host of odd letters": ("zone:a-b.example/x", "zone:a,b.example/x", "letters, digits"),
    "upper case beyond ASCII": ("https://bücher.x/", "https://BÜCHER.x/", "lower case"),
    "a hidden stroke": ("https://host/a%20b", "https://host/a%2Fb", "percent sign"),
    "hidden dots": ("https://host/a.b", "https://host/%2e%2e/b", "percent sign"),
    "half hidden dots": ("https://host/a.b", "https://host/.%2E/b", "percent sign"),
    "a hidden letter": ("https://host/a", "https://host/%61", "percent sign"),
    "hidden twice": ("https://host/a", "https://host/%252e", "percent sign"),
    "a hidden zero": ("https://host/a", "https://host/a%00", "percent sign"),
    "overlong dots": ("https://host/%C3%A9", "https://host/%C0%AE", "an empty one"),
    "a hidden mark of direction": ("https://host/%C3%A9", "https://host/%E2%80%AE", "not seen"),
    "half a percent": ("https://host/a%20", "https://host/a%2", "percent sign"),
    "a backslash in a URL": ("https://host/a", "https://host\\@evil.example/", "user"),
    "a user": ("https://host/", "https://host@evil.example/", "user"),
    "a fragment": ("https://host/a", "https://host/a#b", "fragment"),
    "no host": ("https://host", "https:///a", "host name"),
    "one stroke": ("https://host/a", "https:/host/a", "no host"),
    "port zero": ("https://host:1/", "https://host:0/", "port"),
    "no port": ("https://host:65535/", "https://host:/", "port"),
    "port too high": ("https://host:65535/", "https://host:65536/", "port"),
    "a port in other digits": ("https://host:1/", "https://host:\u0661/", "port"),
    "an address in one number": ("http://127.0.0.1/", "http://2130706433/", "four decimal"),
    "an address in hex": ("http://127.0.0.1/", "http://0x7f.0.0.1/", "four decimal"),
    "an address that ends in hex": ("http://127.0.0.1/", "http://127.0.0.0x1/", "four decimal"),
    "an address in octal": ("http://127.0.0.1/", "http://0177.0.0.1/", "four decimal"),
    "a short address": ("http://127.0.0.1/", "http://127.1/", "four decimal"),
    "an address with a zone": ("http://[fe80::1]/", "http://[fe80::1%25eth0]/", "IPv6"),
    "a control in a query": ("https://host/?a=%20", "https://host/?a=%0d%0a", "query"),
    "an empty query": ("https://host/", "https://host/?", "query"),
    "another scheme": ("https://host/a", "file:///etc/passwd", "an empty one"),
    "two addresses": ("a@b.example", "a@b.example,c@d.example", "mail|host"),
    "a quoted address": ("a.b@c.example", '"a b"@c.example', "mail"),
    "an address in brackets": ("a@b.example", "<a@b.example>", "mail"),
    "two at signs": ("a@b.example", "a@b@c.example", "mail"),
    "a name with a user": ("table:users/a@b", "table:users@host/a", "at sign"),
}


@pytest.mark.parametrize(("good", "bad", "why"), REFUSED.values(), ids=list(REFUSED))
def test_more_than_one_meaning(good: str, bad: str, why: str) -> None:
    """It is refused, not repaired; its twin, which has one meaning, is taken."""
    Target.parse(good)
    with pytest.raises(TargetError, match=why):
        Target.parse(bad)


@pytest.mark.parametrize("form", ["a/{}/..", "{}:a//b", "https://{}@host/", "https://{}%/", "{}@@"])
def test_no_part_of_a_target_in_a_message(form: str) -> None:
    """A target may have a credential in it, or lead who reads the message astray."""
    with pytest.raises(TargetError) as caught:
        Target.parse(form.format("sk-live-0123"))
    assert "sk-live" not in str(caught.value)


@pytest.mark.parametrize(
    ("scope", "target", "expected"),
    [
        ("zone:example.com/", "zone:example.com/www", True),
        ("zone:example.com/", "zone:example.com/a/b", True),
        ("zone:example.com/", "zone:example.com", False),
        ("zone:example.com/", "zone:example.com.evil", False),
        ("zone:example.com/", "zone:example.com.evil/www", False),
        ("zone:example.com", "zone:EXAMPLE.com", True),
        ("zone:example.com", "zone:example.com/www", False),
        ("source/", "source/users", True),
        ("source/", "source/*", True),
        ("source/", "source", False),
        ("source/", "sources/users", False),
        ("source/users", "source/users", True),
        ("source/users", "source/user", False),
        ("source/user", "source/users", False),
        ("source/a/", "*", False),
        ("https://host/", "https://host/a?b=c", True),
        ("https://host/", "https://host.evil/", False),
        ("https://host/", "https://host:8443/", False),
        ("https://host/", "http://host/", False),
        ("https://host/a/", "https://host/a/b", True),
        ("https://host/a/", "https://host/ab", False),
        ("https://host/a", "https://host/a?b=c", False),
        ("anna@example.com", "anna@EXAMPLE.com", True),
        ("anna@example.com", "anna@example.com.evil", False),
    ],
)
def test_a_scope(scope: str, target: str, expected: bool) -> None:
    """A grant names the target that it is, or all below it if it ends in a stroke, and no more."""
    assert expected is Grant("dns.get", scope).names("dns.get", str(Target.parse(target)))


@pytest.mark.parametrize(
    "scope",
    [
        *("/", "", "//", "source//", "zone:/", "*/", "a@b.example/", "https://", "https://h//"),
        *("*", "source/*", "Zone:Example.com/", "https://h/a?b/", 'a"b', "a\\b"),
    ],
)
def test_no_scope(scope: str) -> None:
    """What covers nobody knows what, or has another spelling, is not granted."""
    with pytest.raises(GrantError):
        Grant("dns.get", scope)


@PATIENT
@given(PREFIX, TRICKS)
def test_any_text(prefix: str, trick: str) -> None:
    """It is refused, or has one text that is read as the same target and hides nothing."""
    try:
        target = Target.parse(prefix + trick)
    except TargetError:
        return
    text = str(target)
    assert target == Target.parse(text)
    assert not {"\\", "\u202e", "\u200b", " "} & set(text)
    path = text.partition("?")[0].partition("://")[2] or text.partition("?")[0]
    assert not {"..", "."} & set(path.split("/"))
    assert "" not in path.split("/")[:-1]


@PATIENT
@given(st.lists(SEGMENT, min_size=1, max_size=3), st.lists(SEGMENT, min_size=1, max_size=3))
def test_a_subtree(root: list[str], below: list[str]) -> None:
    """What a scope covers begins with its very names, and nothing else does."""
    try:
        target, scope = Target.parse("s/" + "/".join(below)), "s/" + "/".join(root) + "/"
        covered = Grant("dns.get", scope).names("dns.get", str(target))
    except (TargetError, GrantError):
        return
    assert covered is (below[: len(root)] == root and len(below) > len(root))
