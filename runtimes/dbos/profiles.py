"""What is declared of DBOS: capabilities, witnesses, and the settings that govern recovery.

There are the vendor's settings, and those that make it quick; ``step`` and ``config`` go to
DBOS as they are.
"""

from collections.abc import Mapping

from harness.effects import Json
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Support, Witness


APPLICATION = "bakeoff"
QUEUE = "runs"

CAPABILITIES: Mapping[str, Support] = {
    **dict.fromkeys(("step", "decide", "sleep", "invoke", "wait_for"), Support.NATIVE),
    **dict.fromkeys(("gather", "cancel"), Support.NATIVE),
    **dict.fromkeys(("sleep_until", "emit", "now", "draw"), Support.EMULATED),
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
DEFAULT: Mapping[str, Json] = {
    "settle_s": 60.0,
    "hang_timer_s": None,
    "database": "sqlite, one file for each pool",
    "journal_mode": "delete",
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
# WAL because a sweep otherwise waits for the disk, 2 to 3 times as long.
FAST: Mapping[str, Json] = {
    **DEFAULT,
    "settle_s": 75.0,
    "hang_timer_s": 45.0,
    "journal_mode": "wal",
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
PROFILES = {"default": DEFAULT, "fast": FAST}
