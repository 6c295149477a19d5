"""Binaries that we made: each put in place in one move, all vouched for by a receipt.

An installation can be cut off at any moment by Ctrl-C, a full disk or a second installer.  What
is being made is therefore made in a `.part` folder beside the final one, under a lock that dies
with its holder, and the finished binaries are moved onto their paths; one without a receipt that
matches it is never used.  The `.part` folder stays after a failure: what it holds saves the next
attempt a download.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import time

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import platformdirs

from filelock import FileLock, Timeout

from harness.engines.child import EngineError
from harness.engines.engine import DamagedError, Engine, Found, Progress, host_platform


RECEIPT = "receipt.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What one file was when it was put into the cache."""

    sha256: str
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file."""
        stat = path.stat()
        return cls(sha256=_sha256(path), size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def damage(self, path: Path, *, full: bool) -> str | None:
        """Return what is wrong with the file that is there now, or None."""
        if not path.is_file():
            return f"no {path.name}"
        stat = path.stat()
        if self.size_bytes != stat.st_size:
            return f"{stat.st_size} bytes in {path.name} where there were {self.size_bytes}"
        if not os.access(path, os.X_OK):
            return f"a file {path.name} that may not be executed"
        # A cache that was copied or restored has other times: then only the bytes can tell.
        if (full or self.mtime_ns != stat.st_mtime_ns) and (seen := _sha256(path)) != self.sha256:
            return f"sha256 {seen} of {path.name} where it was {self.sha256}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was put into the cache; ``made_s`` is how long the making took, in seconds.

    ``files`` has the executable and its companions, by name.
    """

    name: str
    version: str
    platform: str
    files: Mapping[str, Stamp]
    recipe: str
    made_at: str
    made_s: float

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what was written."""
        files = {name: Stamp(**stamp) for name, stamp in data["files"].items()}
        return cls(**{**data, "files": files})


def root() -> Path:
    """Return the cache folder: ``BAKEOFF_CACHE``, or where this user's caches are."""
    chosen = os.environ.get("BAKEOFF_CACHE")
    return Path(chosen).absolute() if chosen else platformdirs.user_cache_path("bakeoff")


def cached(engine: Engine, *, full: bool = False) -> Found | None:
    """Return what is in the cache; ``full`` reads all of it instead of sizes and times.

    Raises:
        DamagedError: something is there which is not what was put there.

    """
    path = _folder(engine) / engine.executable
    if not path.is_file():
        return None
    damage = _damage(engine, path.parent, full=full)
    if damage:
        raise DamagedError(
            expected=f"{path} as it was installed",
            seen=damage,
            do=f"run `bakeoff engines install {engine.name}`",
        )
    return Found(engine=engine, source="cache", path=path, version=engine.version)


def install(engine: Engine, say: Progress) -> Found:
    """Return the engine's binaries in the cache, making them unless they are there and intact.

    Raises:
        EngineError: it cannot be made here, or the making failed; nothing is left on the path.

    """
    try:
        # Asked before the lock too: a cache that is complete may be on a read-only disk.
        found = _intact(engine, say)
        if found is not None:
            return found
        with exclusive(_folder(engine), say) as work:
            found = _intact(engine, say) or _make(engine, work, say)
            shutil.rmtree(work)
            return found
    except OSError as error:
        raise _refused(error) from error


def remove(engine: Engine) -> list[Path]:
    """Delete the engine's binaries of every version from the cache; return their folders.

    Raises:
        EngineError: it is being installed just now, or a file cannot be deleted.

    """
    try:
        folder = _folder(engine)
        if not folder.parent.is_dir():
            return []
        with exclusive(folder, None) as work:
            shutil.rmtree(work)
            versions = folder.parent.glob(f"{engine.name}-*/{RECEIPT}")
            receipts = {path.parent: _read(path) for path in versions}
            mine = {path for path, note in receipts.items() if note and note.name == engine.name}
            gone = sorted(mine | ({folder} if folder.exists() else set()))
            for path in gone:
                shutil.rmtree(path)
            return gone
    except OSError as error:
        raise _refused(error) from error


