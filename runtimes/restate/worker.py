"""The worker process: ``python -m runtimes.restate.worker POOL SETTINGS`` serves one pool."""

from __future__ import annotations

import asyncio
import json

from typing import Any

import restate

from harness.effects import Json
from harness.policy import Policy
from harness.program import FailedError, ProgramError, play
from harness.runtime import Envelope
from harness.scenario import Program
from runtimes.restate.declared import exclusive, field
from runtimes.restate.ops import EMULATES, RestateOps
from runtimes.restate.runs import FLOWS, SCENARIO, SERVICES, STOPPED, Flow, in_turn
from runtimes.restate.serve import serve


if EMULATES:
    from runtimes.restate import emulated


def played(program: Program) -> Flow:
    """Return the flow that plays a portable program once its policy lets it."""
    asks = EMULATES and program.policy != Policy()
    limit = program.policy.concurrency if exclusive(program.policy) else None

    async def flow(context: restate.WorkflowContext, envelope: Envelope, arg: Any) -> Json:  # noqa: ANN401 - JSON
        if asks:
            await emulated.admitted(context, program, envelope, arg)
        if limit:
            await in_turn(context, f"{program.name} {json.dumps(field(arg, limit.key))}")
        try:
            return await play(program.body, arg, RestateOps(context, envelope, program.policy))
        except (FailedError, ProgramError, restate.TerminalError) as error:
            stopped = isinstance(error, restate.TerminalError) and error.status_code == STOPPED
            if program.policy.on_failure and not stopped:
                emulated.failed(context, envelope, program, str(error))
            if isinstance(error, restate.TerminalError):
                raise
            raise restate.TerminalError(str(error)) from error  # a retry would mend nothing

    return flow


if __name__ == "__main__":
    FLOWS.update((program.name, played(program)) for program in SCENARIO.programs)
    if EMULATES:
        asyncio.run(serve([*SERVICES, *emulated.SERVICES], **emulated.details()))
    else:
        asyncio.run(serve(SERVICES))
