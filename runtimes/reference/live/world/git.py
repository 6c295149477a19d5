"""A branch of a bare repository: its value is the subjects of its commits, the oldest first.

To set it is to push a commit on what was read.  With a lease (tier V) the server compares; without
one (tier O) it is forced, as agents do who are told that their push was rejected.  The reflog of
the repository says how often the branch was moved.
"""

from __future__ import annotations

import asyncio
import os

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.effects import Json, Tier
from harness.process import Site
from harness.scenario import Added
from harness.world.cell import Call
from harness.world.live import Acted, ProviderError
from runtimes.reference.live.git import Forge, forge
from runtimes.reference.live.world.calls import asked, order, reply, unknown
from runtimes.reference.upstreams.git import Git
from runtimes.support.command import run


NOON = "2026-01-01T12:00:00Z"
"""The same change on the same base is the same commit, whenever it is made."""
SOMEBODY = {
    f"GIT_{role}_{name}": value
    for role in ("AUTHOR", "COMMITTER")
    for name, value in (("NAME", "ann"), ("EMAIL", "ann@example.test"), ("DATE", NOON))
}


@dataclass(slots=True)
class Branch:
    """The branch of one run."""

    name: str
    remote: Remote
    tier: Tier
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def ref(self) -> str:
        """Return its full name."""
        return f"refs/heads/{self.name}"

    async def act(self, call: Call) -> Acted:
        """Read the branch, or commit on what was read and push that."""
        async with self.lock:
            if call.op == "read":
                with asked():
                    seen = await self.remote.agent.call(order(call, "git.read", self.ref))
                return Acted(reply(seen, [*await self.remote.subjects(seen.after)]))
            if call.op != "set":
                raise unknown(call)
            before = self._moves()
            said = await self._pushed(call)
            return Acted(said, self._moves() - before)

    async def look(self, path: str) -> tuple[Json, str]:
        """Return the subjects of the branch in the bare repository, and its commit."""
        del path
        tip = await self.remote.git("rev-parse", self.ref, at=self.remote.made.repository)
        return [*await self.remote.subjects(tip)], tip

    async def strange(self, path: str, value: Json | Added) -> None:
        """Push another commit, as a colleague who has fetched before."""
        if not isinstance(value, Added):
            msg = f"a colleague adds to {path}, and forces nothing: {value!r}"
            raise ProviderError(msg)
        async with self.lock:
            _, tip = await self.look(path)
            await self._push(await self.remote.commit(tip, str(value.item)))

    async def fence(self, run: str, epoch: int) -> None:
        """Leave it: no repository knows epochs."""

    async def _pushed(self, call: Call) -> dict[str, Json]:
        wanted = order(call, "git.push", self.ref)
        base, value = wanted.expect, call.args["value"]
        if not base or not isinstance(value, list) or not value:
            msg = "a push rests on what was read, and adds one commit; nothing was done"
            raise ProviderError(msg)
        if [*await self.remote.subjects(base)] != value[:-1]:
            msg = f"{base[:12]} is not what the value begins with; nothing was done"
            raise ProviderError(msg)
        commit = await self.remote.commit(base, str(value[-1]))
        if self.tier is not Tier.V:
            await self._push(commit, "--force")
            return {"status": "ok", "value": None, "etag": commit}
        to: dict[str, Json] = {"commit": commit}
        with asked():
            answer = await self.remote.agent.call(order(call, "git.push", self.ref, to))
        return reply(answer)

    async def _push(self, commit: str, *options: str) -> None:
        repository = str(self.remote.made.repository)
        await self.remote.git("push", "--quiet", *options, repository, f"{commit}:{self.ref}")

    def _moves(self) -> int:
        """Return how often the server has moved the branch."""
        log = self.remote.made.repository / "logs" / self.ref
        return len(log.read_text().splitlines()) if log.is_file() else 0


@dataclass(frozen=True, slots=True)
class Remote:
    """A bare repository behind its server, and a clone in which commits are made."""

    made: Forge
    clone: Path
    agent: Git

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Branch:
        """Make a branch with its first commits."""
        (value,) = values.values()
        branch, tip = Branch(run, self, tier), ""
        for subject in value if isinstance(value, list) else []:
            tip = await self.commit(tip, str(subject))
        await branch._push(tip)  # noqa: SLF001 - it is made here
        return branch

    async def commit(self, base: str, subject: str) -> str:
        """Return a new commit on a base, in the clone; without one it is the first."""
        blob = await self.git("hash-object", "-w", "--stdin", given=subject)
        tree = await self.git("mktree", given=f"100644 blob {blob}\tchange\n")
        on = ["-p", base] if base else []
        return await self.git("commit-tree", tree, *on, "-m", subject)

    async def subjects(self, commit: str) -> list[str]:
        """Return the subjects of a commit and of those before it, the oldest first."""
        said = await self.git("log", "--reverse", "--format=%s", commit, at=self.made.repository)
        return said.splitlines()

    async def git(self, *words: str, at: Path | None = None, given: str = "") -> str:
        """Run git as somebody with a shell, and return what it printed.

        Raises:
            ProviderError: it failed.

        """
        process = await asyncio.create_subprocess_exec(
            "git",
            *words,
            cwd=at or self.clone,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self.clone.parent),
                "GIT_CONFIG_NOSYSTEM": "1",
                **SOMEBODY,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(given.encode())
        if process.returncode:
            msg = f"git {words[0]}: {err.decode(errors='replace').strip()}"
            raise ProviderError(msg)
        return out.decode().strip()


@contextmanager
def start(site: Site) -> Iterator[Remote]:
    """Start a git server whose repository keeps a reflog.

    Raises:
        RuntimeUnavailableError: there is no git on this machine.
        ProcessError: it was not ready in time.

    """
    with forge(site, name="live-git") as made:
        config = made.repository / "config"
        config.write_text(f"{config.read_text()}[core]\n\tlogAllRefUpdates = always\n")
        clone = site.state_dir("live-git-clone")
        run(site, "live-git-clone-init", ["git", "init", "--quiet", str(clone)])
        folder = site.state_dir("live-git-agent")
        url, credential = made.url(), made.credential
        yield Remote(made, clone, Git(url, source=clone, folder=folder, credential=credential))


START = start