@contextmanager
def exclusive(folder: Path, say: Progress | None) -> Iterator[Path]:
    """Hold the right to make ``folder``, and yield the work folder beside it.

    With nobody to tell, it does not wait for another holder.

    Raises:
        EngineError: another holder is at work, and there is nobody to tell about the waiting.

    """
    work = folder.with_name(f"{folder.name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        if say is None:
            raise EngineError(
                expected=f"{folder} to be at rest",
                seen="an installer at work on it",
                do="wait until it has ended, then run the same command again",
            ) from error
        say.note(f"another installer is at work on {folder.name}: waiting for it")
        lock.acquire()
    try:
        work.mkdir(exist_ok=True)
        yield work
    finally:
        lock.release()


def _intact(engine: Engine, say: Progress) -> Found | None:
    """Return the binary that is there, read in full; say so where it is damaged."""
    try:
        return cached(engine, full=True)
    except DamagedError as error:
        say.note(f"making it again: {error}")
        return None


def _make(engine: Engine, work: Path, say: Progress) -> Found:
    """Make the binaries, try the first, and move them with their receipt into place."""
    obstacle = engine.recipe.obstacle()
    if obstacle:
        raise EngineError(
            expected=f"this machine to be able to make {engine.name} {engine.version}",
            seen=obstacle,
            do=f"or set {engine.env_binary} to a binary that you have",
        )
    began_s = time.monotonic()
    made = engine.recipe.make(work, say)
    for binary in made:
        binary.chmod(0o755)
    version = engine.version_of(made[0])
    if version != engine.version:
        raise EngineError(
            expected=f"a {engine.name} that says it is {engine.version}",
            seen=version,
            do="correct the pinned version or the recipe",
        )
    receipt = _receipt(engine, made, time.monotonic() - began_s)
    written = work / RECEIPT
    written.write_text(json.dumps(dataclasses.asdict(receipt), indent=2) + "\n")
    final = _folder(engine)
    final.mkdir(exist_ok=True)
    for binary, name in zip(made, receipt.files, strict=True):
        os.replace(binary, final / name)
    os.replace(written, final / RECEIPT)
    path = final / engine.executable
    return Found(engine=engine, source="cache", path=path, version=version)


def _receipt(engine: Engine, made: Sequence[Path], made_s: float) -> Receipt:
    names = (engine.executable, *engine.companions)
    return Receipt(
        name=engine.name,
        version=engine.version,
        platform=host_platform(),
        files={name: Stamp.of(path) for name, path in zip(names, made, strict=True)},
        recipe=str(engine.recipe),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        made_s=round(made_s, 1),
    )


def _damage(engine: Engine, folder: Path, *, full: bool) -> str | None:
    """Return what is wrong with the binaries in a folder of the cache, or None."""
    receipt = _read(folder / RECEIPT)
    if receipt is None:
        return f"no readable {RECEIPT} beside it"
    if receipt.version != engine.version or receipt.platform != host_platform():
        return f"one made as version {receipt.version} for {receipt.platform}"
    if set(receipt.files) != {engine.executable, *engine.companions}:
        return f"one made of {', '.join(receipt.files)}"
    damages = (stamp.damage(folder / name, full=full) for name, stamp in receipt.files.items())
    return next(filter(None, damages), None)


def _read(path: Path) -> Receipt | None:
    """Return a receipt, or None where there is none that can be read."""
    try:
        return Receipt.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(engine: Engine) -> Path:
    return root() / "engines" / f"{engine.name}-{engine.version}"


def _refused(error: OSError) -> EngineError:
    """Return what the file system's refusal means for the user."""
    place = root()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        near = next(path for path in (place, *place.parents) if path.exists())
        seen = f"a full disk ({shutil.disk_usage(near).free // 1_000_000} MB free)"
        do = "free some space, or set BAKEOFF_CACHE to a folder on another disk, and run again"
    else:
        seen = f"{error}"
        do = "set BAKEOFF_CACHE to a folder that you may write"
    return EngineError(expected=f"to write below {place}", seen=seen, do=do)
