"""The load generator: Locust, in a process of its own.

Importing ``locust`` patches the whole process (gevent), so nobody but the child imports it.
"""

from __future__ import annotations

import json
import sys

from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.process import Address, WorkerSpec
from harness.runtime import RuntimeUnavailableError
from harness.traffic.demand import Demand, Mode


LOCUSTFILE = Path(__file__).with_name("locustfile.py")
VARIABLE = "BAKEOFF_DEMAND"


@dataclass(frozen=True, slots=True)
class Locust:
    """Locust, headless, for one phase."""

    name: str = "locust"

    def version(self) -> str:
        """Return its version.

        Raises:
            RuntimeUnavailableError: it is not installed.

        """
        try:
            return version("locust")
        except PackageNotFoundError as error:
            msg = "the load generator is not installed here; run: pip install 'bakeoff[load]'"
            raise RuntimeUnavailableError(msg) from error

    def spec(self, port: Address, demand: Demand) -> WorkerSpec:
        """Return how to start it; the phase's timetable is the user's, not Locust's."""
        users = str(demand.in_flight if demand.mode is Mode.CLOSED else 1)
        argv = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless"]
        argv += ["--users", users, "--spawn-rate", users, "--host", f"http://{port}"]
        argv += ["--only-summary", "--exit-code-on-error", "0"]
        return WorkerSpec(argv=argv, env={VARIABLE: json.dumps(asdict(demand))}, ready=False)


DRIVER = Locust()
