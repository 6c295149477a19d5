"""The remedy of a call in doubt: a table, held to every row."""

from __future__ import annotations

import pytest

from support.effects import intent

from harness.effects import Effect, Tier
from runtimes.reference.resume.remedy import MARGIN_MS, Move, Remedy, keyed, remedy
from runtimes.reference.upstreams.base import Contract


SENT_MS, DEADLINE_MS, LAG_S, DAY_S = 1_000_000, 1_030_000, 5, 24 * 3600
W, I, H = Effect.IDEMPOTENT, Effect.IRREVERSIBLE, Effect.HYBRID  # noqa: E741 - as in the notes
REPEAT, QUERY, COMPARE, ESCALATE = Move.REPEAT, Move.QUERY, Move.COMPARE, Move.ESCALATE


def found(effect: Effect, tier: Tier, now_ms: int, **more: object) -> Remedy:
    """Return the remedy of an intent that was sent at ``SENT_MS``."""
    fields = {"expect": "v1" if effect is H else "", "fenced_ms": None, "key": "k", **more}
    fenced_ms = fields.pop("fenced_ms")
    one = intent(
        "one",
        effect=effect,
        tier=tier,
        key_since_ms=SENT_MS,
        retention_s=DAY_S,
        deadline_ms=DEADLINE_MS,
        **fields,
    )
    return remedy(one, Contract(effect=effect, tier=tier, lag_s=LAG_S), now_ms, fenced_ms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("effect", "tier", "keyed_", "after"),
    [
        (W, Tier.K, True, REPEAT),
        (W, Tier.K, False, REPEAT),
        (W, Tier.Q, False, REPEAT),
        (W, Tier.V, False, REPEAT),
        (W, Tier.O, False, REPEAT),
        (I, Tier.K, True, REPEAT),
        (I, Tier.K, False, ESCALATE),
        (I, Tier.Q, False, QUERY),
        (I, Tier.V, False, ESCALATE),
        (I, Tier.O, False, ESCALATE),
        (H, Tier.K, True, COMPARE),
        (H, Tier.K, False, COMPARE),
        (H, Tier.Q, False, COMPARE),
        (H, Tier.V, False, COMPARE),
        (H, Tier.O, False, COMPARE),
    ],
)
@pytest.mark.parametrize("fenced", [True, False])
@pytest.mark.parametrize("quiet", [True, False])
def test_the_table(
    effect: Effect, tier: Tier, keyed_: bool, after: Move, fenced: bool, quiet: bool
) -> None:
    """Only a key helps at once; all else waits until no call is on its way."""
    fenced_ms = SENT_MS + 10 if fenced else None
    quiet_ms = (SENT_MS + 10 if fenced else DEADLINE_MS) + LAG_S * 1000
    now_ms = quiet_ms if quiet else quiet_ms - 1
    way = found(effect, tier, now_ms, fenced_ms=fenced_ms, key="k" if keyed_ else "")
    at_once = keyed_ and after is REPEAT
    assert (after if quiet or at_once else Move.WAIT) is way.move
    assert (0 if quiet or at_once else quiet_ms) == way.until_ms


@pytest.mark.parametrize(
    ("effect", "tier", "expect", "move"),
    [
        pytest.param(I, Tier.V, "v1", COMPARE, id="a version goes with it"),
        pytest.param(I, Tier.O, "v1", ESCALATE, id="nobody looks at versions"),
        pytest.param(H, Tier.K, "", REPEAT, id="it rests on nothing, and has a key"),
        pytest.param(H, Tier.O, "", ESCALATE, id="it rests on nothing, and has none"),
        pytest.param(H, Tier.Q, "", QUERY, id="it rests on nothing, and can be asked for"),
    ],
)
def test_what_rests_on_a_version(effect: Effect, tier: Tier, expect: str, move: Move) -> None:
    """Without a version there is nothing to compare."""
    assert move is found(effect, tier, DEADLINE_MS + LAG_S * 1000, expect=expect).move


@pytest.mark.parametrize(
    ("tier", "key", "left_ms", "relied_on"),
    [
        (Tier.K, "k", MARGIN_MS + 1, True),
        (Tier.K, "k", MARGIN_MS, False),
        (Tier.K, "", MARGIN_MS + 1, False),
        (Tier.Q, "k", MARGIN_MS + 1, False),
    ],
)
def test_how_long_a_key_is_relied_on(tier: Tier, key: str, left_ms: int, relied_on: bool) -> None:
    """Up to a margin before the end of its retention, and only where keys are honoured."""
    one = intent("one", tier=tier, key=key, key_since_ms=SENT_MS, retention_s=DAY_S)
    assert relied_on is keyed(one, SENT_MS + DAY_S * 1000 - left_ms)


def test_a_fence_after_the_deadline_changes_nothing() -> None:
    """Quiet begins with the earlier of the two."""
    late = found(I, Tier.Q, DEADLINE_MS + LAG_S * 1000, fenced_ms=DEADLINE_MS + 60_000)
    assert QUERY is late.move
