"""The parts of a URL (RFC 3986), with one text for each.

Only what cannot stand there by itself is written with a percent sign: an encoded letter, dot or
stroke is one that somebody hides.
"""

from __future__ import annotations

import re

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

from runtimes.reference.gateway.host import canonical_host
from runtimes.reference.gateway.visible import check_segment, refuse


PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
MOST = 65535
MARKS = "._~!$&'()+,;=:@-"
SPACE = " "
SPELLED = frozenset(b' "<>^`{|}')
"""The ASCII that a path may have with a percent sign, and must have so."""
ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
PIECE = re.compile(rf"(?:[A-Za-z0-9{MARKS}]|[^\0-\x7f]|{ESCAPE.pattern})*")
QUERY = re.compile(rf"(?:[A-Za-z0-9*/?{MARKS}]|{ESCAPE.pattern})+")
ASCII = frozenset(range(0x80))
CONTROLS = frozenset([*range(0x20), 0x7F])


def url_authority(scheme: str, text: str) -> str:
    """Return host and port; the scheme's own port goes without saying.

    Raises:
        TargetError: there is a user, no host or no such port.

    """
    if "@" in text:
        refuse("host or host:port", "a user before the host", "leave it out")
    host, port = text, str(PORTS[scheme])
    if ":" in text.rpartition("]")[2]:
        host, _, port = text.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) <= MOST:
        refuse(f"a port from 1 to {MOST}", "another one", "correct it")
    return canonical_host(host) + f":{int(port)}" * (int(port) != PORTS[scheme])


def url_path(text: str) -> tuple[str, ...]:
    """Return the names of a path; the last may be empty, where it ends in a stroke.

    Raises:
        TargetError: one leads elsewhere, hides something, or is not what it looks like.

    """
    parts = text.split("/") if text else []
    end = ("",) if parts[1:] and not parts[-1] else ()
    return tuple(_part(each) for each in parts[: len(parts) - len(end)]) + end


def url_query(text: str) -> str:
    """Return a query; what it means is between the agent and the host.

    Raises:
        TargetError: it is empty, or has what no query has.

    """
    if (
        not QUERY.fullmatch(text)
        or {unquote_to_bytes(e)[0] for e in ESCAPE.findall(text)} & CONTROLS
    ):
        refuse("a query in URL characters", "another one, or none", "encode it, or leave it out")
    return ESCAPE.sub(lambda found: found[0].upper(), text)


def _part(text: str) -> str:
    if not PIECE.fullmatch(text) or _escaped(text) & ASCII - SPELLED:
        refuse("a plain path", "what hides behind a percent sign, or needs one", "write it plainly")
    try:
        name = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        name = ""
    check_segment(name.replace(SPACE, "_"))
    return quote(name, safe=MARKS)


def _escaped(text: str) -> frozenset[int]:
    return frozenset(int(each[1:], 16) for each in ESCAPE.findall(text))
