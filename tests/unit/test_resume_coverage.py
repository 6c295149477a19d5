"""Whether the enumeration reaches the recovery code: what it does not is listed, and tested apart."""

from __future__ import annotations

import json
import subprocess
import sys

from pathlib import Path

import pytest


SCRIPT = Path(__file__).parents[1] / "support" / "resume_coverage.py"
CAMPAIGNS = (
    "kill",
    "kill, drift",
    "kill, a day",
    "kill, other words",
    "kill, other program",
    "kill, a human",
    "asked twice at",
    "astray",
    "late",
    "trouble",
)


# By module: what only units reach (test_resume_session, test_resume_remedy).
UNITS = {
    "carry": (
        # A premise that is another version of its own, or was never read.
        'if seen.version in made - {""}:',
        "return True",
        "if not sealed and version not in made:",
        'msg = f"version {version!r} of {seen.resource} was never read by {self.log.run}"',
        "raise UnreadError(msg)",
        # In doubt, and its premise false, or the run cancelled.
        "except (DriftError, UnreadError) as drift:",
        "why = str(drift)",
        "if why:",
        "until_ms = quiet_ms(intent, contract, self._fenced(tried, contract))",
        "if self.clock.now_ms() < until_ms:",
        "await self.clock.until(until_ms)",
        "elif intent.tier is Tier.Q:",
        "await self._query(intent, context)",
        'await self._resolve(intent, Verdict.UNKNOWN, f"in doubt, and {why}")',
        # A provider that knows the key with another request, and a repetition that was not sent.
        "if _mismatch(answer):",
        'why = "its provider has another request under this key"',
        "await self._resolve(intent, Verdict.UNKNOWN, why)",
        "if before is None or before.standing is not Standing.IN_DOUBT:",
        # A provider that cannot say.
        'await self._resolve(intent, Verdict.UNKNOWN, f"its provider cannot be asked: {error}")',
        'await self._resolve(intent, Verdict.UNKNOWN, f"its target cannot be seen: {error}")',
        "return",
        "case Move.ESCALATE:",  # there is no other move
        # An effect whose program tries no more.
        "if tried and (tried.overtaken or tried.standing is Standing.IN_DOUBT):",
    ),
    "clock": (
        "await asyncio.sleep(left_ms / 1000)",
        "return wall_ms()",
        "while (left_ms := moment_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - no event but time",
    ),
    "recovery": (
        "continue",
        "except UpstreamError:",
        "if await upstream.fence(log.run, lease.epoch):",  # only providers that fence are measured
        "if facts.terminal is None:",
        # A premise that was never read (test_gateway_core).
        "except UnreadError:  # it was as the request says when it came, and is not any more",
        'await session.replan(DriftError(slot, [*request["premises"]]))',
        "return",
    ),
    "session": (
        # What is sealed, for a run that may do nothing more (test_gateway_core).
        "facts, contract = self.facts, self.carrier.upstream.contract(wanted.op, wanted.target)",
        "for _, name in self._names(wanted.slot):",
        "if contract.decides:",
        "if (one := facts.decisions.get(name)) and one.asked_hash == wanted.fingerprint:",
        "return Given(one.output)",
        "elif contract.effect is Effect.READ:",
        "_, read = facts.reads.get(name, (0, None))",
        "if read and read.resource == wanted.target:",
        "return Given(read.value, version=read.version)",
        "elif (tried := facts.effects.get(name)) and tried.standing is not Standing.UNKNOWN:",
        "same = tried.intent.fingerprint == wanted.fingerprint",
        "return self._known(name, tried) if same else None",
        "return None",
        # What the gateway asks for (test_gateway_core).
        "found = (facts.effects.get(name) for _, name in names(facts, slot))",
        "return next((tried.standing for tried in found if tried), None)",
        "answer = await self.carrier.upstream.call(self._order(wanted, wanted.slot))",
        "return Given(answer.response, done=answer.outcome is Outcome.OK)",
        "return digest({**self.premises})",
        # Another request for a slot.
        "if (",
        "await self.carrier.settle(name, wanted.context, wanted.capability)",
        "if sealed.resource != wanted.target:",
        'msg = f"CONFLICT: {wanted.slot} read {sealed.resource}, is now of {wanted.target}"',
        "if found[0] == self.facts.plan_epoch:",
        'msg = f"CONFLICT: {wanted.slot} was asked with other facts under this plan"',
        "raise ConflictError(msg)",
        "if epoch == self.facts.plan_epoch or (gone and tried.intent.effect.once):",
        "return self._next(wanted.slot, name)",
        # What was refused, lost or changed again and again, or has ended.
        "if answer.outcome is Outcome.OK:",
        "if not left:",
        "if losses >= self.losses or not left:",
        "await self.carrier.give_up(self._slot(wanted), why)",
        "raise",
        "raise DriftError(slot, [wanted.target])",
        "if self.facts.terminal is None:",
    ),
}


def test_what_the_enumeration_leaves_out() -> None:
    """Every line and branch of taking over, settling and the table, but for those named here."""
    pytest.importorskip("coverage")
    run = subprocess.run(
        [sys.executable, str(SCRIPT), *CAMPAIGNS], check=True, capture_output=True, text=True
    )
    known = {f"{module}: {line}" for module, lines in UNITS.items() for line in lines}
    assert [] == sorted({*json.loads(run.stdout)} - known)
