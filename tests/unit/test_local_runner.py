"""Processes of this machine: their births, words and deaths are facts."""

from __future__ import annotations

import os
import signal
import sys

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.deadline import Deadline, wait_until
from harness.process import ProcessError, WorkerSpec
from runners.local import LocalProcess, LocalRunner


PATIENCE_S = 10.0
READY = """
import json, os, sys
print(json.dumps({"incarnation": os.environ["BAKEOFF_INCARNATION"], "port": 7}), flush=True)
"""
LINGER = READY + "sys.stdin.read()\n"


Start = Callable[..., LocalProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return how to start a Python program; all of them are gone in the end."""
    runner = LocalRunner(tmp_path / "logs", {"OF_THE_RUNNER": "1"})
    begun: list[LocalProcess] = []

    def run(program: str, name: str = "worker", **spec: object) -> LocalProcess:
        whole = WorkerSpec(argv=[sys.executable, "-c", program], **spec)  # type: ignore[arg-type]
        begun.append(runner.start(name, whole))
        return begun[-1]

    yield run
    for process in begun:
        process.resume()
        process.kill()


def soon() -> Deadline:
    """Return when to give up."""
    return Deadline.after(PATIENCE_S)


def state(pid: int) -> str:
    """Return the state letter that the kernel gives a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def gone(pid: int) -> bool:
    """Say whether a process is dead, reaped or not."""
    try:
        return state(pid) == "Z"
    except OSError:
        return True


# Births --------------------------------------------------------------------------------------


def test_ready_line(start: Start) -> None:
    """A worker announces itself with a JSON line of its own incarnation."""
    process = start(LINGER)
    assert {"incarnation": "worker-1", "port": 7} == process.announced(soon())
    assert process.alive()
    assert "worker-2" == start(LINGER).incarnation


def test_noise_on_stdout_goes_to_the_log(start: Start) -> None:
    """What is no ready line of this incarnation is kept in its log, and fools nobody."""
    noise = """
print("hello from an SDK")
print('{"incarnation": "worker-99"}')
print("[1]", flush=True)
"""
    process = start(noise + LINGER + "print('bye', flush=True)\n")
    assert 7 == process.announced(soon())["port"]
    wait_until(lambda: "[1]" in process.tail(), soon(), "the noise is in the log")
    assert ["hello from an SDK", '{"incarnation": "worker-99"}', "[1]"] == process.tail().split(
        "\n"
    )


def test_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has what it was given and little else; nothing of ours leaks in."""
    monkeypatch.setenv("TOP_SECRET", "x")
    process = start(
        "import json, os; print(json.dumps(dict(os.environ)))\n",
        env={"OF_THE_SPEC": "2"},
        ready=False,
    )
    process.wait(PATIENCE_S)
    seen = process.log.read_text()
    assert '"OF_THE_RUNNER": "1"' in seen
    assert '"OF_THE_SPEC": "2"' in seen
    assert '"BAKEOFF_INCARNATION": "worker-1"' in seen
    assert "TOP_SECRET" not in seen


def test_cwd(start: Start, tmp_path: Path) -> None:
    """A process may be started in a folder of its own."""
    process = start("import os; print(os.getcwd())", cwd=tmp_path, ready=False)
    process.wait(PATIENCE_S)
    assert str(tmp_path) == process.tail()


def test_own_process_group(start: Start) -> None:
    """A process leads a group of its own, which signals to ours do not reach."""
    process = start(LINGER)
    assert process.pid == os.getpgid(process.pid) != os.getpgid(0)


def test_no_such_executable(tmp_path: Path) -> None:
    """What cannot be started is named, with the system's reason."""
    runner = LocalRunner(tmp_path, {})
    with pytest.raises(ProcessError) as caught:
        runner.start("server", WorkerSpec(argv=["/no/such/thing"]))
    assert "cannot start server: /no/such/thing: No such file or directory" == str(caught.value)


def test_death_at_start_up(start: Start) -> None:
    """Who dies before it is ready is reported with the end of its stderr and the log's place."""
    process = start("import sys; sys.exit('the port is taken')")
    with pytest.raises(ProcessError) as caught:
        process.announced(soon())
    assert f"worker died at start-up; {process.log} ends:\nthe port is taken" == str(caught.value)


def test_silence_at_start_up(start: Start) -> None:
    """Who says nothing in time is reported as such, and lives."""
    process = start("import sys; sys.stdin.read()")
    with pytest.raises(ProcessError) as caught:
        process.announced(Deadline.after(0.01))
    message = str(caught.value)
    assert f"worker did not get ready in time; {process.log} ends:\n(empty)" == message
    assert process.alive()


def test_send(start: Start) -> None:
    """A line that is sent arrives on stdin as JSON; to the dead it is no error."""
    process = start("print(input())", ready=False)
    process.send({"look": True})
    assert process.wait(PATIENCE_S) is not None
    assert '{"look": true}' == process.tail()
    process.send({"look": True})


# Deaths --------------------------------------------------------------------------------------


def test_kill(start: Start) -> None:
    """A kill is a fact: pid, signal, wait status, CPU seconds, peak memory."""
    process = start(LINGER)
    process.announced(soon())
    ended = process.kill()
    assert (process.pid, signal.SIGKILL) == (ended.pid, ended.signal)
    assert os.WIFSIGNALED(ended.status)
    assert signal.SIGKILL == os.WTERMSIG(ended.status)
    assert 0.0 < ended.cpu_s < PATIENCE_S
    assert ended.peak_bytes > 1_000_000
    assert not process.alive()
    assert ended == process.exit == process.kill()


@pytest.mark.parametrize("code", [0, 3])
def test_exit_of_its_own(start: Start, code: int) -> None:
    """Who ends by itself was sent no signal, and its status is its exit code."""
    process = start(f"raise SystemExit({code})", ready=False)
    ended = process.wait(PATIENCE_S)
    assert ended is not None
    assert (0, code) == (ended.signal, os.waitstatus_to_exitcode(ended.status))


def test_wait_for_the_living(start: Start) -> None:
    """Who is still alive after the wait has no exit."""
    assert start(LINGER).wait(0.01) is None


def test_terminate(start: Start) -> None:
    """Asked to end, a process may do so in its own way."""
    program = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
    process = start(program + READY + "signal.pause()\n")
    process.announced(soon())
    ended = process.terminate(PATIENCE_S)
    assert (signal.SIGTERM, 5) == (ended.signal, os.waitstatus_to_exitcode(ended.status))


def test_terminate_the_deaf(start: Start) -> None:
    """Who does not listen is killed after the grace."""
    program = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    process = start(program + LINGER)
    process.announced(soon())
    ended = process.terminate(0.05)
    assert signal.SIGKILL == ended.signal == os.WTERMSIG(ended.status)


def test_kill_takes_the_whole_group(start: Start) -> None:
    """What a worker started dies with it."""
    program = """
import json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(json.dumps({"incarnation": os.environ["BAKEOFF_INCARNATION"], "child": child.pid}), flush=True)
sys.stdin.read()
"""
    process = start(program)
    child = int(process.announced(soon())["child"])  # type: ignore[arg-type]
    assert not gone(child)
    process.kill()
    wait_until(lambda: gone(child), soon(), "the child is gone")


def test_pause_and_resume(start: Start) -> None:
    """A paused process stands where it is, alive, and goes on when resumed."""
    process = start(READY + "print(input(), flush=True)\n")
    process.announced(soon())
    process.pause()
    wait_until(lambda: state(process.pid) == "T", soon(), "it is stopped")
    process.send({"go": 1})
    assert process.wait(0.05) is None
    assert process.alive()
    process.resume()
    ended = process.wait(PATIENCE_S)
    assert ended is not None
    assert 0 == ended.status


def test_a_paused_process_can_be_killed(start: Start) -> None:
    """Being frozen saves nobody."""
    process = start(LINGER)
    process.announced(soon())
    process.pause()
    assert signal.SIGKILL == os.WTERMSIG(process.kill().status)


def test_close(tmp_path: Path) -> None:
    """A runner that is closed leaves nothing alive, frozen or not."""
    runner = LocalRunner(tmp_path, {})
    spec = WorkerSpec(argv=[sys.executable, "-c", LINGER])
    processes = [runner.start("worker", spec) for _ in range(2)]
    for process in processes:
        process.announced(soon())
    processes[0].pause()
    runner.close()
    assert [False, False] == [process.alive() for process in processes]


def test_logs_of_a_trial(tmp_path: Path) -> None:
    """Each incarnation has a log of its own, where it was asked for."""
    runner = LocalRunner(tmp_path / "default", {})
    spec = WorkerSpec(argv=[sys.executable, "-c", ""], ready=False)
    first, second = runner.start("w", spec), runner.start("w", spec, logs=tmp_path / "trial")
    assert [tmp_path / "default" / "w-1.log", tmp_path / "trial" / "w-2.log"] == [
        first.log,
        second.log,
    ]
    for process in (first, second):
        process.kill()


# Parts ---------------------------------------------------------------------------------------

PARTED = """
import json, os, subprocess, sys
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
parts = {"parent": os.getpid(), "listener": child.pid, "stranger": os.getppid()}
line = {"incarnation": os.environ["BAKEOFF_INCARNATION"], "parts": parts}
print(json.dumps(line), flush=True)
sys.stdin.read()
"""


def test_kill_a_part(start: Start) -> None:
    """Only that part dies; another's child has no wait status, and its group lives on."""
    process = start(PARTED)
    pid = process.announced(soon())["parts"]["listener"]  # type: ignore[index, call-overload]
    ended = process.kill("listener")
    assert (pid, signal.SIGKILL, None) == (ended.pid, ended.signal, ended.status)
    assert gone(pid)  # type: ignore[arg-type]
    assert process.alive()


def test_kill_the_leader_only(start: Start) -> None:
    """The first process dies alone; what it leaves behind is killed with the group."""
    process = start(PARTED)
    pid = process.announced(soon())["parts"]["listener"]  # type: ignore[index, call-overload]
    ended = process.kill("parent")
    assert (process.pid, signal.SIGKILL) == (ended.pid, ended.status)
    process.kill()
    wait_until(lambda: gone(pid), soon(), "the rest of the group is dead")  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["stranger", "nobody"])
def test_kill_what_is_no_part(start: Start, part: str) -> None:
    """What was not announced, or is of another group, is not touched."""
    process = start(PARTED)
    process.announced(soon())
    with pytest.raises(ProcessError) as caught:
        process.kill(part)
    assert f"worker has no live part '{part}' in its group" in str(caught.value)
    assert process.alive()
