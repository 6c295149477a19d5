"""The account that a support server runs as: never root, which some of them refuse."""

from __future__ import annotations

import os
import pwd
import shutil
import stat

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.runtime import RuntimeUnavailableError


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine; without a ``name`` it is the one that we are."""

    name: str = ""

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return ``command`` as this user runs it; the pid stays the command's own."""
        if not self.name:
            return list(command)
        change = ["setpriv", f"--reuid={self.name}", f"--regid={self._group()}", "--clear-groups"]
        return [*change, "--", *command]

    def own(self, path: Path) -> None:
        """Make a folder or file this user's own, closed to others.

        Raises:
            RuntimeUnavailableError: it is in a folder that this user may not enter.

        """
        path.chmod(0o700)
        if not self.name:
            return
        shutil.chown(path, self.name, self._group())
        user = pwd.getpwnam(self.name).pw_uid
        for folder in reversed(path.resolve().parents):
            entry = folder.stat()
            if entry.st_uid != user and not entry.st_mode & stat.S_IXOTH:
                msg = f"the user {self.name} may not enter {folder}; "
                msg += f"run: chmod o+x {folder}; or set TMPDIR to another folder"
                raise RuntimeUnavailableError(msg)

    def _group(self) -> int:
        return pwd.getpwnam(self.name).pw_gid


def account(*names: str) -> Account:
    """Return ourselves, or for root the first of ``names`` that this machine has.

    Raises:
        RuntimeUnavailableError: we are root and cannot become any of them.

    """
    if os.getuid():
        return Account()
    if shutil.which("setpriv") is None:
        msg = "setpriv is not on this machine; run: apt-get install util-linux"
        raise RuntimeUnavailableError(msg)
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in (*names, "nobody"):
        if name in known:
            return Account(name)
    msg = f"this machine has no user {names[0]} and no nobody; run: useradd --system {names[0]}"
    raise RuntimeUnavailableError(msg)
