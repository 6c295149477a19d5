"""``bakeoff effects``: what a log knows of its runs, and whether it is whole."""

from __future__ import annotations

import asyncio
import json
import sys

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from filelock import FileLock, Timeout

from harness.effects import Json
from runtimes.reference.effect_log.anchor import Heads
from runtimes.reference.effect_log.errors import DamagedError, EffectLogError
from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.folder import LOG, effect_log, has_log, reading
from runtimes.reference.effect_log.log import EffectLog, wall_ms
from runtimes.reference.effect_log.reading import entries, recover
from runtimes.reference.effect_log.records import Lease, Resolution, Verdict, plain
from runtimes.reference.effect_log.store import Store
from runtimes.reference.explain import document, explain


DAMAGED = 1
DAY_MS = 86_400_000
LOG_FOLDER = click.option(
    "--log",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help=f"The folder of the log: it has {LOG}, and the heads beside it.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
SAYS = {
    Standing.DONE: "done",
    Standing.NOT_DONE: "not done",
    Standing.IN_DOUBT: "IN DOUBT: it was tried, and nobody knows yet whether it was done",
    Standing.UNKNOWN: "UNKNOWN: only a human can tell whether it was done",
}


@click.group()
def effects() -> None:
    """Read the effect log: what is true of a run, and what is in doubt.

    All but `resolve` and `compact` change nothing.  A log may be read while its gateway writes it.
    """


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Store, Heads]]:
    """Lend a log to read; what is wrong with it is one message, and exit code 1."""
    if not has_log(folder):
        msg = f"{folder} is no effect log: it has no {LOG}"
        raise click.UsageError(msg)
    try:
        with reading(folder) as found:
            yield found
    except EffectLogError as error:
        click.echo(f"bakeoff: {error}", err=True)
        sys.exit(DAMAGED)


def of(store: Store, run: str) -> str:
    """Return a run that the log has.

    Raises:
        UsageError: it has no such run.

    """
    known = store.runs()
    if run not in known:
        some = ", ".join(known[:10]) or "none at all"
        msg = f"the log has no run {run!r}; it has {some}"
        raise click.UsageError(msg)
    return run


@effects.command()
@LOG_FOLDER
@AS_JSON
def verify(folder: Path, as_json: bool) -> None:
    """Hold every record to its seal, and every run to its last acknowledged record.

    Exit code 1 if anything is not as it was written; the first such record is named.
    """
    with opened(folder) as (store, heads):
        found = [_verified(store, heads, run) for run in store.runs()]
    if as_json:
        click.echo(json.dumps(found, indent=1))
    for one in found if not as_json else []:
        words = one["damage"] or f"whole, {one['records']} records to {one['seq']}"
        click.echo(f"{one['run']}: {words}")
    if not as_json:
        bad = sum(bool(one["damage"]) for one in found)
        click.echo(f"{len(found)} runs, {bad} damaged")
    sys.exit(DAMAGED if any(one["damage"] for one in found) else 0)


def _verified(store: Store, heads: Heads, run: str) -> dict[str, Json]:
    try:
        found = recover(store, heads, run)
    except DamagedError as error:
        return {"run": run, "seq": error.seq, "records": 0, "damage": str(error)}
    records = sum(1 for _ in store.rows(run))
    return {"run": run, "seq": found.head.seq, "records": records, "damage": ""}


@effects.command()
@click.argument("run")
@LOG_FOLDER
@AS_JSON
def show(run: str, folder: Path, as_json: bool) -> None:
    """Show what is known of RUN: each effect, who holds it, what it rests on."""
    with opened(folder) as (store, heads):
        facts = recover(store, heads, of(store, run)).facts
    if as_json:
        click.echo(json.dumps(facts.to_json(), indent=1))
        return
    for text in _lines(run, facts):
        click.echo(text)


def _lines(run: str, facts: Facts) -> Iterator[str]:
    ended = facts.terminal.status if facts.terminal else "goes on"
    yield f"run {run}: {'cancelled, ' if facts.cancel else ''}{ended}"
    yield f"held by {facts.holder or 'nobody'}, epoch {facts.epoch}, plan {facts.plan_epoch}"
    if facts.revoked:
        yield f"revoked: {', '.join(sorted(facts.revoked))}"
    for slot, tried in facts.effects.items():
        intent = tried.intent
        yield f"  {slot}: {SAYS[tried.standing]}"
        yield f"    {intent.op} on {intent.target}, {intent.effect}, attempt {intent.attempt}"
    for slot, (seq, seen) in facts.reads.items():
        yield f"  {slot}: read {seen.resource} at version {seen.version} (record {seq})"
    for slot in facts.decisions:
        yield f"  {slot}: decided"


@effects.command()
@click.argument("run")
@LOG_FOLDER
def export(run: str, folder: Path) -> None:
    """Print the records of RUN as JSON lines, each verified, with its hash."""
    with opened(folder) as (store, _):
        for entry, row in entries(store, of(store, run)):
            line = {
                "seq": entry.seq,
                "kind": type(entry.record).__name__.lower(),
                "epoch": entry.epoch,
                "actor": entry.actor,
                "wall_ms": entry.wall_ms,
                "body": plain(entry.record),
                "hash": row.hash.hex(),
            }
            click.echo(json.dumps(line, sort_keys=True))


