"""JSON lines between the harness and a client child: one request, one answer, by id.

The child side (``serve``) runs in a process that has an SDK; the harness side (``Rpc``)
speaks over the child's stdin and stdout.  An error comes back as data and is raised as
``RpcError`` with the child's own words.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.effects import Json


Handler = Callable[..., Awaitable[Any]]


class RpcError(Exception):
    """The child answered with an error, died, or did not answer in time."""


async def serve(handlers: Mapping[str, Handler]) -> None:
    """Answer requests from stdin until it is closed; each runs as a task of its own."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()

    async def answer(line: bytes) -> None:
        request = json.loads(line)
        try:
            result = await handlers[request["method"]](**request["params"])
            reply = {"id": request["id"], "result": result}
        except Exception as error:  # noqa: BLE001 - carried to the caller as data
            reply = {"id": request["id"], "error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()

    while line := await reader.readline():
        task = asyncio.ensure_future(answer(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


class Rpc:
    """A client child of the harness; a context manager owns it."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        """Prepare; ``log`` gets the child's stderr."""
        self._argv, self._log, self._env = list(argv), log, dict(env)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._count = 0
        self._dead = False

    def __enter__(self) -> Self:
        """Start the child, in a group of its own."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as stderr:
            self._child = subprocess.Popen(
                self._argv,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child: it holds no state worth a grace."""
        self._child.kill()
        self._child.wait()
        self._reader.join()
        if self._child.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()

    def _read(self) -> None:
        assert self._child.stdout  # noqa: S101 - opened as a pipe
        with self._child.stdout as stdout:
            for line in stdout:
                try:
                    reply = json.loads(line)
                    future = self._waiting.pop(reply["id"])
                except (ValueError, KeyError, TypeError):
                    continue  # an SDK printed something of its own
                if "error" in reply:
                    future.set_exception(RpcError(reply["error"]))
                else:
                    future.set_result(reply["result"])
        with self._lock:
            self._dead = True
            left, self._waiting = self._waiting, {}
        for future in left.values():
            future.set_exception(RpcError(self._obituary()))

    def call(self, method: str, timeout_s: float = 30.0, **params: Json) -> Any:  # noqa: ANN401
        """Call a handler of the child and return its result.

        Raises:
            RpcError: it answered with an error, died, or took longer than ``timeout_s``.

        """
        future: Future[Any] = Future()
        with self._lock:
            if self._dead:
                raise RpcError(self._obituary())
            self._count += 1
            ident = self._count
            self._waiting[ident] = future
            try:
                if self._child.stdin:
                    line = json.dumps({"id": ident, "method": method, "params": params})
                    self._child.stdin.write(line.encode() + b"\n")
                    self._child.stdin.flush()
            except BrokenPipeError as error:
                raise RpcError(self._obituary()) from error
        try:
            return future.result(timeout_s)
        except FutureTimeoutError as error:
            msg = f"{method} was not answered within {timeout_s:g} s"
            raise RpcError(msg) from error

    def _obituary(self) -> str:
        tail = self._log.read_bytes()[-2000:].decode(errors="replace").strip()
        return f"the client child died; {self._log} ends:\n{tail or '(empty)'}"
