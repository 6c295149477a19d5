"""The report in a real browser: from disk, without network, with and without JavaScript."""

from __future__ import annotations

import json
import shutil

from pathlib import Path
from urllib.parse import urlsplit

import pytest


selenium = pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("pandas", reason="the report's libraries are not installed: bakeoff[report]")

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no browser here; run: apt-get install -y chromium chromium-driver",
)

EVENTS = [
    ("trial", "", {}),
    ("spawn", "", {"incarnation": "worker-1", "pid": 41, "pool": "t"}),
    (
        "call",
        "r",
        {
            "step": "pay",
            "op": "add",
            "effect": "irreversible",
            "args": {},
            "nth": 1,
            "incarnation": "worker-1",
            "seq": 1,
        },
    ),
    (
        "apply",
        "r",
        {
            "step": "pay",
            "op": "add",
            "effect": "irreversible",
            "args": {},
            "incarnation": "worker-1",
            "seq": 1,
            "premise_broken": [],
        },
    ),
    (
        "fault",
        "",
        {
            "fault": "kill(worker)",
            "stage": 0,
            "victim": "worker-1",
            "pid": 41,
            "signal": 9,
            "status": 9,
        },
    ),
    ("view", "r", {"status": "completed", "moves": "no", "detail": {}}),
]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Write the report of a store with one violated cell and one that is not measured."""
    import reports  # noqa: PLC0415 - needs what is skipped without

    row = {
        "trial": "acme/single-pay",
        "run": "r",
        "runtime": "acme",
        "kind": "library",
        "guarantee": "memo",
        "profile": "fast",
        "case": "shop[O]",
        "guard": "none",
        "fault": "kill(worker)",
        "depth": 1,
        "mode": "single",
        "schedule": "pay/after_effect#1:kill(worker)",
        "outcome": "violated",
        "end": "completed",
        "violated": ["duplicate_effect"],
        "unpredicted": [],
        "absent": [],
        "surprising": False,
        "exact": True,
        "why": "",
        "again": "--runtime acme --scenario shop[O] --guard none --profile fast",
        "verdicts": [
            {
                "oracle": "duplicate_effect",
                "outcome": "violated",
                "predicted": True,
                "witness": [3],
                "note": "pay <b>twice</b>",
            }
        ],
        "metrics": {
            "cold_start": None,
            "recovery": {"progress_s": 0.4},
            "repeats": 1,
            "stale_window_s": 0.4,
            "usage": {"cpu_s": 0.5, "peak_mb": 80.0},
        },
    }
    skip = {
        "runtime": "acme",
        "case": "shop[O]",
        "guard": "none",
        "fault": "kill(server)",
        "reason": "it has no server",
    }
    folder = tmp_path / "trials" / row["trial"]
    (folder / "logs").mkdir(parents=True)
    (tmp_path / "sweep.json").write_text(
        json.dumps(
            {"schema": 1, "columns": [], "skips": [skip], "exit_code": 0, "planned": 1, "judged": 1}
        )
    )
    (tmp_path / "index.jsonl").write_text(json.dumps(row) + "\n")
    for name, value in (("trial", row), ("verdicts", [row]), ("metrics", {"cpu_s": 0.5})):
        (folder / f"{name}.json").write_text(json.dumps(value))
    (folder / "history.jsonl").write_text(
        "".join(
            json.dumps([i, i * 10**7, kind, run, data]) + "\n"
            for i, (kind, run, data) in enumerate(EVENTS)
        )
    )
    return reports.write(tmp_path)[0]


@pytest.fixture
def open_browser():
    """Return what opens a browser that logs its requests and its console."""
    from selenium import webdriver  # noqa: PLC0415 - skipped without

    opened = []

    def make(*flags: str, script: bool = True):
        options = webdriver.ChromeOptions()
        options.binary_location = str(BROWSER)
        for flag in (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1300,1000",
            *flags,
        ):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not script:
            options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript": 2}
            )
        driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
        opened.append(driver)
        return driver

    yield make
    for driver in opened:
        driver.quit()


def asked(driver) -> set[str]:
    """Return the schemes of all requests that the pages made."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return {
        urlsplit(message["params"]["request"]["url"]).scheme
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }


def test_from_the_cell_to_its_trial(report, open_browser):
    """A cell leads to its section, that to the trial; nothing is fetched, nothing complains."""
    driver = open_browser()
    driver.get(report.as_uri())
    tile = driver.find_element("css selector", "a.tile.k-predicted")
    tile.click()
    section = driver.find_element("css selector", "section.cell:target")
    assert "violated as predicted" in section.text
    assert section.find_element("tag name", "details").get_attribute("open") is not None
    section.find_element("css selector", ".strip a").click()
    assert driver.current_url.endswith("/trials/acme/single-pay/trial.html")
    assert "pay <b>twice</b>" in driver.find_element("tag name", "main").text
    driver.find_element("link text", "event 3").click()
    assert "e3" == driver.find_element("css selector", "tr:target").get_attribute("id")
    driver.find_element("link text", "Bakeoff").click()
    assert driver.current_url.endswith("/report.html")
    assert asked(driver) <= {"file", "data"}
    assert [] == driver.get_log("browser")


def test_it_is_complete_without_javascript(report, open_browser):
    """Verdict, matrix and sections are there; only the filter is not."""
    driver = open_browser(script=False)
    driver.get(report.as_uri())
    assert driver.find_element("id", "verdict").is_displayed()
    assert "not measured" in driver.find_element("css selector", "table.matrix").text
    assert not driver.find_element("id", "filter").is_displayed()


def test_the_story_of_a_death(report, open_browser):
    """The report leads to it; it answers all three questions, and leads on to the trial."""
    driver = open_browser(script=False)
    driver.get(report.as_uri())
    driver.find_element("link text", "The story of one death").click()
    assert driver.current_url.endswith("/story.html")
    side = driver.find_element("css selector", "article.before")
    for question in ("What was true", "What authority remained", "What the safe next branch was"):
        assert question.upper() in side.text
    assert driver.find_element("css selector", ".times svg").is_displayed()
    driver.find_element("link text", "its trial").click()
    assert driver.current_url.endswith("/trials/acme/single-pay/trial.html")
    assert asked(driver) <= {"file", "data"}
    assert [] == driver.get_log("browser")


@pytest.mark.parametrize(("page", "width"), [("report.html", 520), ("story.html", 400)])
def test_a_narrow_window_scrolls_the_pictures_only(page, width, report, open_browser):
    """The page itself has no sideways scroll."""
    driver = open_browser()
    # No window is narrower than 500 pixels: the page is told that it is.
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(report.with_name(page).as_uri())
    wide, room = driver.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= room


def test_the_filter_leaves_what_matches(report, open_browser):
    """Words that match nothing hide all sections."""
    driver = open_browser()
    driver.get(report.as_uri())
    field = driver.find_element("id", "filter")
    field.send_keys("acme kill(worker)")
    assert driver.find_element("css selector", "section.cell").is_displayed()
    field.send_keys(" nothing")
    assert not driver.find_element("css selector", "section.cell").is_displayed()
