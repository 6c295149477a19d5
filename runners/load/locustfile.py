"""What the Locust process does: ask the harness for runs, by places or by a timetable."""

from __future__ import annotations

import http.client
import json
import os
import time

from typing import Any
from urllib.parse import urlsplit

import gevent

from gevent.event import AsyncResult
from gevent.pool import Group
from locust import User, constant, events, task
from locust.env import Environment
from locust.exception import StopUser


DEMAND: dict[str, Any] = json.loads(os.environ["BAKEOFF_DEMAND"])
BEGAN_NS: AsyncResult[int] = AsyncResult()
"""When the phase began; there once all places are taken."""
DONE: list[User] = []


def post(environment: Environment, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the harness, and wait for its answer as long as it takes."""
    port = urlsplit(environment.host)
    connection = http.client.HTTPConnection(str(port.hostname), port.port)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())  # type: ignore[no-any-return]
    finally:
        connection.close()


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's hooks are untyped
def prepare(environment: Environment, **_: object) -> None:
    """Tell the harness when all places are taken: then the phase begins."""

    @environment.events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
    def begin(**_: object) -> None:
        BEGAN_NS.set(post(environment, "/begin", {})["began_ns"])


def order(environment: Environment, intended_ns: int) -> None:
    """Ask for one run; its latency counts from when it was intended to start."""
    failure: Exception | None = None
    answer: dict[str, Any] = {}
    try:
        answer = post(environment, "/order", {"intended_ns": intended_ns})
    except (OSError, http.client.HTTPException, ValueError) as error:
        failure = error
    if not failure and not answer["done"]:
        failure = TimeoutError("the harness gave the run up")
    first_ns = answer.get("first_effect_ns") or time.monotonic_ns()
    environment.events.request.fire(  # type: ignore[no-untyped-call]
        request_type="run",
        name=f"{DEMAND['mode']} {DEMAND['in_flight']}",
        response_time=(first_ns - intended_ns) / 1e6,
        response_length=0,
        exception=failure,
        context={},
    )


class Customer(User):
    """One place of a closed phase, or the whole timetable of an open one."""

    wait_time = constant(0)

    @task
    def take_part(self) -> None:
        """Ask for runs until the time is up; the last customer ends the process."""
        began_ns = BEGAN_NS.get()
        until_ns = began_ns + int(DEMAND["duration_s"] * 1e9)
        if DEMAND["mode"] == "closed":
            while (now_ns := time.monotonic_ns()) < until_ns:
                order(self.environment, now_ns)
        else:
            self.keep_to_the_timetable(began_ns)
        DONE.append(self)
        runner = self.environment.runner
        if runner and len(DONE) == runner.target_user_count:
            gevent.spawn(runner.quit)
        raise StopUser

    def keep_to_the_timetable(self, began_ns: int) -> None:
        """Ask at the intended moments, whatever became of the runs before."""
        asked = Group()
        for number in range(int(DEMAND["rate"] * DEMAND["duration_s"])):
            intended_ns = began_ns + int(number / DEMAND["rate"] * 1e9)
            gevent.sleep(max(0.0, (intended_ns - time.monotonic_ns()) / 1e9))
            asked.spawn(order, self.environment, intended_ns)
        asked.join()
