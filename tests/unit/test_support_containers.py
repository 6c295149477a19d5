"""A server in a container, of an image made from this machine's own binary."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import uuid

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from harness.deadline import Deadline
from harness.loop import Loop
from harness.process import Address
from harness.runtime import RuntimeUnavailableError
from harness.site import LocalSite, Lot
from runners.local import LocalRunner


docker = pytest.importorskip("docker", reason="pip install 'bakeoff[containers]'")
pytest.importorskip("testcontainers", reason="pip install 'bakeoff[containers]'")

from runtimes.support.containers import LABEL, Image, contained  # noqa: E402


pytestmark = pytest.mark.engine
PATIENCE_S = 60.0
REDIS = shutil.which("redis-server")


def serves(address: Address) -> bool:
    """Say whether a Redis answers."""
    return said(address, "PING") == "+PONG"


def said(address: Address, command: str) -> str:
    """Return the last line of an answer of one or two lines."""
    try:
        with socket.create_connection((address.host, address.port), 5.0) as peer:
            peer.sendall(f"{command}\r\n".encode())
            answer = peer.makefile("r", newline="\r\n")
            line = answer.readline().strip()
            return answer.readline().strip() if line.startswith("$") else line
    except OSError:
        return ""


@pytest.fixture
def lot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lot]:
    """Return a site's part."""
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp") as home:
        monkeypatch.setattr(tempfile, "tempdir", home)
        with Loop() as loop, LocalSite(loop) as site:
            yield Lot(site, "test", LocalRunner(site.folder / "logs", {}))


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """Return an image with nothing but this machine's Redis and its libraries."""
    if REDIS is None:
        pytest.skip("no redis-server on this machine: apt-get install redis-server")
    # Asked without the library, which leaves a socket open where nobody answers.
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    with socket.socket(socket.AF_UNIX) as door:
        if door.connect_ex(host.removeprefix("unix://")):
            pytest.skip(f"no Docker engine answers at {host}: start dockerd, or set DOCKER_HOST")
    with ExitStack() as stack:
        client = stack.enter_context(closing(docker.from_env()))
        name = make(client, REDIS)
        stack.callback(client.images.remove, name, force=True)
        keep = "--appendonly yes --appendfsync always --protected-mode no --save ''"
        yield Image(reference=name, port=6379, command=f"{REDIS} {keep}")


def make(client: docker.DockerClient, program: str) -> str:
    """Make an image of a program and its libraries; return its name."""
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    files = {program, *(word for word in linked.split() if word.startswith("/"))}
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for file in files:
            archive.add(os.path.realpath(file), arcname=file)
    name = f"bakeoff-test-{uuid.uuid4().hex[:8]}"
    client.api.import_image_from_data(layer.getvalue(), repository=name, tag="1")
    return f"{name}:1"


def test_a_killed_container_comes_back_with_its_data(lot: Lot, image: Image) -> None:
    """What was acknowledged is there, at the same address; leaving it removes it."""
    with contained(lot, "redis", image, serves) as store:
        store.ready(Deadline.after(PATIENCE_S))
        assert "+OK" == said(store.address, "SET key value")

        assert signal.SIGKILL == store.kill().signal
        assert not store.alive()
        store.restart()
        store.ready(Deadline.after(PATIENCE_S))

        assert "value" == said(store.address, "GET key")
        mine = str(lot.state_dir("redis"))
        assert [mine] == labels(mine)
    assert [] == labels(mine)


def test_what_a_dead_harness_left_is_removed(lot: Lot, image: Image) -> None:
    """A container of a site that is gone goes with the next start; a living one's stays."""
    gone = f"/nowhere/{uuid.uuid4().hex}"
    with (
        closing(docker.from_env()) as client,
        contained(lot, "living", image, serves) as living,
    ):
        client.containers.run(
            image.reference, image.command, detach=True, labels={LABEL: gone}, name=uuid.uuid4().hex
        )
        assert [gone] == labels(gone)
        with contained(lot, "next", image, serves):
            assert [] == labels(gone)
            assert living.alive()


def test_an_image_that_cannot_be_had_is_not_measured(lot: Lot, image: Image) -> None:
    """The reason names the image."""
    del image
    absent = Image(reference="localhost:1/bakeoff-absent:1", port=1)
    with (
        pytest.raises(RuntimeUnavailableError, match="no container of localhost:1/bakeoff-absent"),
        contained(lot, "absent", absent, serves),
    ):
        pass


def labels(value: str) -> list[str]:
    """Return the labels of the containers of one site's folder."""
    with closing(docker.from_env()) as client:
        found = client.containers.list(all=True, filters={"label": f"{LABEL}={value}"})
        return [each.labels[LABEL] for each in found]
