"""The file of approvals: one JSON text, there whole or not at all, for its owner only."""

from __future__ import annotations

import json
import os
import stat

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from runtimes.reference.effect_log.canonical import canonical
from runtimes.reference.gateway.approval_state import All, Approval, State, Subject
from runtimes.reference.gateway.clock import Moment


VERSION = 1
OWNER = 0o600
OTHERS = 0o077


class ApprovalFileError(Exception):
    """The file cannot be believed: no approval in it counts; restore it, or remove it."""


class FileStore:
    """Approvals in a file; several processes may share it."""

    def __init__(self, path: Path) -> None:
        """Keep them at a path, in a folder that is there."""
        self._path = path
        self._lock = FileLock(f"{path}.lock", mode=OWNER)

    def lock(self) -> AbstractContextManager[object]:
        """Keep others out."""
        return self._lock

    def load(self) -> All:
        """Return what is kept; nothing, where there is no file.

        Raises:
            ApprovalFileError: others may have written it, or it is not as ``save`` wrote it.

        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return ()
        with os.fdopen(file, "rb") as opened:
            found = os.fstat(file)
            if stat.S_IMODE(found.st_mode) & OTHERS or found.st_uid != os.geteuid():
                msg = f"{self._path} is not its owner's alone; look at it, then chmod 600"
                raise ApprovalFileError(msg)
            content = opened.read()
        try:
            return _read(content)
        except (ValueError, TypeError, KeyError) as error:
            msg = f"{self._path} is damaged, or of another version; restore it, or remove it"
            raise ApprovalFileError(msg) from error

    def save(self, approvals: All) -> None:
        """Write all; once it returns they outlive the power.

        Raises:
            OSError: they may be kept or not, but never in part.

        """
        data = {"version": VERSION, "approvals": [asdict(each) for each in approvals]}
        fresh = self._path.with_name(f".{self._path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, OWNER), "wb") as opened:
            os.fchmod(opened.fileno(), OWNER)
            opened.write(canonical(json.loads(json.dumps(data))))
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(fresh, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(content: bytes) -> All:
    data = json.loads(content)
    if not isinstance(data, dict) or set(data) != {"version", "approvals"}:
        msg = "another object"
        raise ValueError(msg)
    if data["version"] != VERSION:
        msg = "another version"
        raise ValueError(msg)
    return tuple(_approval(each) for each in data["approvals"])


def _approval(data: dict[str, Any]) -> Approval:
    subject, since = Subject(**data["subject"]), Moment(**data["since"])
    return Approval(**{**data, "subject": subject, "since": since, "state": State(data["state"])})
