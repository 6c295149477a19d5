"""A worker of DBOS: all programs of the scenario as async workflows, in one process."""

from __future__ import annotations

import signal

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dbos import DBOS

from harness.effects import Json
from harness.program import play
from harness.runtime import Envelope
from harness.scenario import Program
from harness.worker import announce, worker_name
from runtimes.dbos.ops import FLOWS, SCENARIO, SETTINGS, DbosOps, Flow, ask, workflow
from runtimes.dbos.starts import TICK, emulates


def played(program: Program) -> Flow:
    """Return the flow that plays a portable program."""

    async def flow(envelope: Envelope, arg: Json) -> Json:
        return await play(program.body, arg, DbosOps(envelope, program.policy))

    return flow


def register(name: str, flow: Flow) -> None:
    """Make a workflow of what is to run under a program's name."""

    @workflow(name)
    async def run(envelope: dict[str, Json], arg: Json) -> Json:
        return await flow(Envelope.from_json(envelope), arg)

    FLOWS[name] = run


@workflow(TICK)
async def tick(due: datetime, what: Mapping[str, Any]) -> None:
    """Ask for the run of a moment of a schedule."""
    pool, moment_s = what["pool"], int(due.timestamp())
    envelope = Envelope(
        trial=pool,
        pool=pool,
        cell=pool,
        run=f"{pool}.{what['program']}.{moment_s}",
        time_scale=SCENARIO.time_scale,
    )
    await ask(SCENARIO.program(what["program"]), envelope, {"tick": moment_s})


def flows() -> dict[str, Flow]:
    """Return the programs of the scenario, with what DBOS lacks for their policies."""
    found = {program.name: played(program) for program in SCENARIO.programs}
    if emulates(SCENARIO):
        from runtimes.dbos import emulated  # noqa: PLC0415 - only where it is used

        emulated.install()
        for program in SCENARIO.programs:
            if handler := program.policy.on_failure:
                found[program.name] = emulated.watched(
                    found[program.name], SCENARIO.program(handler)
                )
    return found


def serve(programs: Mapping[str, Flow]) -> None:
    """Launch DBOS, which takes over the executor's runs, and serve until killed."""
    for name, flow in programs.items():
        register(name, flow)
    config = SETTINGS["config"]
    config["executor_id"] = executor = worker_name(config["executor_id"])
    DBOS(config=config)
    DBOS.launch()
    announce(executor=executor, worker=executor)
    signal.pause()


if __name__ == "__main__":
    serve(flows())
