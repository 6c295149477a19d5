"""A private Knot: the primary server of some zones, which takes updates of one key."""

from __future__ import annotations

import base64
import secrets
import shutil

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.query

from harness.deadline import Deadline
from harness.process import Address, Site, WorkerSpec
from harness.runtime import RuntimeUnavailableError
from harness.service import Server
from runtimes.reference.upstreams.credential import Credential
from runtimes.support.account import account


READY_S, PROBE_S = 30.0, 1.0
KEY = "gateway"
ZONE = """$ORIGIN {zone}.
$TTL 60
@ SOA ns1 admin 1 3600 600 86400 60
@ NS ns1
ns1 A 127.0.0.1
"""
SETTINGS = """
server:
  rundir: "{folder}"
  listen: {address}
  tcp-workers: 1
  udp-workers: 1
  background-workers: 1
database:
  storage: "{folder}"
log:
  - target: stderr
    any: info
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: gateway
    key: {key}
    action: [update, query]
  - id: anybody
    action: query
template:
  - id: default
    storage: "{folder}"
    file: "%s.zone"
    acl: [gateway, anybody]
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
zone:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameserver:
    """A name server, its address, its zones, and the TSIG key that it knows."""

    server: Server
    address: Address
    zones: tuple[str, ...]
    credential: Credential


@contextmanager
def nameserver(
    site: Site, zones: Sequence[str] = ("example.test",), name: str = "knot"
) -> Iterator[Nameserver]:
    """Start a Knot that serves empty zones.

    Raises:
        RuntimeUnavailableError: there is no Knot on this machine.
        ProcessError: it was not ready in time.

    """
    program = shutil.which("knotd") or shutil.which("/usr/sbin/knotd")
    if program is None:
        msg = "knotd is not on this machine; run: apt-get install knot"
        raise RuntimeUnavailableError(msg)
    owner, folder, address = account("knot"), site.state_dir(name), site.reserve()
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    config = folder / "knot.conf"
    text = SETTINGS.format(
        folder=folder, address=f"{address.host}@{address.port}", key=KEY, secret=secret
    )
    config.write_text(text + "".join(f"  - domain: {zone}\n" for zone in zones))
    owner.own(folder)
    owner.own(config)
    for zone in zones:
        file = folder / f"{zone}.zone"
        file.write_text(ZONE.format(zone=zone))
        owner.own(file)
    argv = owner.argv([program, "-c", str(config), "-s", str(folder / "knot.sock")])
    spec = WorkerSpec(argv=argv, cwd=folder, ready=False)
    with Server(name, site.runner, spec, lambda: _serves(address, zones)) as server:
        server.ready(Deadline.after(READY_S))
        yield Nameserver(
            server=server,
            address=address,
            zones=tuple(zones),
            credential=Credential(name=KEY, secret=secret),
        )


def _serves(address: Address, zones: Sequence[str]) -> bool:
    """Say whether each zone is loaded: before that it answers, and refuses."""
    try:
        for zone in zones:
            question = dns.message.make_query(zone, "SOA")
            reply = dns.query.tcp(question, address.host, PROBE_S, address.port)
            if reply.rcode() != 0 or not reply.answer:
                return False
    except (dns.exception.DNSException, OSError, EOFError):
        return False
    return True
