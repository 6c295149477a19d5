"""RRsets: how they are named, written and compared."""

from __future__ import annotations

import re

from collections.abc import Mapping
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdataset
import dns.rdatatype
import dns.update

from dns.rdataclass import IN, RdataClass
from dns.rdatatype import RdataType

from harness.effects import Json
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.upstreams.base import UnknownOperationError
from runtimes.reference.upstreams.refusal import ABSENT


NAME = re.compile(r"@|(\*|[a-z0-9_-]+)(\.[a-z0-9_-]+)*")
"""One spelling for each name: lower case, and nothing outside the zone."""
TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TXT")
OF_NAMES = ("CNAME", "MX", "SRV")
MOST_TTL_S = 7 * 86_400


class SetError(ValueError):
    """What should be written is no RRset; the message says why."""


@dataclass(frozen=True, slots=True)
class Named:
    """Where an RRset is."""

    zone: dns.name.Name
    name: dns.name.Name
    type: RdataType
    rdclass: RdataClass = IN


@dataclass(frozen=True, slots=True)
class Records:
    """The records of an RRset, ``None`` where there are none."""

    data: dns.rdataset.Rdataset | None = None

    @property
    def texts(self) -> list[Json]:
        """Return the records in their order, as a zone file has them."""
        if not self.data:
            return []
        texts = [record.to_text() for record in self.data]
        # Names have no case, and some servers change it.
        return [*sorted(map(str.lower, texts) if self.data.rdtype.name in OF_NAMES else texts)]

    @property
    def version(self) -> str:
        """Return the hash of the records."""
        return digest(self.texts) if self.data else ABSENT

    @property
    def value(self) -> Json:
        """Return the records and their TTL."""
        return {"records": self.texts, "ttl": self.data.ttl} if self.data else None


def named(target: str, zones: tuple[str, ...]) -> Named:
    """Return the place that a target names.

    Raises:
        UnknownOperationError: it is in none of the zones, or not spelt as it should be.

    """
    zone, _, rest = target.partition("/")
    name, _, kind = rest.partition("/")
    if zone not in zones or not NAME.fullmatch(name) or kind not in TYPES:
        msg = f"no RRset {target!r}: expected zone/name/TYPE of {zones}, {TYPES}, in lower case"
        raise UnknownOperationError(msg)
    origin = dns.name.from_text(zone)
    try:
        return Named(origin, dns.name.from_text(name, origin), dns.rdatatype.from_text(kind))
    except dns.exception.DNSException as error:
        msg = f"no RRset {target!r}: {error}"
        raise UnknownOperationError(msg) from None


def noted(target: Named, op: str, args: Mapping[str, Json]) -> Records:
    """Return the records that an operation leaves.

    Raises:
        SetError: its arguments are not ``records``, a list of texts, and ``ttl``, in seconds.

    """
    if op != "dns.set":
        if args:
            msg = f"{op} takes no arguments, not {sorted(args)}"
            raise SetError(msg)
        return Records()
    records, ttl = args.get("records"), args.get("ttl")
    texts = [text for text in records if isinstance(text, str)] if isinstance(records, list) else []
    whole = isinstance(records, list) and len(texts) == len(records) > 0
    if set(args) != {"records", "ttl"} or not whole or type(ttl) is not int:
        msg = f"{op} takes records, a list of texts, and ttl, in seconds; not {dict(args)}"
        raise SetError(msg)
    if not 0 <= ttl <= MOST_TTL_S:
        msg = f"a TTL is from 0 to {MOST_TTL_S} s, not {ttl}"
        raise SetError(msg)
    try:
        made = dns.rdataset.from_text_list(
            IN, target.type, ttl, texts, origin=target.zone, relativize=False
        )
    except (dns.exception.DNSException, ValueError) as error:
        msg = f"no {target.type.name} records: {error}"
        raise SetError(msg) from None
    return Records(made)


def written(
    target: Named, wanted: Records, expected: Mapping[Named, Records]
) -> dns.update.UpdateMessage:
    """Return the update that makes a target hold the wanted records, if all is as expected."""
    update = dns.update.UpdateMessage(target.zone)
    for at, seen in expected.items():
        if seen.data:
            # No TTL is compared, and one in a premise is an error of form.
            update.present(at.name, dns.rdataset.from_rdata_list(0, [*seen.data]))
        else:
            update.absent(at.name, at.type)
    update.delete(target.name, target.type)
    if wanted.data:
        update.add(target.name, wanted.data)
    return update
