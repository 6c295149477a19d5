"""What the importer reads of awkward code, and what it says that it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compat_profile import vocabulary
from harness.importer import Words, read


APP = Path(__file__).parents[1] / "data" / "typescript_app"
WORDS = Words(**vocabulary()["code"])
HEAD = 'import { Inngest } from "inngest";\nconst app = new Inngest({ id: "x" });\n'


@pytest.fixture(scope="module")
def app():
    """Return the profile of the code base of the tests."""
    return read(APP, WORDS)


def profile(app, ident):
    """Return the profile of one function."""
    (found,) = [w["profile"] for w in app["workflows"] if w["id"] == ident]
    return found


def one(tmp_path, code):
    """Return what is read of one file with a client called ``app``."""
    (tmp_path / "a.ts").write_text(HEAD + code)
    return read(tmp_path, WORDS)


def steps(tmp_path, body, parameter="{ step }"):
    """Return the step counts of one handler's body, and the doubts."""
    code = (
        f'app.createFunction({{ id: "f" }}, {{ event: "e" }}, async ({parameter}) => {{{body}}});'
    )
    found = one(tmp_path, code)
    return found["workflows"][0]["profile"]["steps"], [d["why"] for d in found["undecided"]]


def test_functions_are_those_of_the_code(app):
    """Neither comments, strings, vendored code nor broken files make a function."""
    found = {workflow["id"] for workflow in app["workflows"]}

    assert {"order", "first", "second", "third", "render", "preset", "far"} == found
    assert 7 == app["counts"]["functions"]


def test_configuration_is_followed_to_its_constants(app):
    """Consts, spreads, sums, templates and re-exports of other files are read; the last one wins."""
    assert {
        "events": ["order/paid"],
        "crons": ["TZ=UTC 0 * * * *"],
        "steps": {"invoke": 1, "parallel": 2, "run": 5, "sendEvent": 1, "sleep": 1},
        "retries": 3,
        "concurrency": [{"limit": 1, "key": "event.data.order"}],
        "cancelOn": [{"event": "order/cancelled", "if": "event.data.order == async.data.order"}],
        "timeouts": {"finish": "1h"},
        "onFailure": True,
        "emits": ["order/shipped", "<`order/${event.name}`>"],
    } == profile(app, "order")


def test_wrapper_makes_a_function_of_each_call(app):
    """A function that makes functions is read once for each of its calls, with its arguments."""
    assert {"limit": 3, "period": "60s"} == profile(app, "first")["throttle"]
    assert {"limit": 5, "period": "60s"} == profile(app, "second")["throttle"]
    assert {"run": 1, "waitForEvent": 1} == profile(app, "second")["steps"]


def test_step_object_is_followed_into_helpers(app):
    """A helper's call sites count once for each workflow, however often it calls the helper."""
    assert {"run": 2, "sendEvent": 1} == profile(app, "first")["steps"]
    assert ["audit/done"] == profile(app, "first")["emits"]


def test_handler_may_come_from_a_wrapper(app):
    """A handler that another function decorates is read, together with what that one does."""
    assert {"ai.infer": 1, "run": 1, "sleepUntil": 1} == profile(app, "third")["steps"]


def test_tsx_and_destructured_client(app):
    """JSX parses, and a method taken off the client is still the client's."""
    assert {"run": 1} == profile(app, "render")["steps"]


def test_undecided_places_are_listed(app):
    """What cannot be decided is listed with its place and reason, and nothing else is."""
    found = [(doubt["at"], doubt["why"].partition(" <")[0]) for doubt in app["undecided"]]

    assert [
        ("src/broken.ts:1", "this is no TypeScript that can be parsed"),
        ("src/functions/doubtful.ts:6", "what createFunction is called on cannot be told"),
        ("src/functions/doubtful.ts:8", "its configuration is no object that can be read"),
        ("src/functions/doubtful.ts:9", "its configuration takes in"),
        ("src/functions/doubtful.ts:14", "which method of the step object is called is computed"),
        ("src/functions/doubtful.ts:15", "the step object goes where it cannot be followed"),
        ("src/functions/doubtful.ts:18", "the handler of far cannot be found"),
        (
            "src/functions/wrapped.ts:24",
            "the step object is handed to what is not in this code base",
        ),
    ] == found


