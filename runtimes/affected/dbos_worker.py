"""A worker of DBOS whose executor id is its own, as a container's is; else the column's worker."""

from __future__ import annotations

import json
import os
import runpy


VARIABLE = "BAKEOFF_DBOS"


def own(settings: str, name: str) -> str:
    """Return the settings of a worker with another executor id."""
    found = json.loads(settings)
    found["config"]["executor_id"] = name
    return json.dumps(found)


if __name__ == "__main__":
    os.environ[VARIABLE] = own(os.environ[VARIABLE], os.environ["BAKEOFF_INCARNATION"])
    runpy.run_module("runtimes.dbos.worker", run_name="__main__")
