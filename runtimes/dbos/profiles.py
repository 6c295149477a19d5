"""What is declared of DBOS: capabilities, witnesses, and the settings that govern recovery.

There are the vendor's settings, those that make it quick, and those for work that matters;
``step`` and ``config`` go to DBOS as they are.
"""

import sys

from collections.abc import Mapping

from harness.effects import Json
from harness.policy import PRIMITIVES
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Support, Witness
from runtimes.dbos.starts import APPLICATION


EMULATIONS = (
    *("emit", "triggers", "cancel_on", "cancel_previous", "singleton_cancel", "rate_limit"),
    *("dedupe", "batch", "start_timeout", "on_failure"),
)
CAPABILITIES: Mapping[str, Support] = {
    **dict.fromkeys(("decide", *PRIMITIVES), Support.NATIVE),
    **dict.fromkeys(EMULATIONS, Support.EMULATED),
}
WITNESS: Mapping[str, Witness] = {
    **dict.fromkeys(("before_effect", "after_effect"), Witness.WORLD),
    **dict.fromkeys((AFTER_ACK, FINALIZE), Witness.WORKER),
    "waiting": Witness.JOURNAL,
}

CONFIG: Mapping[str, Json] = {
    "name": APPLICATION,
    "application_version": APPLICATION,
    "log_level": "WARNING",
}
# A run waits in the database for workers to come: no absence uses anything up, and each time that
# a worker begins it counts.
DEFAULT: Mapping[str, Json] = {
    "budget_s": None,
    "worker_name": "executor_id",
    "worker_name_governs": "recovery: whoever starts under it takes over what it left",
    "settle_s": 60.0,
    "hang_timer_s": None,
    "queue_poll_s": 1.0,
    "result_poll_s": 1.0,
    "max_recovery_attempts": 100,
    "step": {
        "retries_allowed": True,
        "max_attempts": 3,
        "interval_seconds": 1.0,
        "backoff_rate": 2.0,
        "timeout_seconds": None,
    },
    "config": {
        **CONFIG,
        "max_executor_threads": None,
        "notification_listener_polling_interval_sec": 1.0,
    },
}
# The step timer must outlast the time in which a whole batch gets held, twice where there are
# two faults, or steps are called again with no fault; settling must outlast the timer.
FAST: Mapping[str, Json] = {
    **DEFAULT,
    "settle_s": 75.0,
    "hang_timer_s": 45.0,
    "queue_poll_s": 0.05,
    "result_poll_s": 0.05,
    "step": {
        "retries_allowed": True,
        "max_attempts": 10,
        "interval_seconds": 0.1,
        "backoff_rate": 2.0,
        "timeout_seconds": 45.0,
    },
    "config": {
        **CONFIG,
        "max_executor_threads": 16,
        "notification_listener_polling_interval_sec": 0.05,
    },
}
# The vendor's, but for a step timer that no slow step meets, so that one that hangs is noticed,
# and attempts enough to outlast an outage of the world of some eight minutes.
SAFE: Mapping[str, Json] = {
    **DEFAULT,
    "settle_s": 150.0,
    "hang_timer_s": 120.0,
    "step": {
        "retries_allowed": True,
        "max_attempts": 10,
        "interval_seconds": 1.0,
        "backoff_rate": 2.0,
        "timeout_seconds": 120.0,
    },
}
GOVERNS: Mapping[str, Json] = {
    "dead_worker": "executors",
    "unreachable": "executors",
    "attempts": "max_recovery_attempts",
    "hang": "hang_timer_s",
}
PROFILES = {"default": DEFAULT, "fast": FAST, "safe": SAFE}

CLOCK_S = 0.001 if sys.version_info >= (3, 12) else 1.0
"""By what steps it counts time on SQLite: `_now_ms_sql` of DBOS 3.4.0, by version of Python."""
# SQLite's WAL because a sweep otherwise waits for the disk, 2 to 3 times as long.  DBOS leaves
# `synchronous` at SQLite's own "full", whatever the journal.
SQLITE: Mapping[str, Mapping[str, Json]] = {
    name: {
        "database": "sqlite, a file for each pool",
        "journal_mode": "wal" if name == "fast" else "delete",
        "governs": {**GOVERNS, "store": "journal_mode"},
        "executors": "one id for all workers of a pool; a new one takes over when it starts",
        "clock_s": CLOCK_S,
    }
    for name in PROFILES
}
POSTGRES: Mapping[str, Mapping[str, Json]] = {
    name: {
        "database": "postgresql, a database for each pool",
        "durable": name != "fast",
        "governs": {**GOVERNS, "store": "durable"},
        "executors": "an id for each worker; runs of former ones are resumed for a new one",
    }
    for name in PROFILES
}
