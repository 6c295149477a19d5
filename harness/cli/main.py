"""The ``bakeoff`` command."""

from __future__ import annotations

import sys
import traceback

from importlib.metadata import entry_points

import click

from harness.cli.compare import compare_command
from harness.cli.compat import compat, import_
from harness.cli.diagnose import diagnose
from harness.cli.engines import engines
from harness.cli.judge import analyze, report, repro
from harness.cli.load import load_command
from harness.cli.look import doctor, list_
from harness.cli.replay import replay
from harness.cli.run import run
from harness.deadline import DeadlineError
from harness.engines import EngineError
from harness.faults import FaultError
from harness.load import LoadError
from harness.process import ProcessError
from harness.program import ProgramError
from harness.runtime import RuntimeUnavailableError
from harness.scenario import ScenarioError
from harness.schedule import ScheduleError
from harness.store import StoreError


USAGE, CRASH, INTERRUPTED = 64, 70, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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


for command in (
    run,
    replay,
    repro,
    analyze,
    report,
    compare_command,
    list_,
    doctor,
    engines,
    compat,
    import_,
    diagnose,
    load_command,
):
    cli.add_command(command)
for point in sorted(entry_points(group="bakeoff.commands"), key=lambda point: point.name):
    cli.add_command(point.load())


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
