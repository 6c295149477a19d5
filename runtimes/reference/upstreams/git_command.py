"""The git binary, with no settings but ours, and a credential that only a pipe has."""

from __future__ import annotations

import asyncio
import os
import signal

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runtimes.reference.upstreams.credential import Credential


STALL_S = 10
SETTINGS = (
    "credential.helper=",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1",
    f"http.lowSpeedTime={STALL_S}",
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
)


class GitError(Exception):
    """A command failed; the message is the last line of what it said."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, without the credential."""

    out: str
    err: str

    @property
    def last(self) -> str:
        """Return the last line of its errors."""
        return (self.err.strip().splitlines() or ["it said nothing"])[-1]


class Runner:
    """Runs git in a bare repository of ours; ``source`` is the only other one that it may read."""

    def __init__(self, folder: Path, source: Path, credential: Credential | None) -> None:
        """Prepare; nothing is on disk yet."""
        self._folder, self._source, self._credential = folder, source, credential

    async def prepare(self) -> None:
        """Make our repository, where there is none.

        Raises:
            GitError: it cannot be made.

        """
        if not (self._folder / "HEAD").is_file():
            await self.run(["init", "--quiet", "--bare", "--template=", "."], STALL_S, "file")

    async def run(
        self,
        words: Sequence[str],
        timeout_s: float,
        protocol: str,
        *,
        admitted: bool = False,
        fails: bool = False,
    ) -> Said:
        """Run a command to its end; ``admitted`` lends it the credential.

        With ``fails``, a command that failed is not an error but says so.

        Raises:
            GitError: it failed, or took too long and was killed.

        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lent(admitted=admitted) as (options, pipes):
            settings = [word for setting in SETTINGS for word in ("-c", setting)]
            process = await asyncio.create_subprocess_exec(
                "git",
                *settings,
                *options,
                *words,
                cwd=self._folder,
                env=self._environment(protocol),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=pipes,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate()
        except TimeoutError:
            msg = f"git {words[0]} took over {timeout_s:g} s"
            raise GitError(msg) from None
        finally:
            # Its helpers are of its group, and may outlive it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        said = Said(self._hidden(out), self._hidden(err))
        if process.returncode and not fails:
            raise GitError(said.last)
        return said

    def _environment(self, protocol: str) -> dict[str, str]:
        settings = self._folder / "settings"
        settings.write_text(f'[safe]\n\tdirectory = "{self._source}"\n')
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "LC_ALL": "C",
            "GIT_CEILING_DIRECTORIES": str(self._folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(settings),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": protocol,
        }

    @contextmanager
    def _lent(self, *, admitted: bool) -> Iterator[tuple[list[str], tuple[int, ...]]]:
        """Lend the credential through a pipe: it is in no argument, environment or file."""
        if not admitted or self._credential is None:
            yield [], ()
            return
        read, write = os.pipe()
        try:
            with os.fdopen(write, "wb") as pipe:
                lines = f"username={self._credential.name}\npassword={self._credential.secret}\n"
                pipe.write(lines.encode())
            # By its path: not every shell can redirect from a number of two digits.
            helper = f'credential.helper=!f() {{ test "$1" != get || cat /dev/fd/{read}; }}; f'
            yield ["-c", helper], (read,)
        finally:
            os.close(read)

    def _hidden(self, said: bytes) -> str:
        text = said.decode(errors="replace")
        return self._credential.hide(text) if self._credential else text
