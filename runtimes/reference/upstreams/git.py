"""Git: a push that rests on the commit that the ref had, which the server compares.

A version is the commit of a ref.  The agent says which commit of its own repository goes where.
That repository is not trusted: its settings could run commands, or lead a push elsewhere; so the
commit is fetched into a repository of ours and pushed from there.
"""

from __future__ import annotations

import asyncio
import re

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    LostError,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential, sealed
from runtimes.reference.upstreams.git_command import GitError, Runner
from runtimes.reference.upstreams.refusal import ABSENT, Refusal, ahead, changed, conflict, refused


LOOK_S, FETCH_S, PUSH_S = 10.0, 20.0, 30.0
DEADLINE_S = 70
REF = re.compile(r"refs/(heads|tags)(/(?!\.)(?:(?!\.\.)[A-Za-z0-9._-])+(?<!\.)(?<!\.lock))+")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
EFFECTS = {"git.read": Effect.READ, "git.push": Effect.HYBRID}
LINE = re.compile(r"^(?P<flag>[ +*=!-])\t(?P<refs>[^\t]+)\t(?P<said>.*)$", re.MULTILINE)
CHANGED = (
    "stale info",
    "fetch first",
    "non-fast-forward",
    "already exists",
    "lock ref",
    "update ref",
)
"""What a rejection says when the ref is not, or no longer, what was expected."""


class Git:
    """The refs of a remote repository; a target is the full name of one."""

    def __init__(
        self, remote: str, *, source: Path, folder: Path, credential: Credential | None = None
    ) -> None:
        """Push to ``remote`` what ``source`` has, by way of ``folder``, which is ours.

        Raises:
            ValueError: the URL has a password, which would stand in messages.

        """
        if urlsplit(remote).password is not None:
            msg = f"the URL of {urlsplit(remote).hostname} has a password; give it apart"
            raise ValueError(msg)
        self._remote, self._source, self._credential = remote, source, credential
        self._runner = Runner(folder, source, credential)
        self._scheme = urlsplit(remote).scheme or "file"
        self._made = asyncio.Lock()

    def credentials(self) -> Sequence[Credential]:
        """Return what it pushes with, if it needs anything."""
        return (self._credential,) if self._credential else ()

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised: compare-and-swap."""
        if op not in EFFECTS or not REF.fullmatch(target):
            msg = f"no {op!r} on {target!r}; there are {sorted(EFFECTS)} on refs/heads/, refs/tags/"
            raise UnknownOperationError(msg)
        tier = Tier.V if EFFECTS[op].writes else Tier.Q
        return Contract(effect=EFFECTS[op], tier=tier, deadline_s=DEADLINE_S)

    async def call(self, order: Order) -> Answer:
        """Read a ref, or push to it; it is never forced but from the commit that is expected."""
        self.contract(order.op, order.target)
        commit = order.args.get("commit")
        reads = not EFFECTS[order.op].writes
        if set(order.args) != (set() if reads else {"commit"}) or not (
            reads or (isinstance(commit, str) and COMMIT.fullmatch(commit))
        ):
            detail = f"{order.op} takes {'nothing' if reads else 'a whole commit'}"
            return refused(Refusal.REFUSED, detail)
        with sealed():
            async with ahead(LOOK_S):
                no = await changed(self, order.premises)
                before = await self._commit(order.target)
            if no or (order.expect and before != order.expect):
                return no or conflict(order.target, before)
            if reads:
                return _answer(order, before, before)
            missing = await self._fetched(str(commit))
            if missing:
                return refused(Refusal.REFUSED, missing)
            return await self._pushed(order, str(commit), before)

    async def query(self, order: Order) -> Answer | None:
        """Refuse: a repository does not say who pushed; its refs tell."""
        msg = f"{order.op} cannot be asked for; look at {order.target}"
        raise UnknownOperationError(msg)

    async def look(self, resource: str) -> Seen:
        """Return the commit of a ref."""
        self.contract("git.read", resource)
        with sealed():
            commit = await self._commit(resource)
        value = None if commit == ABSENT else commit
        return Seen(resource=resource, version=commit, value_hash=digest(value), value=value)

    def desired(self, order: Order) -> str:
        """Return the hash of the commit that is pushed."""
        commit = order.args.get("commit")
        return digest(commit) if order.op == "git.push" and commit else ""

    async def fence(self, run: str, epoch: int) -> bool:  # noqa: ARG002 - the protocol's
        """Return that no epoch is known here."""
        return False

    async def _commit(self, ref: str) -> str:
        """Ask for the commit of a ref.

        Raises:
            UnreachableError: the remote does not answer, or will not tell.

        """
        try:
            said = await self._runner.run(
                ["ls-remote", "--quiet", self._remote, ref], LOOK_S, self._scheme, admitted=True
            )
        except GitError as error:
            msg = f"{self._remote}: {error}; nothing was done"
            raise UnreachableError(msg) from None
        # It shows every ref that ends so.
        lines = [line.split("\t", 1) for line in said.out.splitlines()]
        found = {name: commit for commit, name in lines}
        return found.get(ref, ABSENT)

    async def _fetched(self, commit: str) -> str:
        """Have a commit in our own repository; return why not, if so."""
        try:
            async with self._made:
                await self._runner.prepare()
            options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
            await self._runner.run(["fetch", *options, str(self._source), commit], FETCH_S, "file")
        except GitError as error:
            return f"commit {commit[:12]} cannot be had: {error}"
        return ""

    async def _pushed(self, order: Order, commit: str, before: str) -> Answer:
        expected = "" if order.expect == ABSENT else order.expect
        lease = [f"--force-with-lease={order.target}:{expected}"] if order.expect else []
        options = ["--porcelain", "--no-verify", "--no-signed", "--recurse-submodules=no", *lease]
        try:
            said = await self._runner.run(
                ["push", *options, self._remote, f"{commit}:{order.target}"],
                PUSH_S,
                self._scheme,
                admitted=True,
                fails=True,
            )
        except GitError as error:
            msg = f"no answer to the push of {commit[:12]}: {error}"
            raise LostError(msg) from None
        line = LINE.search(said.out)
        if line is None or "remote failure" in line["said"]:
            msg = f"no answer to the push of {commit[:12]}: {said.last}"
            raise LostError(msg)
        if line["flag"] in " +*" or (line["flag"] == "=" and before == commit):
            return _answer(order, before, commit)
        return await self._rejected(order, commit, line["said"])

    async def _rejected(self, order: Order, commit: str, why: str) -> Answer:
        """Return what a rejection means.

        Raises:
            LostError: the ref is as desired: an answer was lost on the way, and curl tried again.

        """
        now = await self._commit(order.target)
        if now == commit:
            msg = f"{order.target} was rejected ({why}) and is at {commit[:12]}"
            raise LostError(msg)
        if any(word in why for word in CHANGED):
            return conflict(order.target, now, why)
        return refused(Refusal.REFUSED, why)


def _answer(order: Order, before: str, after: str) -> Answer:
    response: Json = {"commit": None if after == ABSENT else after}
    return Answer(
        outcome=Outcome.OK,
        response=response,
        resource=order.target,
        before=before,
        after=after,
        ref=after,
    )
