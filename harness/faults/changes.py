"""Faults of a worker's successor: it runs another program, or by another clock."""

from __future__ import annotations

from pathlib import Path

from harness.faults.fault import (
    DIES,
    HELD,
    Fault,
    Happening,
    Means,
    Scene,
    UnconfirmedError,
    always,
    kill_worker,
)


VERSIONS = {
    "renamed": "a step has another name",
    "reordered": "two steps have changed places",
    "removed": "a step is gone",
}
REFUSALS = ("failed", "parked", "retrying")
"""How a runtime may leave a run whose program is not the one that began it."""
AHEAD_S = 3600.0
NAME = "libfaketime.so.1"
WALL_ONLY = dict.fromkeys(("DONT_FAKE_MONOTONIC", "FAKETIME_DONT_FAKE_MONOTONIC"), "1")
"""A machine whose wall clock is wrong has a monotonic one that is right: by it, waits end."""
FOLDERS = ("usr/lib", "usr/local/lib", "usr/lib64")


def _change(version: str, what: str) -> Fault:
    def succeed(scene: Scene) -> None:
        scene.succeed(version)

    def inject(scene: Scene) -> None:
        scene.report(scene.worker.kill(), scene.worker.incarnation, version=version)

    def obstacle(means: Means) -> str | None:
        return None if version in means.versions else f"the scenario has no version {version!r}"

    return Fault(
        name=f"change({version})",
        about=f"The worker dies, and its successor runs a program in which {what}.",
        inject=inject,
        heal=succeed,
        happenings=always(
            Happening(version=version),
            *(Happening(refused=how, again=again) for how in REFUSALS for again in (False, True)),
        ),
        obstacle=obstacle,
        phases=HELD,
    )


def _library() -> str:
    """Return the library that gives a process another clock, or an empty string."""
    places = (f"{folder}/{inner}faketime/{NAME}" for folder in FOLDERS for inner in ("", "*/"))
    return next((str(path) for place in places for path in sorted(Path("/").glob(place))), "")


def _needs_library(means: Means) -> str | None:
    del means
    return None if _library() else "libfaketime is not installed; run: apt-get install faketime"


def ahead() -> dict[str, str]:
    """Return the environment of a process whose wall clock is ahead."""
    return {"LD_PRELOAD": _library(), "FAKETIME": f"+{AHEAD_S:g}s", **WALL_ONLY}


def _succeed_ahead(scene: Scene) -> None:
    scene.succeed(env=ahead())
    if scene.ahead_s < AHEAD_S / 2:
        msg = f"the successor's clock is {scene.ahead_s:.0f} s ahead, not {AHEAD_S:g} s"
        raise UnconfirmedError(msg)


CHANGES = (
    *(_change(version, what) for version, what in VERSIONS.items()),
    Fault(
        name="skew(clock)",
        about=f"The worker dies, and its successor's clock is {AHEAD_S:g} s ahead.",
        inject=kill_worker,
        heal=_succeed_ahead,
        happenings=always(DIES),
        obstacle=_needs_library,
        phases=HELD,
    ),
)
