"""Reading a run back: every record is held to its seal, to the one before it, and to the anchor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import orjson

from runtimes.reference.effect_log.anchor import Head, Heads
from runtimes.reference.effect_log.chain import Row, check_follows, check_whole, genesis
from runtimes.reference.effect_log.errors import ContradictionError, DamagedError
from runtimes.reference.effect_log.facts import Facts
from runtimes.reference.effect_log.records import Entry, Summary
from runtimes.reference.effect_log.store import Store


@dataclass(frozen=True, slots=True)
class Recovered:
    """A run as its log has it: the facts, and the last record."""

    facts: Facts
    head: Head


def decoded(row: Row) -> Entry:
    """Return the record of a row.

    Raises:
        DamagedError: it has none, or another one's.
        VersionError: it is of a later version.

    """
    try:
        data = orjson.loads(row.data)
    except orjson.JSONDecodeError as error:
        raise DamagedError.at(row.run, row.seq, str(error)) from error
    if not isinstance(data, dict):
        raise DamagedError.at(row.run, row.seq, "it is no object")
    entry = Entry.from_json(data)
    if (entry.run, entry.seq) != (row.run, row.seq):
        raise DamagedError.at(row.run, row.seq, f"it is record {entry.seq} of run {entry.run}")
    return entry


def entries(
    store: Store, run: str, decode: Callable[[Row], Entry] = decoded, after: Head | None = None
) -> Iterator[tuple[Entry, Row]]:
    """Yield the records of a run in order, each verified; those ``after`` one, if it is given.

    Who reads the same rows over and over may have a ``decode`` that keeps what ``decoded`` gave.

    Raises:
        DamagedError: one is not as it was written, or is missing before the end.
        VersionError: one is of a later version.

    """
    head = after
    for row in islice(store.rows(run), after.seq if after else None, None):
        if row.run != run:
            raise DamagedError.at(run, head.seq + 1 if head else 1, f"a row of {row.run} is there")
        if head and row.seq != head.seq + 1:
            raise DamagedError.at(run, head.seq + 1, f"the next one there is {row.seq}")
        check_whole(row)
        entry = decode(row)
        check_follows(row, head.hash if head else _first(entry))
        head = Head(row.seq, row.hash)
        yield entry, row


def recover(
    store: Store,
    anchor: Heads,
    run: str,
    decode: Callable[[Row], Entry] = decoded,
    since: Recovered | None = None,
) -> Recovered:
    """Return what the log knows of a run; of one that never was, nothing.

    ``since`` is what was read of a run whose records are all there, to be read on from.

    Raises:
        DamagedError: an acknowledged record is missing or not as it was written.
        VersionError: one is of a later version.

    """
    facts, head, known = Facts(), Head(0, genesis(run)), anchor.head(run)
    if since:
        facts, head = since.facts.copy(), since.head
    for entry, row in entries(store, run, decode, head if since else None):
        try:
            if head.seq == 0 and isinstance(entry.record, Summary) and entry.seq > 1:
                facts = Facts.from_json(entry.record.facts)  # type: ignore[arg-type]
            else:
                facts.add(entry)
        except (ContradictionError, KeyError, TypeError, ValueError) as error:
            raise DamagedError.at(
                run, row.seq, f"it contradicts those before it: {error}"
            ) from error
        head = Head(row.seq, row.hash)
        if known and known.seq == row.seq and known.hash != row.hash:
            raise DamagedError.at(run, row.seq, "the anchor has another hash of it")
    if known and known.seq > head.seq:
        why = f"{known.seq} records were acknowledged, {head.seq} are there"
        raise DamagedError.at(run, head.seq + 1, why)
    return Recovered(facts, head)


def _first(entry: Entry) -> bytes:
    """Return what the first record that is there must follow from."""
    if entry.seq == 1:
        return genesis(entry.run)
    if isinstance(entry.record, Summary):
        try:
            return bytes.fromhex(entry.record.prev)
        except ValueError:
            pass
    raise DamagedError.at(entry.run, entry.seq - 1, f"the first one there is {entry.seq}")
