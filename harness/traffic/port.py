"""The port at which a load generator asks for runs, and how they come to the runtime.

Every latency is taken from the world's own events, none from the generator.
"""

from __future__ import annotations

import asyncio
import queue
import time

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from harness.history import Event, History
from harness.loop import Loop
from harness.model import ideal
from harness.plan import arg_of
from harness.process import Address
from harness.runtime import Backend, Envelope, Start
from harness.scenario import Case
from harness.traffic.demand import Order
from harness.world import Cell, World


@dataclass(slots=True)
class Waiting:
    """An order whose work is not done: the steps that are left, and who waits for it."""

    order: Order
    left: set[str]
    done: asyncio.Future[None]


class Traffic:
    """The orders of one phase; a context manager owns the port and the thread that submits.

    One thread submits: what was asked for while it was busy goes to the runtime together.
    """

    def __init__(
        self, loop: Loop, world: World, backend: Backend, case: Case, pool: str, ident: str
    ) -> None:
        """Prepare; ``ident`` begins the ids of this phase's runs."""
        self._loop, self._world, self._backend = loop, world, backend
        self._case, self._pool, self._ident = case, pool, ident
        self.steps = frozenset(ideal(case, "r", arg_of(case, "r")).steps)
        self.orders: dict[str, Order] = {}
        self.began_ns = 0
        self.moved_s = time.monotonic()
        self.address = Address("127.0.0.1", 0)
        self._waiting: dict[str, Waiting] = {}
        self._history = History()
        self._asked: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._pool_of_one = ThreadPoolExecutor(1, thread_name_prefix=f"submit {ident}")

    def __enter__(self) -> Self:
        """Open the port and start the thread."""
        self._history.subscribe(self._see)
        self._loop.run(self._serve())
        self.submitting: Future[None] = self._pool_of_one.submit(self._submit)
        # Who waits for a run that will never be submitted must not wait for ever.
        self.submitting.add_done_callback(lambda _: self.give_up())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the thread, close the port, and shut the runs out of the world."""
        self._asked.put(None)
        self._pool_of_one.shutdown()
        self._loop.run(self._runner.cleanup())
        for run in self.orders:
            self._world.close(run)

    async def _serve(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/begin", self._begin), web.post("/order", self._order)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.address = Address("127.0.0.1", self._runner.addresses[0][1])

    async def _begin(self, request: web.Request) -> web.Response:
        del request
        self.began_ns = time.monotonic_ns()
        return web.json_response({"began_ns": self.began_ns})

    async def _order(self, request: web.Request) -> web.Response:
        waiting = self._ask(int((await request.json())["intended_ns"]))
        await waiting.done
        order = waiting.order
        return web.json_response(
            {
                "done": bool(order.done_ns),
                "first_effect_ns": order.first_effect_ns,
                "done_ns": order.done_ns,
            }
        )

    async def one(self) -> Order:
        """Ask for one run and return once its work is done; it warms the worker up."""
        waiting = self._ask(time.monotonic_ns())
        await waiting.done
        return waiting.order

    def _ask(self, intended_ns: int) -> Waiting:
        run = f"{self._ident}-r{len(self.orders):05d}"
        order = self.orders[run] = Order(run=run, intended_ns=intended_ns)
        case = self._case
        self._world.open(run, Cell.in_case(case), self._history)
        waiting = Waiting(order, set(self.steps), self._loop.asyncio.create_future())
        self._waiting[run] = waiting
        self._asked.put(order)
        return waiting

    def give_up(self) -> None:
        """Answer whoever still waits: what is not done now will not be waited for."""

        def free() -> None:
            for waiting in self._waiting.values():
                if not waiting.done.done():
                    waiting.done.set_result(None)

        self._loop.asyncio.call_soon_threadsafe(free)

    def _submit(self) -> None:
        while order := self._asked.get():
            together = [order]
            while not self._asked.empty():
                more = self._asked.get()
                if more is None:
                    return
                together.append(more)
            began_ns = time.monotonic_ns()
            self._backend.submit([self._start(one) for one in together])
            accepted_ns = time.monotonic_ns()
            for one in together:
                one.submitted_ns, one.accepted_ns = began_ns, accepted_ns

    def _start(self, order: Order) -> Start:
        scenario = self._case.scenario
        envelope = Envelope(
            trial=self._pool,
            pool=self._pool,
            cell=order.run,
            run=order.run,
            time_scale=scenario.time_scale,
        )
        return Start(
            envelope=envelope, program=scenario.main.name, arg=arg_of(self._case, order.run)
        )

    def _see(self, event: Event) -> None:
        self.moved_s = event.t_ns / 1e9
        order, waiting = self.orders.get(event.run), self._waiting.get(event.run)
        if order is None:
            return  # a child's: the run's own steps say when its work is done
        match event.kind:
            case "call":
                order.calls += 1
            case "apply" if not order.first_effect_ns:
                order.first_effect_ns = event.t_ns
            case "reply" if waiting:
                waiting.left.discard(event.data["step"])
                if not waiting.left:
                    order.done_ns = event.t_ns
                    del self._waiting[event.run]
                    if not waiting.done.done():
                        waiting.done.set_result(None)
