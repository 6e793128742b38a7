"""Functions that a test lets run when it wants, and callers of them by threads, tasks and event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

DEADLINE = 120.0

KEY = (("compute",), "key")
OTHER = (("compute",), "other")


def until(holds: Callable[[], Any]) -> None:
    """Wait on this thread until something holds."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.001)


async def auntil(holds: Callable[[], Any]) -> None:
    """Wait in a task until something holds."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        await asyncio.sleep(0.001)


def waiting(cache: Any, key: Any = KEY) -> int:
    """Return how many wait for the flight of a key."""
    flight = cache._computing.flights._flights.get(key)
    return 0 if flight is None else flight.waiting


def flying(cache: Any) -> int:
    """Return how many keys are being computed."""
    return len(cache._computing.flights._flights)


class _Gate:
    def __init__(self) -> None:
        self.begun = threading.Event()
        self.lock = threading.Lock()
        self.open = threading.Event()


_gates: list[_Gate] = []


class Gated:
    """A function that counts its runs and goes on when it is let.

    It holds nothing but its number and what it makes, so that a cached function may close over it.
    """

    def __init__(self, make: Callable[[], Any] = lambda: ["value"], *, is_open: bool = False) -> None:
        self.runs = 0
        self._make = make
        self._number = len(_gates)
        _gates.append(_Gate())
        if is_open:
            self._gate.set()

    @property
    def begun(self) -> threading.Event:
        return _gates[self._number].begun

    @property
    def _lock(self) -> threading.Lock:
        return _gates[self._number].lock

    @property
    def _gate(self) -> threading.Event:
        return _gates[self._number].open

    def let(self) -> None:
        self._gate.set()

    def __call__(self, *args: Any) -> Any:
        with self._lock:
            self.runs += 1
        self.begun.set()
        assert self._gate.wait(DEADLINE), "it was never let"
        return self._make()


class AsyncGated(Gated):
    """The same as a coroutine function, for any event loop."""

    cancelled = 0

    async def __call__(self, *args: Any) -> Any:
        with self._lock:
            self.runs += 1
        self.begun.set()
        try:
            await auntil(self._gate.is_set)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self._make()


class Caller(threading.Thread):
    """Calls a function on a thread of its own, at once."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:
            self.error = error

    def ended(self) -> BaseException | None:
        """Wait for its end; return what was raised."""
        self.join(DEADLINE)
        assert not self.is_alive(), "it is stuck"
        return self.error

    def result(self) -> Any:
        """Wait for its end; return the result."""
        if self.ended() is not None:
            raise self.error  # type: ignore[misc]
        return self._result


class Loop:
    """An event loop that runs on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, coroutine: Any) -> Any:
        """Start a coroutine there; return a future of its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        """Stop it where it is, and close it, with all that it has pending."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE)
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # as is meant
        self.loop.close()

    def end(self) -> None:
        """Cancel its tasks, let them end, and close it."""

        async def cancelled() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if not self.loop.is_closed():
            self.start(cancelled()).result(DEADLINE)
            self.stop()


@contextmanager
def loop() -> Iterator[Loop]:
    """Have an event loop on a thread of its own."""
    loop = Loop()
    try:
        yield loop
    finally:
        loop.end()


def run(main: Awaitable[Any]) -> Any:
    """Run a coroutine to its end, within the deadline."""

    async def bounded() -> Any:
        return await asyncio.wait_for(main, DEADLINE)

    return asyncio.run(bounded())
