"""Git behind the gateway: a push rests on the commit that the ref had."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.upstreams import NOWHERE, deaf, holds, order, place

from harness.effects import Effect, Tier
from harness.process import Address
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.live.git import Forge, forge
from runtimes.reference.upstreams.base import (
    LostError,
    Order,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.git import Git
from runtimes.reference.upstreams.refusal import ABSENT


pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("git") is None, reason="no git: apt-get install git"),
]
MAIN = "refs/heads/main"


@dataclass
class Work:
    """The agent's repository: commits 1 and 2 in a row, and ``other``, which is beside 2."""

    folder: Path
    ours: Path
    first: str
    second: str
    other: str


@pytest.fixture(scope="module")
def server() -> Iterator[Forge]:
    """Lend a git server."""
    with place() as site, forge(site) as made:
        yield made


@pytest.fixture
def shop(server: Forge) -> Iterator[Forge]:
    """Lend it with an empty repository."""
    yield server
    for ref in git(server.repository, "for-each-ref", "--format=%(refname)").split():
        git(server.repository, "update-ref", "-d", ref)
    (server.repository / "hooks" / "pre-receive").unlink(missing_ok=True)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Lend the agent's repository."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")

    def commit(text: str) -> str:
        git(folder, "commit", "--quiet", "--allow-empty", "-m", text)
        return git(folder, "rev-parse", "HEAD")

    first, second = commit("one"), commit("two")
    git(folder, "reset", "--quiet", "--hard", first)
    return Work(folder, tmp_path / "ours", first, second, commit("other"))


