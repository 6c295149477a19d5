"""Names of hosts, in the one spelling under which they are compared."""

from __future__ import annotations

import ipaddress
import re

from typing import NoReturn

import idna

from runtimes.reference.gateway.visible import flaw, refuse


LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
LONGEST = 253
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""Hosts that end so are addresses, and each resolver reads them in its own way."""


def canonical_host(text: str) -> str:
    """Return a host in lower case and ASCII, with A-labels for what is not.

    Raises:
        TargetError: it is no name or address in the usual form, or it looks like another.

    """
    if text.startswith("["):
        return _address(text)
    host = text.lower() if text.isascii() else _ascii(text)
    if host.endswith("."):
        _refuse("a dot at its end", "leave the dot out")
    labels = host.split(".")
    if len(host) > LONGEST or not all(LABEL.fullmatch(label) for label in labels):
        _refuse("something else", "use letters, digits and hyphens between dots")
    for label in labels:
        if label.startswith("xn--"):
            _undisguised(label)
    if NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ipaddress.AddressValueError:
            pass
        _refuse("an address in an unusual form", "write four decimal numbers")
    return host


def _refuse(seen: str, advice: str) -> NoReturn:
    refuse("a host name", seen, advice)


def _address(text: str) -> str:
    # A zone names an interface of this machine, which is no business of the agent's.
    if text.endswith("]") and "%" not in text:
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1])}]"
        except ipaddress.AddressValueError:
            pass
    _refuse("brackets without an IPv6 address", "write [2001:db8::1]")


def _ascii(text: str) -> str:
    for label in text.split("."):
        if why := flaw(label):
            _refuse(why, "use one script, composed")
    try:
        return idna.encode(text, strict=True).decode()
    except idna.IDNAError:
        pass
    _refuse("letters that none has", "use lower case, and what IDNA 2008 allows")


def _undisguised(label: str) -> None:
    try:
        why = flaw(idna.ulabel(label))
    except idna.IDNAError:
        why = "an xn-- label that means nothing"
    if why:
        _refuse(why, "use a name that is what it looks like")
