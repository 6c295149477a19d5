"""What an operation acts on, in the one spelling by which it is judged and sent on.

Four forms: a path of the world (``source/users``, ``source/*``, ``dns/app.example``), a name
within an authority (``zone:example.com/www``), a URL, a mail address.  Whatever two readers could
take for two things is refused, not repaired; only the case of hosts and schemes, a default port
and hex digits are made one.  Send ``str(target)`` on, never the text that came.
"""

from __future__ import annotations

import re

from dataclasses import dataclass

from runtimes.reference.gateway.host import canonical_host
from runtimes.reference.gateway.url import PORTS, url_authority, url_path, url_query
from runtimes.reference.gateway.visible import check_segment, refuse


LONGEST = 2048
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
HOSTED = frozenset({"zone", "dns", "host"})
"""What stands after these is a host: ``zone:example.com/www``, ``dns/app.example``."""
ALL = "*"
FORBIDDEN = frozenset("\\%?#*")
"""In a name; a lone star at the end of a path means all below."""
LOCAL = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*")
"""The part of a mail address before the at sign; what needs quotes is not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target in canonical form: ``str`` gives its text, ``parse`` takes that back."""

    scheme: str = ""
    authority: str = ""
    segments: tuple[str, ...] = ()
    query: str = ""

    def __str__(self) -> str:
        path = "/".join(self.segments)
        if self.scheme in PORTS:
            return f"{self.scheme}://{self.authority}/{path}" + f"?{self.query}" * bool(self.query)
        if self.scheme == "mailto":
            return self.authority
        head = f"{self.scheme}:{self.authority}/" if self.scheme else ""
        return head + path if self.segments else head.removesuffix("/")

    @property
    def pattern(self) -> bool:
        """Say whether it means all that is below it."""
        return self.segments[-1:] == (ALL,)

    @classmethod
    def parse(cls, text: str) -> Target:
        """Return the target of a text.

        Raises:
            TargetError: it has more than one meaning, or looks like another one.

        """
        if not text or len(text) > LONGEST:
            refuse(f"a target of 1 to {LONGEST} characters", f"{len(text)}", "say which one")
        found = SCHEME.match(text)
        scheme, rest = (found[1].lower(), text[found.end() :]) if found else ("", text)
        if scheme in PORTS:
            return _url(scheme, rest)
        if scheme == "mailto" or (not scheme and "@" in rest and "/" not in rest):
            return _mail(rest)
        segments = [_segment(each) for each in rest.split("/")]
        if ALL in (segments[:-1] if segments[1:] or not scheme else segments):
            refuse("a star at the end only", "one before it", "name each target")
        if not scheme:
            if segments[0] in HOSTED and segments[1:2] not in ([], [ALL]):
                segments[1] = canonical_host(segments[1])
            return cls(segments=tuple(segments))
        authority = canonical_host(segments[0]) if scheme in HOSTED else segments[0]
        if "@" in authority or ":" in authority:
            refuse("one name before the first stroke", "an at sign or a colon", "use a path")
        return cls(scheme=scheme, authority=authority, segments=tuple(segments[1:]))


def _segment(text: str) -> str:
    if text != ALL:
        if FORBIDDEN & set(text):
            refuse("a plain name", "a backslash or one of % ? # *", "leave it out")
        check_segment(text)
    return text


def _mail(text: str) -> Target:
    local, _, host = text.rpartition("@")
    if not LOCAL.fullmatch(local):
        refuse("one mail address", "another form", "write name@example.com")
    return Target(scheme="mailto", authority=f"{local}@{canonical_host(host)}")


def _url(scheme: str, rest: str) -> Target:
    if not rest.startswith("//") or "#" in rest:
        refuse(f"{scheme}://host/path", "no host, or a fragment", "write what is to be sent")
    place, question, query = rest[2:].partition("?")
    authority, _, path = place.partition("/")
    return Target(
        scheme=scheme,
        authority=url_authority(scheme, authority),
        segments=url_path(path),
        query=url_query(query) if question else "",
    )