def git(folder: Path, *words: str) -> str:
    """Run git and return what it printed."""
    author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.test"]
    done = subprocess.run(
        ["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def upstream(shop: Forge, work: Work, at: Address | None = None, **more: Any) -> Git:
    """Return the connector, straight to the server or by way of a link."""
    credential = more.pop("credential", shop.credential)
    return Git(shop.url(at), source=work.folder, folder=work.ours, credential=credential)


def push(commit: str, ref: str = MAIN, **more: Any) -> Order:
    """Return the order to push a commit."""
    return order("git.push", ref, {"commit": commit}, **more)


def test_what_is_promised(shop: Forge, work: Work) -> None:
    """Compare-and-swap, on whole names of branches and tags only."""
    one = upstream(shop, work)
    contract = one.contract("git.push", "refs/heads/feature/a.b-1")
    assert (Effect.HYBRID, Tier.V, False) == (contract.effect, contract.tier, contract.fenced)
    assert Effect.READ is one.contract("git.read", MAIN).effect
    wrong = ("main", "refs/heads/", "refs/heads/a..b", "refs/heads/a.lock", "refs/heads/.a")
    for ref in (*wrong, "refs/heads/*", "refs/heads/a:b", "+refs/heads/a", "refs/heads/a\n"):
        with pytest.raises(UnknownOperationError, match="there are"):
            one.contract("git.push", ref)
    with pytest.raises(UnknownOperationError, match="there are"):
        one.contract("git.delete", MAIN)


def test_a_push_rests_on_the_commit_that_was_seen(shop: Forge, work: Work) -> None:
    """It is made once; repeated, or from another, it conflicts and says what is there."""

    async def all_() -> None:
        one = upstream(shop, work)
        made = await one.call(push(work.first, expect=ABSENT))
        assert (Outcome.OK, ABSENT, work.first) == (made.outcome, made.before, made.after)
        again = await one.call(push(work.first, expect=ABSENT))
        assert (Outcome.CONFLICT, work.first) == (again.outcome, again.before)
        wanted = push(work.second, expect=work.first)
        assert Outcome.OK is (await one.call(wanted)).outcome
        seen = await one.look(MAIN)
        assert (work.second, work.second) == (seen.version, seen.value)
        assert one.desired(wanted) == seen.value_hash == digest(work.second)
        assert Outcome.CONFLICT is (await one.call(wanted)).outcome
        read = await one.call(order("git.read", MAIN))
        assert {"commit": work.second} == read.response
        assert ABSENT == (await one.look("refs/heads/none")).version

    asyncio.run(all_())


def test_nobody_elses_commit_is_lost(
    shop: Forge, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody pushes between look and push: a conflict, with an expectation and without."""

    def foreign(commit: str) -> None:
        git(work.folder, "push", "--quiet", "--force", str(shop.repository), f"{commit}:{MAIN}")

    async def all_() -> None:
        one = upstream(shop, work)
        pushed, meanwhile = one._pushed, work.other

        async def late(*words: Any) -> Any:
            foreign(meanwhile)
            return await pushed(*words)

        monkeypatch.setattr(one, "_pushed", late)
        for wanted in (push(work.second, expect=work.first), push(work.second)):
            foreign(work.first)
            no = await one.call(wanted)
            assert (Outcome.CONFLICT, work.other) == (no.outcome, no.before)
        meanwhile = work.second
        foreign(work.first)
        with pytest.raises(LostError, match="is at"):
            await one.call(push(work.second, expect=work.first))
        meanwhile = work.first
        foreign(work.first)
        assert Outcome.OK is (await one.call(push(work.second, expect=work.first))).outcome

    asyncio.run(all_())


def test_history_is_rewritten_only_from_what_was_seen(shop: Forge, work: Work) -> None:
    """A push beside the branch conflicts without an expectation, and passes with the right one."""

    async def all_() -> None:
        one = upstream(shop, work)
        await one.call(push(work.second))
        assert Outcome.CONFLICT is (await one.call(push(work.other))).outcome
        assert Outcome.CONFLICT is (await one.call(push(work.other, expect=work.first))).outcome
        assert Outcome.OK is (await one.call(push(work.other, expect=work.second))).outcome

    asyncio.run(all_())


def test_premises_are_looked_at(shop: Forge, work: Work) -> None:
    """Another ref that is not where it was is a conflict that names it."""

    async def all_() -> None:
        one = upstream(shop, work)
        tag = "refs/tags/v1"
        await one.call(push(work.first, tag))
        no = await one.call(push(work.first, premises={tag: work.second}))
        assert (Outcome.CONFLICT, tag) == (no.outcome, no.resource)
        assert Outcome.OK is (await one.call(push(work.first, premises={tag: work.first}))).outcome

    asyncio.run(all_())


def test_a_lost_push_is_told_by_the_ref(shop: Forge, work: Work) -> None:
    """The answer is lost: the look has the commit that was desired, and a repetition conflicts."""

    async def all_(at: Address) -> None:
        wanted = push(work.second, expect=work.first)
        with pytest.raises(LostError) as lost:
            await upstream(shop, work, at).call(wanted)
        assert not holds(shop.credential, lost.value)
        one = upstream(shop, work)
        assert one.desired(wanted) == (await one.look(MAIN)).value_hash
        assert Outcome.CONFLICT is (await one.call(wanted)).outcome
        with pytest.raises(UnknownOperationError, match="look at"):
            await one.query(wanted)

    with deaf(shop.address) as link:
        first = upstream(shop, work, link.address).call(push(work.first))
        assert Outcome.OK is asyncio.run(first).outcome
        link.losing(b"POST /shop.git/git-receive-pack")
        asyncio.run(all_(link.address))
        assert link.lost


def test_nobody_answers(shop: Forge, work: Work) -> None:
    """Nothing was done; nor is it for who has another password."""

    async def all_() -> None:
        one = upstream(shop, work, NOWHERE)
        for each in (lambda: one.call(push(work.first)), lambda: one.look(MAIN)):
            with pytest.raises(UnreachableError, match="nothing was done") as error:
                await each()
            assert not holds(shop.credential, error.value)
        wrong = Credential(name="gateway", secret="wrong" * 2)
        with pytest.raises(UnreachableError, match="nothing was done") as error:
            await upstream(shop, work, credential=wrong).call(push(work.first))
        assert not holds(wrong, error.value)
        assert not await upstream(shop, work).fence("r1", 2)
        assert ABSENT == (await upstream(shop, work).look(MAIN)).version

    asyncio.run(all_())


def test_what_the_server_declines_was_not_done(shop: Forge, work: Work) -> None:
    """By a hook, with its reason; what the agent does not have is refused too."""
    hook = shop.repository / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    async def all_() -> None:
        one = upstream(shop, work)
        no = await one.call(push(work.first))
        assert (Outcome.FAILED_BEFORE, "refused") == (no.outcome, no.response["refused"])
        assert "hook declined" in no.response["detail"]
        hook.unlink()
        for commit in ("1" * 40, "main", "--force"):
            no = await one.call(push(commit))
            assert (Outcome.FAILED_BEFORE, "refused") == (no.outcome, no.response["refused"])
        assert ABSENT == (await one.look(MAIN)).version
        assert Outcome.OK is (await one.call(push(work.first))).outcome

    asyncio.run(all_())


def test_the_agents_repository_cannot_lead_a_push_elsewhere(shop: Forge, work: Work) -> None:
    """Neither its settings nor its hooks count; and no file of ours has the password."""
    ran = work.folder / "ran"
    git(work.folder, "config", f"url.{work.folder}/.insteadOf", f"http://{shop.address}/")
    git(work.folder, "config", "uploadpack.packObjectsHook", f"touch {ran}; exec")
    hook = work.folder / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    answer = asyncio.run(upstream(shop, work).call(push(work.first)))
    assert Outcome.OK is answer.outcome
    assert work.first == git(shop.repository, "rev-parse", MAIN)
    assert not ran.exists()
    files = [path.read_bytes() for path in work.ours.rglob("*") if path.is_file()]
    assert not holds(shop.credential, answer, upstream(shop, work), shop, *files)
    with pytest.raises(ValueError, match="give it apart") as error:
        Git(f"http://ann:{work.first}@x.test/", source=work.folder, folder=work.ours)
    assert work.first not in str(error.value)


def test_the_password_is_in_no_argument_and_no_environment(
    shop: Forge, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of no git that runs, while the push is let in by it."""
    programs, seen = tmp_path / "programs", tmp_path / "seen"
    programs.mkdir()
    wrapper = programs / "git"
    real = shutil.which("git")
    wrapper.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} >>{seen}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert Outcome.OK is asyncio.run(upstream(shop, work).call(push(work.first))).outcome
    assert "ls-remote" in seen.read_text()
    assert "push" in seen.read_text()
    assert not holds(shop.credential, seen.read_text())
