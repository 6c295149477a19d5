"""The ``bakeoff`` command."""

from __future__ import annotations

import sys
import traceback

from collections.abc import Mapping
from functools import cached_property

import click

from harness.deadline import DeadlineError
from harness.engines import EngineError
from harness.faults import FaultError
from harness.load import LoadError, load, names
from harness.process import ProcessError
from harness.program import ProgramError
from harness.runtime import RuntimeUnavailableError
from harness.scenario import ScenarioError
from harness.schedule import ScheduleError
from harness.store import StoreError


USAGE, CRASH, INTERRUPTED = 64, 70, 130
OWN = {
    "analyze": "harness.cli.judge:analyze",
    "compare": "harness.cli.compare:compare_command",
    "compat": "harness.cli.compat:compat",
    "diagnose": "harness.cli.diagnose:diagnose",
    "doctor": "harness.cli.look:doctor",
    "engines": "harness.cli.engines:engines",
    "import": "harness.cli.compat:import_",
    "list": "harness.cli.look:list_",
    "load": "harness.cli.load:load_command",
    "replay": "harness.cli.replay:replay",
    "report": "harness.cli.judge:report",
    "repro": "harness.cli.judge:repro",
    "run": "harness.cli.run:run",
}


class Commands(click.Group):
    """Its commands are imported when they are asked for: each needs other libraries."""

    @cached_property
    def places(self) -> Mapping[str, str]:
        """Return where each command is: ours, and those of entry points."""
        return {**OWN, **names("commands")}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        del ctx
        return sorted(self.places)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command; ``None`` where there is none."""
        del ctx
        found: click.Command | None = load(self.places[name], "") if name in self.places else None
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bakeoff")
def cli() -> None:
    """Tell whether an agent's work stays true when things die.

    bakeoff runs one portable program on every durable runtime, kills real processes at
    every point, and compares what the runtime believes with what the world shows.

    \b
      bakeoff run                     the standard suite on every runtime that is here
      bakeoff run --runtime temporal  one runtime, beside the controls
      bakeoff replay 'cut_over/after_effect#1:kill(worker)' --runtime dbos
      bakeoff engines install         fetch or build the real servers

    Exit codes: 0 as predicted; 1 the model was contradicted; 2 too much unknown, or fewer
    trials than planned; 64 usage; 70 a crash of bakeoff itself; 130 Ctrl-C.
    """


def main() -> None:
    """Run the command and leave with its exit code; errors are one message, no traceback."""
    try:
        # Without standalone mode click returns the code of an Exit, it does not raise it.
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except (LoadError, ScenarioError, ScheduleError, FaultError, ProgramError) as error:
        click.echo(f"bakeoff: {error}", err=True)
        sys.exit(USAGE)
    except RuntimeUnavailableError as error:
        click.echo(f"bakeoff: not measured: {error}", err=True)
        sys.exit(CRASH)
    except (StoreError, ProcessError, EngineError, DeadlineError) as error:
        click.echo(f"bakeoff: {error}", err=True)
        sys.exit(CRASH)
    except Exception:  # noqa: BLE001 - a crash must never look like exit 1, a contradicted model
        traceback.print_exc()
        sys.exit(CRASH)
