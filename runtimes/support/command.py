"""Commands that run to their end, as children of the site: set-up tools of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.process import ProcessError, Site, WorkerSpec


TAIL_CHARACTERS = 2_000


def run(
    site: Site,
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 60.0,
) -> str:
    """Run a command for at most ``timeout_s`` seconds and return all that it printed.

    Raises:
        ProcessError: it could not be started, did not end, or failed; with its last words.

    """
    process = site.runner.start(name, WorkerSpec(argv=argv, env=env or {}, cwd=cwd, ready=False))
    ended = process.wait(timeout_s)
    process.kill()  # closes its log, where it has ended
    said = process.log.read_text(errors="replace")
    if ended is None or ended.status:
        what = f"failed with wait status {ended.status}" if ended else f"took over {timeout_s:g} s"
        tail = said[-TAIL_CHARACTERS:].strip() or "(empty)"
        msg = f"{name} ({argv[0]}) {what}; {process.log} ends:\n{tail}"
        raise ProcessError(msg)
    return said
