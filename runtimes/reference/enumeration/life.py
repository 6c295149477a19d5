"""One process from its start to its end, driven by hand from stop to stop."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Coroutine, Iterator
from functools import cache, lru_cache
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.errors import FencedError
from runtimes.reference.effect_log.facts import Facts
from runtimes.reference.effect_log.log import EffectLog, Receipt, RunLog
from runtimes.reference.effect_log.reading import Recovered, decoded, recover
from runtimes.reference.effect_log.records import Record, Resolution, Verdict
from runtimes.reference.enumeration.agent import SessionOps, give_up, work
from runtimes.reference.enumeration.disk import Disk, Heads, Store
from runtimes.reference.enumeration.state import State
from runtimes.reference.enumeration.world import stop
from runtimes.reference.resume.errors import EscalatedError
from runtimes.reference.resume.recovery import take_over


Result = TypeVar("Result")
RUN = "r"
MANY = 1000
"""No life that ends has so many stops."""


class StoppingLog(RunLog):
    """The run's log, with a stop before each write."""

    state: State
    torn: list[int]

    async def append(self, *records: Record) -> Receipt:
        """Write, after a stop; note what a power cut could have left of several."""
        await stop(_writes(*map(type, records)))
        before = len(self.state.disk.rows)
        receipt = await super().append(*records)
        self.state.records += records
        self.state.world.rows = len(self.state.disk.rows)
        self.torn += range(before + 1, before + len(records))
        return receipt


@cache
def _writes(*kinds: type[Record]) -> str:
    return f"append {'+'.join(kind.__name__.lower() for kind in kinds)}"


def key_of(effect_id: str) -> str:
    """Return the key of an effect: any function of its id will do."""
    return f"key-{effect_id}"


ENTRIES = lru_cache(maxsize=4096)(decoded)
"""Each row is decoded once, however many logs begin with it."""


@lru_cache(maxsize=1024)
def recovered(rows: tuple[Row, ...]) -> Recovered:
    """Return what the log knows of the run, by the shipped reading of these very rows.

    Deaths leave logs that begin alike: each of their beginnings is read once, and read on from.
    """
    disk = Disk([*rows], len(rows))
    since = recovered(rows[:-1]) if len(rows) > 1 else None
    return recover(Store(disk), Heads(disk), RUN, ENTRIES, since)


def opened(state: State, holder: str, torn: list[int], name: str = "") -> StoppingLog:
    """Return the log of the run, read and verified; ``name`` tells lives of one holder apart."""
    # Names are new, and the same whenever this life is played again from this state.
    time, names = state.world.time, count(1)
    prefix = f"{name or holder}.{len(state.disk.rows)}."
    log = EffectLog(
        Store(state.disk),
        Heads(state.disk),
        holder,
        time.now_ms,
        time.mono_ns,
        lambda: f"{prefix}{next(names)}",
    )
    found = recovered(tuple(state.disk.rows))
    run = StoppingLog(log, RUN, found.facts.copy(), found.head)
    run.state, run.torn = state, torn
    log._latest = run  # noqa: SLF001 - it is the only one, so that no event loop is needed
    return run