@effects.command("explain")
@click.argument("run")
@LOG_FOLDER
@AS_JSON
def explain_(run: str, folder: Path, as_json: bool) -> None:
    """Say of RUN what is already true, who may still act, and what is safe to do next."""
    with opened(folder) as (store, heads):
        facts = recover(store, heads, of(store, run)).facts
    if as_json:
        click.echo(json.dumps(document(run, facts, wall_ms()), indent=1))
        return
    for text in explain(run, facts, wall_ms()):
        click.echo(text)


@effects.command()
@click.argument("run")
@click.argument("slot")
@LOG_FOLDER
@click.option("--applied", "verdict", flag_value="applied", help="It was done.")
@click.option("--absent", "verdict", flag_value="absent", help="It was not done.")
@click.option("--by", required=True, help="Who says so.")
@click.option("--evidence", required=True, help="By what it is known: a ticket, a mail, a ledger.")
def resolve(run: str, slot: str, folder: Path, verdict: str | None, by: str, evidence: str) -> None:
    """Say of RUN whether the effect in SLOT was done, so that it can go on.

    It is believed for good: look at the world before.  Whoever holds the run takes it over anew.
    """
    if verdict is None:
        msg = "say --applied or --absent"
        raise click.UsageError(msg)
    with opened(folder) as (store, _):
        of(store, run)
    try:
        with effect_log(folder, f"human:{by}") as log:
            asyncio.run(_resolved(log, run, slot, Verdict(verdict), evidence))
    except EffectLogError as error:
        click.echo(f"bakeoff: {error}", err=True)
        sys.exit(DAMAGED)
    click.echo(f"{run}: {slot} is {verdict}, says {by}; go on with `bakeoff runs resume {run}`")


async def _resolved(log: EffectLog, run: str, slot: str, verdict: Verdict, evidence: str) -> None:
    found = log.open(run)
    tried = found.facts.effects.get(slot)
    if tried is None or slot not in found.facts.unresolved:
        known = ", ".join(found.facts.unresolved) or "none"
        msg = f"{slot!r} of {run} is not in doubt; in doubt: {known}"
        raise click.UsageError(msg)
    left_s = (tried.intent.deadline_ms - wall_ms()) / 1000
    if verdict is Verdict.ABSENT and left_s > 0:
        msg = f"the call of {slot!r} may still arrive for {left_s:.0f} s; look and say so then"
        raise click.UsageError(msg)
    await found.append(
        Lease(epoch=found.facts.epoch + 1, holder=log.actor, claim=log.mint()),
        Resolution(
            slot=slot,
            effect_id=tried.intent.effect_id,
            verdict=verdict,
            method=evidence,
            by=log.actor,
            authoritative=True,
        ),
    )


@effects.command()
@click.argument("run", required=False)
@LOG_FOLDER
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Only runs whose last record is so many days old.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
def compact(run: str | None, folder: Path, days: float, *, dry_run: bool) -> None:
    """Keep one record of each run that has ended, or of RUN: all that is known of it.

    Whoever asks for a step of it again is answered as before; how it came to be is gone, with the
    records that `export` prints.  A run that goes on is left as it is.
    """
    if (lock := folder.parent / "gateway.lock").exists() and not dry_run:
        try:
            with FileLock(lock, blocking=False):
                pass
        except Timeout as error:
            msg = f"a gateway writes this log; end it first, or say --dry-run ({lock})"
            raise click.ClickException(msg) from error
    latest_ms = wall_ms() - int(days * DAY_MS)
    with opened(folder) as (store, heads):
        chosen = [of(store, run)] if run else store.runs()
        ended = {each: _ended(store, heads, each, latest_ms) for each in chosen}
    if run and not ended[run]:
        msg = f"{run} goes on, has been compacted, or was written to within {days:g} days"
        raise click.UsageError(msg)
    due = {each: records for each, records in ended.items() if records}
    try:
        if due and not dry_run:
            with effect_log(folder, f"compact:{wall_ms()}") as log:
                for each in due:
                    asyncio.run(log.open(each).compact())
    except EffectLogError as error:
        click.echo(f"bakeoff: {error}", err=True)
        sys.exit(DAMAGED)
    for each, records in due.items():
        click.echo(f"{each}: {records} records {'would be' if dry_run else 'are'} one")
    click.echo(f"{len(due)} of {len(chosen)} runs {'would be ' * dry_run}compacted")


def _ended(store: Store, heads: Heads, run: str, latest_ms: int) -> int:
    """Return how many records there are of a run that ended before a moment; 0 where it is none."""
    facts = recover(store, heads, run).facts
    kept = [entry for entry, _ in entries(store, run)]
    due = facts.terminal is not None and kept[-1].wall_ms <= latest_ms
    return len(kept) if due and len(kept) > 1 else 0