def test_undecided_places_stay_with_their_function(app):
    """A function that was not read to its end says so itself."""
    marked = {w["id"] for w in app["workflows"] if "undecided" in w}

    assert {"preset", "far", "second"} == marked


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('await step.run("a", f); await step["run"]("b", f);', {"run": 2}),
        ('await step.run(`a-${i}`, () => step.run("b", f));', {"run": 2}),
        ("const s = step; { const s = other; s.run(); } await s.sleep('a', 1);", {"sleep": 1}),
        ("for (const step of xs) { step.run('a'); }", {}),
        ("try { f(); } catch (step) { step.run('a'); }", {}),
        ("const f = function (step) { step.run('a'); }; f(1);", {}),
        ("(step as Steps).run('a', f); step!.sleep('b', 1);", {"run": 1, "sleep": 1}),
        ("if (x) { await step.run('a', f); } else { await step.run('a', f); }", {"run": 2}),
        ("async function g() { await step.run('a', f); } await g(); await g();", {"run": 1}),
        ("const { run: r, ...others } = step; await r('a', f);", {"run": 1}),
        ("await Promise.all(xs.map((x) => fetch(x)));", {}),
        ("function g(s) { return s.run('a', () => g(s)); } g(step);", {"run": 1}),
        ("// step.run('a')\n/* step.run('a') */ log(\"step.run('a')\", /step.run()/);", {}),
    ],
)
def test_call_sites(tmp_path, body, expected):
    """Each call site of the step object counts once; what only looks like one does not."""
    found, doubts = steps(tmp_path, body)

    assert expected == found
    assert [] == doubts


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("register(step);", "not in this code base"),
        ("kept.step = step;", "cannot be followed"),
        ("return { step };", "cannot be followed"),
        ("const tools = [step]; tools[0].run('a');", "cannot be followed"),
        ("step[name]('a');", "computed"),
    ],
)
def test_step_object_out_of_sight_is_undecided(tmp_path, body, why):
    """Where the step object goes out of sight, calls may be missed: that is said."""
    _, doubts = steps(tmp_path, body)

    assert 1 == len(doubts), doubts
    assert why in doubts[0]


def test_whole_context_is_followed(tmp_path):
    """A handler that does not take its context apart is read all the same."""
    body = "const { step: s } = ctx; await s.run('a', f); await ctx.step.invoke('b', {});"

    assert ({"invoke": 1, "run": 1}, []) == steps(tmp_path, body, "ctx")


def test_foreign_client_makes_nothing(tmp_path):
    """A class of the same name from another package is no client, and the call is listed."""
    (tmp_path / "a.ts").write_text(
        'import { Inngest } from "other";\n'
        'new Inngest().createFunction({ id: "f" }, { event: "e" }, async () => {});\n'
    )
    found = read(tmp_path, WORDS)

    assert [] == found["workflows"]
    assert ["a.ts:2"] == [doubt["at"] for doubt in found["undecided"]]


def test_wrapper_that_nobody_calls_is_undecided(tmp_path):
    """A wrapper whose calls are elsewhere makes no function that could be described."""
    code = "export const make = (id) => app.createFunction({ id }, { event: 'e' }, async () => {});"
    found = one(tmp_path, code)

    assert [] == found["workflows"]
    assert ["nobody calls by name" in doubt["why"] for doubt in found["undecided"]] == [True]


def test_packages_of_the_code_base_are_followed(tmp_path):
    """In a folder of several packages, each one's aliases hold in it, and names lead across."""
    for name, text in {
        "jobs/package.json": '{ "name": "@shop/jobs", "exports": { ".": "./lib/main.ts" } }',
        "jobs/lib/main.ts": f"{HEAD}export {{ app }};",
        "web/tsconfig.json": '{ "compilerOptions": { "paths": { "@/*": ["./code/*"] } } }',
        "web/code/client.ts": 'export { app as client } from "@shop/jobs";',
        "web/code/work.ts": (
            'import { client } from "@/client";\n'
            'client.createFunction({ id: "f" }, { event: "e" }, async () => {});'
        ),
        "other/work.ts": (
            'import { client } from "@/client";\n'
            'client.createFunction({ id: "g" }, { event: "e" }, async () => {});'
        ),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = read(tmp_path, WORDS)

    assert ["f"] == [workflow["id"] for workflow in found["workflows"]]
    assert ["other/work.ts:2"] == [doubt["at"] for doubt in found["undecided"]]