def driven(coroutine: Coroutine[str, None, Result]) -> Result:
    """Drive what nobody stops to its end."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


class Life:
    """A process over a state; ``step`` drives it to its next stop."""

    def __init__(self, state: State, holder: str, name: str = "") -> None:
        """Be born; nothing has happened yet.  ``name`` tells lives of one holder apart."""
        self.state, self.holder, self.name = state, holder, name
        self.error: Exception | None = None
        self.over = False
        self.stops = 0
        self.facts = Facts()
        self.torn: list[int] = []
        self.ops: SessionOps | None = None
        self._log: EffectLog | None = None
        self._coroutine = self._live()

    async def _live(self) -> None:
        run = opened(self.state, self.holder, self.torn, self.name)
        self.facts, self._log = run.facts, run.log
        state, time = self.state, self.state.world.time
        session = await take_over(run, state.world, time, self.holder, key_of, state.program)
        if state.given_up:
            await give_up(session)
            return
        self.ops = SessionOps(session, state.given, state.program)
        await work(self.ops, {"text": state.text})

    def step(self) -> str | None:
        """Go on to the next stop and return its label; ``None`` at the end.

        What went wrong in a life is for the oracles: it is kept, not raised.
        """
        if self.over:
            return None
        self.stops += 1
        try:
            if self.stops > MANY:
                self._coroutine.throw(TimeoutError(f"it goes on after {MANY} stops"))
            return self._coroutine.send(None)  # type: ignore[no-any-return]
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001 - a mutant may raise anything
            self.error = error
        self.over = True
        return None

    def reach(self, stop: int) -> str | None:
        """Go on to a stop, counted from 0, and return its label; ``None`` if it ends before."""
        label: str | None = None
        for _ in range(stop + 1):
            label = self.step()
        return label

    def finish(self) -> Life:
        """Go on to the end."""
        while self.step() is not None:
            pass
        return self

    def close(self) -> None:
        """Die where it stands."""
        self.over = True
        self._coroutine.close()
        if self._log:
            self._log.close()

    def __enter__(self) -> Self:
        """Lend a life that ends with the block, wherever it stands."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Die, if it lives."""
        self.close()

    @property
    def fenced(self) -> bool:
        """Say whether it ended because another one holds the run."""
        return isinstance(self.error, FencedError)


class _Idle(asyncio.AbstractEventLoop):
    """What an event needs of a loop, where nothing runs but what is driven by hand."""

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future that nobody but its owner looks at."""
        return asyncio.Future(loop=self)

    def get_debug(self) -> bool:
        """Watch nothing."""
        return False


IDLE = _Idle()  # type: ignore[abstract]


class Twin:
    """The last request of a living agent, asked once more from the same process."""

    def __init__(self, life: Life) -> None:
        """Be about to ask."""
        self.life = life
        ops = life.ops
        assert ops is not None  # noqa: S101 - only who has asked can ask again
        assert ops.asked is not None  # noqa: S101 - the same
        self._coroutine = ops.ask(ops.asked)

    def go(self) -> None:
        """Go on until it waits for the first one, or has its answer."""
        if self.life.error:
            return
        asyncio._set_running_loop(IDLE)  # noqa: SLF001 - this is what drives
        try:
            while isinstance(self._coroutine.send(None), str):
                pass
        except (StopIteration, EscalatedError):
            pass
        except Exception as error:  # noqa: BLE001 - a mutant may raise anything
            self.life.error = error
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - the same

    def __enter__(self) -> Self:
        """Lend it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, wherever it stands."""
        self._coroutine.close()


def say(state: State) -> None:
    """Have a human say of each effect of which nobody else can tell whether it was carried out."""
    run = opened(state, "a human", [])
    done = {line.slot for line in state.world.ledger}
    for slot in run.facts.unresolved:
        resolution = Resolution(
            slot=slot,
            effect_id=run.facts.effects[slot].intent.effect_id,
            verdict=Verdict.APPLIED if slot in done else Verdict.ABSENT,
            method="a human has looked",
            by="a human",
            authoritative=True,
        )
        driven(run.append(resolution))


Snapshot = tuple[str, State]
Change = Callable[[State], None]


def deaths(state: State, holder: str, name: str = "", *, power: bool) -> Iterator[Snapshot | Life]:
    """Yield the state that a death at each stop of a life leaves, and then the life's own end.

    With ``power``, what was not synced goes too: each of its prefixes is a state.
    """
    with Life(state, holder, name) as life:
        while (label := life.step()) is not None:
            if power:
                for kept in life.torn:
                    yield f"torn before {label}", state.cut(kept)
                life.torn.clear()
                for kept in range(state.disk.synced, len(state.disk.rows)):
                    yield f"power at {label}", state.cut(kept)
            yield label, state.copy()
        yield life
