"""A private PostgreSQL as a provider: a database with a user who may not do everything."""

from __future__ import annotations

import secrets

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harness.deadline import Deadline
from harness.process import Address, Site
from runtimes.reference.upstreams.credential import Credential
from runtimes.support.postgres import Postgres, postgres


READY_S = 60.0
USER, NAME = "gateway", "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database, its address, and the credential of its user."""

    server: Postgres
    address: Address
    name: str
    credential: Credential


@contextmanager
def database(site: Site, schema: Sequence[str] = (), name: str = "provider") -> Iterator[Database]:
    """Start a PostgreSQL with a database in which ``schema`` has been carried out.

    Raises:
        RuntimeUnavailableError: there is no PostgreSQL on this machine.
        ProcessError: it was not ready in time, or refused the schema.

    """
    credential = Credential(name=USER, secret=secrets.token_hex(16))
    with postgres(site, name, durable=False) as server:
        server.ready(Deadline.after(READY_S))
        server.sql(f"create role {USER} login password '{credential.secret}'")
        server.create(NAME)
        server.sql(f"grant create on schema public to {USER}", NAME)
        for statement in schema:
            server.sql(f"set role {USER}; {statement}", NAME)
        yield Database(server=server, address=server.address, name=NAME, credential=credential)
