"""One runtime under load: started anew, warmed up, then phase after phase."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import time

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from harness.deadline import Deadline, DeadlineError, Patience, wait_until
from harness.loop import Loop
from harness.process import Process, ProcessError, Runner
from harness.runtime import Backend, Runtime
from harness.scenario import Case
from harness.site import LocalSite, Lot
from harness.traffic.demand import Demand, Driver, Mode, Order, Phase
from harness.traffic.port import Traffic
from harness.traffic.usage import between, memory, usage
from harness.world import World


READY_S = 60.0
SHARE = 0.7
"""What an open phase offers, of the throughput that the closed one before it had."""
SAMPLE_S = 0.25


class LoadError(Exception):
    """A runtime is here and could not be measured; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a measurement needs from outside."""

    loop: Loop
    world: World
    site: LocalSite
    driver: Driver


@dataclass(slots=True, kw_only=True)
class Rig:
    """A runtime that is up, with one worker; ``count`` numbers its phases."""

    place: Place
    runtime: Runtime
    backend: Backend
    runner: Runner
    case: Case
    round: int
    pool: str
    settle_s: float
    count: int = 0

    def traffic(self) -> Traffic:
        """Return the traffic of a new phase."""
        self.count += 1
        place = self.place
        ident = f"{self.pool}-{self.count:02d}"
        return Traffic(place.loop, place.world, self.backend, self.case, self.pool, ident)

    def warm(self) -> None:
        """Run one run to its end, so that no phase pays for first imports.

        Raises:
            LoadError: it did not end.

        """
        with self.traffic() as traffic:
            self.place.loop.run(_soon(traffic, READY_S))
            self._settle(traffic, list(traffic.orders.values()))
            (order,) = traffic.orders.values()
            if order.status != "completed":
                msg = f"{self.runtime.name}: the first run is {order.status}, not completed"
                raise LoadError(msg)

    def phase(self, demand: Demand) -> Phase:
        """Run one phase.

        Raises:
            LoadError: the load generator or the runtime could not do its part.

        """
        with self.traffic() as traffic, ExitStack() as stack:
            driver = self.runner.start(
                self.place.driver.name, self.place.driver.spec(traffic.address, demand)
            )
            stack.callback(driver.kill)
            wait_until(
                lambda: bool(traffic.began_ns) or not driver.alive(),
                Deadline.after(READY_S),
                "the load generator begins",
            )
            before, harness_s = usage(self.place.site.name), time.process_time()
            peak = self._drain(traffic, driver, demand)
            after, harness_s = usage(self.place.site.name), time.process_time() - harness_s
            ended_ns = time.monotonic_ns()
            orders = list(traffic.orders.values())
            self._settle(traffic, orders)
            return Phase(
                runtime=self.runtime.name,
                round=self.round,
                demand=demand,
                began_ns=traffic.began_ns,
                ended_ns=ended_ns,
                orders=orders,
                steps=len(traffic.steps),
                cpu_s=between(before, after),
                peak_bytes=peak,
                harness_cpu_s=harness_s,
                load=os.getloadavg(),
            )

    def _drain(self, traffic: Traffic, driver: Process, demand: Demand) -> dict[str, int]:
        """Wait until all that is asked for is done, as long as anything moves.

        Returns:
            The most memory that each kind of process had meanwhile, in bytes.

        """
        peak: dict[str, int] = {}

        def done() -> bool:
            for name, size in memory(usage(self.place.site.name)).items():
                peak[name] = max(size, peak.get(name, 0))
            return not driver.alive() or traffic.submitting.done()

        patience = Patience(demand.duration_s + self.settle_s, lambda: traffic.moved_s)
        with contextlib.suppress(DeadlineError):  # what is left is counted as incomplete
            wait_until(done, patience, "all that was asked for is done", poll_s=SAMPLE_S)
        traffic.give_up()
        if traffic.submitting.done():
            traffic.submitting.result()
        ended = driver.wait(READY_S)
        if not traffic.began_ns or ended is None or ended.status:
            tail = driver.log.read_bytes()[-2000:].decode(errors="replace").strip()
            msg = f"the load generator failed; {driver.log} ends:\n{tail or '(empty)'}"
            raise LoadError(msg)
        return peak

    def _settle(self, traffic: Traffic, orders: Sequence[Order]) -> None:
        """Ask the runtime how each run ended; what never ends is cancelled."""
        left = {order.run: order for order in orders}

        def ended() -> bool:
            for view in self.backend.inspect(self.pool, list(left)) if left else ():
                left[view.run].status = view.status
                if view.terminal:
                    del left[view.run]
            return not left

        with contextlib.suppress(DeadlineError):
            patience = Patience(self.settle_s, lambda: traffic.moved_s)
            wait_until(ended, patience, "every run has ended", poll_s=0.1)
        if left:
            self.backend.cancel(self.pool, list(left))


async def _soon(traffic: Traffic, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(traffic.one(), timeout_s)


def measure(
    place: Place,
    runtime: Runtime,
    runner: Runner,
    case: Case,
    profile: str,
    levels: Sequence[int],
    duration_s: float,
    round_: int,
) -> Iterator[Phase]:
    """Start a runtime with one worker, and yield a closed and an open phase for each level.

    Raises:
        RuntimeUnavailableError: it cannot run here.
        LoadError: it can, and could not be measured.
        ProcessError: a process of it died.

    """
    pool = f"l{secrets.token_hex(2)}"
    with ExitStack() as stack:
        lot = Lot(place.site, f"{runtime.name}-{round_}", runner)
        backend = stack.enter_context(runtime.start(lot, profile))
        for server in backend.servers:
            server.ready(Deadline.after(READY_S))
        spec = backend.worker(pool, case.ref)
        env = {**spec.env, "BAKEOFF_TIER": str(case.tier)}
        worker = runner.start("worker", dataclasses.replace(spec, env=env))
        stack.callback(worker.kill)
        backend.attach(pool, worker, worker.announced(Deadline.after(READY_S)))
        rig = Rig(
            place=place,
            runtime=runtime,
            backend=backend,
            runner=runner,
            case=case,
            round=round_,
            pool=pool,
            settle_s=float(str(runtime.settings(profile)["settle_s"])),
        )
        rig.warm()
        for level in levels:
            closed = rig.phase(Demand(mode=Mode.CLOSED, in_flight=level, duration_s=duration_s))
            yield closed
            if closed.per_s:
                rate = SHARE * closed.per_s
                demand = Demand(mode=Mode.OPEN, in_flight=level, duration_s=duration_s, rate=rate)
                yield rig.phase(demand)
        if not worker.alive():
            msg = f"{runtime.name}: its worker died under load; see {worker.log}"
            raise ProcessError(msg)
