"""How many runs are in progress, and which of those that wait goes first."""

from __future__ import annotations

from conformance.kit import Kit


def concurrency(kit: Kit) -> str:
    """Two runs are in progress, never three, over a death too; none of the others is lost.

    An engine may count a run only while it is at a step: one that has none left may then wait
    for a place to end in, which is told and is no failure.
    """
    late: list[str] = []
    runs = kit.start({f"r{n}": {"n": n} for n in range(6)}, ("work", 1, 2))
    kit.until(lambda: len(kit.held()) >= 2, "two runs are held")
    kit.quiet()
    assert 2 == len(kit.held())
    kit.kill()
    kit.work()
    kit.until(lambda: len(kit.held()) >= 2, "two runs are held again")
    kit.quiet()
    for left in range(len(runs), 0, -1):
        held = kit.held()
        assert min(2, left) == len(held)
        free(kit, held[0])
        kit.until_replied("work", held[0])
        kit.until(
            lambda left=left: len(kit.held()) >= min(2, left - 1),  # type: ignore[misc]
            "the next run takes the place",
        )
        kit.quiet()
        late += [] if kit.view(held[0]).terminal else [held[0]]
    assert {"completed"} == kit.ends(runs)
    return told(late)


def told(late: list[str]) -> str:
    """Return what is limited, by the runs that did not end when they had done their work."""
    return f"limits steps: {len(late)} waited for a place to end in" if late else "limits runs"


def free(kit: Kit, run: str) -> None:
    """Release a run, whichever of its calls is held."""
    for nth in (1, 2):
        kit.release(run, "work", nth)


def concurrency_key(kit: Kit) -> str:
    """The limit holds for each key by itself; as for the end of a run, see `concurrency`."""
    tenants = {"a1": "a", "b1": "b", "a2": "a", "b2": "b"}
    args = {name: {"tenant": tenant} for name, tenant in tenants.items()}
    runs = kit.start(args, ("work",))
    kit.until(lambda: len(kit.held()) >= 2, "a run of each tenant is held")
    kit.quiet()
    held = {tenants[run.rpartition("-")[2]]: run for run in kit.held()}
    assert 2 == len(kit.held()) == len(held)
    kit.release(held["a"], "work")
    kit.until_replied("work", held["a"])
    kit.until(lambda: len(kit.held()) >= 2, "the tenant's next run takes the place")
    kit.quiet()
    late = [] if kit.view(held["a"]).terminal else [held["a"]]
    assert 2 == len(kit.held())
    assert held["b"] in kit.held()
    for run in runs:
        kit.release(run, "work")
    assert {"completed"} == kit.ends(runs)
    return told(late)


def priority(kit: Kit) -> None:
    """Of those that wait for a place the highest goes first, whoever came first."""
    [busy] = kit.start({"busy": {"rank": 0}}, ("work",))
    kit.until_held(busy)
    ranks = {"low": 1, "high": 3, "middle": 2}
    low, high, middle = kit.start({name: {"rank": rank} for name, rank in ranks.items()})
    kit.quiet()
    kit.release(busy, "work")
    assert {"completed"} == kit.ends([busy, low, high, middle])
    assert [busy, high, middle, low] == [call.run for call in kit.calls("work")]
