"""Real providers behind the world: what they do, and that what is seen of it is theirs."""

from __future__ import annotations

import subprocess

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from support.upstreams import place

from harness.effects import Effect, Json, Tier
from harness.loop import Loop
from harness.runtime import RuntimeUnavailableError
from harness.scenario import Added
from harness.world.cell import FENCED, MOVED_ON, Call
from harness.world.live import Acted, Part, ProviderError, Real
from runtimes.reference.live.world import dns, git, mail, sql


pytestmark = pytest.mark.engine
Ask = Callable[..., Any]
MINE, THEIRS = "mine", "theirs"


@contextmanager
def part(
    module: Any, values: Mapping[str, Json], tier: Tier = Tier.V
) -> Iterator[tuple[Real, Part, Ask]]:
    """Lend a run's part of a server that is started for it; skip where it is not here."""
    with ExitStack() as stack:
        loop = stack.enter_context(Loop())
        try:
            real = stack.enter_context(module.START(stack.enter_context(place())))
        except RuntimeUnavailableError as error:
            pytest.skip(str(error))
        made = loop.run(real.part("t1-r0000", values, tier))

        def act(op: str, path: str, **more: Any) -> Acted:
            kept = {name: more.pop(name) for name in ("key", "premises", "epoch") if name in more}
            call = Call(
                run="t1-r0000",
                step=op,
                op=op,
                effect=Effect.HYBRID,
                args={"path": path, **more},
                **kept,
            )
            return loop.run(made.act(call))

        act.run = loop.run  # type: ignore[attr-defined]
        yield real, made, act


def test_tables() -> None:
    """A statement is noted by the server; a key is there exactly if its statement is."""
    first = {"db/old": ["ada", 1815], "db/new": [], "db/shop": "closed"}
    with part(sql, first) as (real, made, act):
        run = act.run  # type: ignore[attr-defined]
        seen = act("read", "db/old")
        assert (["ada", 1815], 0) == (seen.reply["value"], seen.times)
        assert 1 == act("copy", "db/old", to="db/new").times
        assert 1 == act("set", "db/shop", value="open", key="k1").times
        assert 0 == act("set", "db/shop", value="open", key="k1").times
        assert "rejected" == act("set", "db/shop", value="shut", key="k1").reply["status"]
        assert 1 == act("clear", "db/old").times
        assert 1 == act("clear", "db/old").times, "without a key it is done again, and noted"
        assert ["ada", 1815] == run(made.look("db/new"))[0]
        assert [[], "open"] == [run(made.look(f"db/{name}"))[0] for name in ("old", "shop")]
        run(made.fence("t1-r0000", 2))
        late = act("clear", "db/new", epoch=1)
        assert (FENCED, 0) == (late.reply["value"], late.times)
        # What the agent's user says of itself is not believed: it cannot write the journal.
        with pytest.raises(Exception, match="permission denied"):
            real.made.server.sql(  # type: ignore[attr-defined]
                'set role gateway; delete from "t1-r0000".journal',
                real.made.name,  # type: ignore[attr-defined]
            )
        with pytest.raises(ProviderError, match="no append on 'db/old'"):
            act("append", "db/old", value=1)
        with pytest.raises(ProviderError, match="nobody else writes"):
            run(made.strange("db/old", []))


def test_a_name() -> None:
    """The server compares what is expected; an update that changes nothing is none."""
    with part(dns, {"dns/shop": "192.0.2.1"}) as (_, made, act):
        run = act.run  # type: ignore[attr-defined]
        seen = act("read", "dns/shop")
        premise = [{"path": "dns/shop", "etag": seen.reply["etag"]}]
        assert ("192.0.2.1", seen.reply["etag"]) == run(made.look("dns/shop"))
        assert 1 == act("set", "dns/shop", value="192.0.2.2", premises=premise).times
        again = act("set", "dns/shop", value="192.0.2.2", premises=premise)
        assert (MOVED_ON, 0) == (again.reply["value"], again.times)
        same = act("set", "dns/shop", value="192.0.2.2")
        assert ("ok", 0) == (same.reply["status"], same.times)
        run(made.strange("dns/shop", "192.0.2.99"))
        assert "192.0.2.99" == run(made.look("dns/shop"))[0]
        run(made.fence("t1-r0000", 2))
        with pytest.raises(ProviderError, match="no append"):
            act("append", "dns/shop", value="192.0.2.3")


def test_a_mailbox() -> None:
    """Each message that the server has kept is one, whoever knows of it."""
    with part(mail, {"mail/ann": []}) as (_, made, act):
        run = act.run  # type: ignore[attr-defined]
        assert 1 == act("append", "mail/ann", value="hello", key="k1").times
        assert 1 == act("append", "mail/ann", value="hello", key="k1").times, "no key is honoured"
        assert (["hello", "hello"], "") == run(made.look("mail/ann"))
        run(made.fence("t1-r0000", 2))
        with pytest.raises(ProviderError, match="no read"):
            act("read", "mail/ann")
        with pytest.raises(ProviderError, match="nobody else writes"):
            run(made.strange("mail/ann", "spam"))


@pytest.mark.parametrize("tier", [Tier.V, Tier.O])
def test_a_branch(tier: Tier) -> None:
    """With a lease a colleague's commit stays; forced it is gone, and the reflog has both moves."""
    with part(git, {"git/main": ["first"]}, tier) as (real, made, act):
        run = act.run  # type: ignore[attr-defined]
        seen = act("read", "git/main")
        premise = [{"path": "git/main", "etag": seen.reply["etag"]}]
        run(made.strange("git/main", Added(THEIRS)))

        pushed = act("set", "git/main", value=["first", MINE], premises=premise)

        kept = tier is Tier.V
        assert ("rejected" if kept else "ok") == pushed.reply["status"]
        assert (0 if kept else 1) == pushed.times
        assert (["first", THEIRS] if kept else ["first", MINE]) == run(made.look("git/main"))[0]
        repository = real.made.repository  # type: ignore[attr-defined]
        moves = subprocess.run(
            ["git", "reflog", "show", "--format=%H", "refs/heads/t1-r0000"],
            cwd=repository,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        assert (2 if kept else 3) == len(moves)
        with pytest.raises(ProviderError, match="rests on what was read"):
            act("set", "git/main", value=["first", MINE])
        with pytest.raises(ProviderError, match="is not what the value begins with"):
            act("set", "git/main", value=["other", MINE], premises=premise)
        with pytest.raises(ProviderError, match="no clear"):
            act("clear", "git/main")
        with pytest.raises(ProviderError, match="forces nothing"):
            run(made.strange("git/main", ["other"]))
        run(made.fence("t1-r0000", 2))


def test_a_branch_that_is_ours() -> None:
    """What was pushed is the same commit when it is made anew: to push it again moves nothing."""
    with part(git, {"git/main": ["first"]}) as (_, made, act):
        run = act.run  # type: ignore[attr-defined]
        seen = act("read", "git/main")
        premise = [{"path": "git/main", "etag": seen.reply["etag"]}]
        pushed = act("set", "git/main", value=["first", MINE], premises=premise)

        assert 1 == pushed.times
        assert pushed.reply["etag"] == run(made.look("git/main"))[1]
        again = act("set", "git/main", value=["first", MINE], premises=premise)
        assert (MOVED_ON, 0) == (again.reply["value"], again.times)
        assert ["first", MINE] == act("read", "git/main").reply["value"]
