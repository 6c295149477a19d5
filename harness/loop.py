"""One event loop in one thread, for everything of the harness that listens on a socket."""

from __future__ import annotations

import asyncio
import threading

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar


T = TypeVar("T")


class Loop:
    """An asyncio loop in a thread of its own; a context manager owns it."""

    def __init__(self) -> None:
        """Prepare; nothing runs yet."""
        self.asyncio = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.asyncio.run_forever, name="loop", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what is left and stop the thread."""
        self.run(self._drain())
        self.asyncio.call_soon_threadsafe(self.asyncio.stop)
        self._thread.join()
        self.asyncio.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, from another thread, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.asyncio).result()

    async def _drain(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
