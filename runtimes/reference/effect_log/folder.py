"""The embedded default: a folder with a SQLite file, and the heads beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from runtimes.reference.effect_log.anchor import FileAnchor, Heads, ReadAnchor, heads
from runtimes.reference.effect_log.errors import DamagedError
from runtimes.reference.effect_log.log import EffectLog
from runtimes.reference.effect_log.sqlite import SqliteStore
from runtimes.reference.effect_log.store import Store


LOG, HEADS = "effects.sqlite", "heads"


@contextmanager
def reading(folder: Path) -> Iterator[tuple[Store, Heads]]:
    """Lend the log of a folder to who only reads, whoever writes it meanwhile.

    Raises:
        DamagedError: there is none, it cannot be read, or its heads are gone.
        VersionError: another version wrote it.

    """
    for name in (LOG, HEADS):
        if not (folder / name).exists():
            msg = f"{folder} has no {name}"
            raise DamagedError(msg)
    with closing(SqliteStore(folder / LOG, only_read=True)) as store:
        yield store, ReadAnchor(heads(folder / HEADS))


@contextmanager
def effect_log(folder: Path, actor: str) -> Iterator[EffectLog]:
    """Lend the log of a folder to its one writer; it is made where there is none.

    Raises:
        DamagedError: the log cannot be read, or its heads are gone.
        VersionError: another version wrote it.
        NotWrittenError: it cannot be made.

    """
    folder.mkdir(parents=True, exist_ok=True)
    with closing(SqliteStore(folder / LOG)) as store:
        if store.runs() and not (folder / HEADS).exists():
            msg = f"{folder / HEADS} is gone, so that nobody can tell whether the log is whole"
            raise DamagedError(msg)
        with closing(EffectLog(store, FileAnchor(folder / HEADS), actor)) as log:
            yield log
