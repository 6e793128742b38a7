"""Refreshing in the background: a bounded number of threads and tasks that end with the cache.

Threads are daemons, so that they never keep the interpreter from ending, and end by themselves when there is nothing
to do for a while. Each key is refreshed once at a time; a refresh for which there is no room is left to a later call.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from hitrate.base import FullKey
from hitrate.exclusive import a_few_lines, within_change
from hitrate.failsafe import log
from hitrate.stores.per_loop import PerLoop, close_tasks

_Tasks = dict[FullKey, asyncio.Task[None]]

_THREADS_AT_MOST = 4
_TASKS_AT_MOST = 1024
"""Refreshes by tasks that may run at once: many may be due together, and a task that waits costs little."""
_QUEUED_AT_MOST = 1024
_LINGER_SECONDS = 5.0
_SECONDS_BETWEEN_LINES = 60.0
_CLOSE_SECONDS = 5.0
"""Seconds that ``close`` waits for functions that are running: a thread cannot be stopped."""


class Refresher:
    """Runs the refreshes of a cache, which log lines call by its name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last_line = -_SECONDS_BETWEEN_LINES
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition(a_few_lines)  # guards the attributes below
        self._queue: deque[tuple[FullKey, Callable[[], None]]] = deque()
        self._pending: set[FullKey] = set()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        # By event loop. The tasks of a loop that was closed will never be done.
        self._tasks: PerLoop[_Tasks] = PerLoop(lambda loop: {}, lambda tasks: close_tasks(tasks.values()))
        self._closed = False

    # Threads

    def submit(self, key: FullKey, job: Callable[[], None]) -> None:
        """Have a thread do a job soon, in the caller's context, unless one for this key is waiting or under way."""
        context = copy_context()
        with self._changed:
            if self._closed or key in self._pending or len(self._queue) >= _QUEUED_AT_MOST:
                return
            self._pending.add(key)
            self._queue.append((key, lambda: context.run(job)))
            if self._idle >= len(self._queue):
                self._changed.notify()
                return
            if len(self._threads) >= _THREADS_AT_MOST:
                return
            thread = threading.Thread(target=self._work, name="hitrate-refresh", daemon=True)
            self._threads.add(thread)
        try:
            thread.start()  # without the lock: ``start`` waits for the first steps of the new thread, which may need it
        except BaseException as error:
            self._without(thread)
            if not isinstance(error, RuntimeError):
                raise
            # The system has no thread to spare, or the interpreter is about to exit.
            log.debug("%s: a refresh was left to a later call: %s", self._name, error)

    def _without(self, thread: threading.Thread) -> None:
        """Forget a thread that could not be started, and what it was to do."""
        with self._changed:
            self._threads.discard(thread)
            if not self._threads:
                self._queue.clear()
                self._pending.clear()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._queue or self._closed, _LINGER_SECONDS)
                self._idle -= 1
                if self._closed or not self._queue:
                    self._threads.discard(threading.current_thread())
                    self._changed.notify_all()
                    return
                key, job = self._queue.popleft()
            try:
                job()
            except BaseException as error:  # SystemExit, too: this thread goes on with other jobs
                self.failed(key, error)
            finally:
                with self._changed:
                    self._pending.discard(key)
            del job  # so that what it holds is freed while this thread waits for the next

    # Tasks

    def start(self, key: FullKey, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have a task of the running event loop do a job, unless one for this key is under way."""
        with self._changed:
            if self._closed:
                return
            tasks = self._tasks.get()
            if key in tasks or len(tasks) >= _TASKS_AT_MOST:
                return
            task = asyncio.get_running_loop().create_task(self._do(key, job), name="hitrate-refresh")
            tasks[key] = task
        task.add_done_callback(lambda task: tasks.pop(key, None))

    async def _do(self, key: FullKey, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await job()
        except Exception as error:
            self.failed(key, error)

    def failed(self, key: FullKey, error: BaseException) -> None:
        """Log, at most once a minute, that a value could not be refreshed. The old one is served until it expires."""
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        namespace, name = key
        log.warning("%s: namespace %r, key %r could not be refreshed: %r", self._name, namespace, name, error)

    # The end

    def close(self) -> None:
        """Start nothing more; cancel tasks, and wait for threads, a few seconds at most."""
        self._stop()
        if within_change():  # a finaliser closes the cache: a job that runs may be waiting for this very thread
            return
        deadline = time.monotonic() + _CLOSE_SECONDS
        with self._changed:
            others = self._threads - {threading.current_thread()}
            if not self._changed.wait_for(lambda: not others & self._threads, deadline - time.monotonic()):
                log.warning("%s: closed while %d refreshes were running", self._name, len(others & self._threads))

    async def aclose(self) -> None:
        """Do ``close`` without blocking the event loop."""
        tasks = self._stop()
        loop = asyncio.get_running_loop()
        mine = [task for task in tasks if task.get_loop() is loop and task is not asyncio.current_task()]
        if mine:
            await asyncio.wait(mine)
        if self._threads:
            await asyncio.to_thread(self.close)

    def _stop(self) -> list[asyncio.Task[None]]:
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
            tasks = [task for tasks in self._tasks.all() for task in list(tasks.values())]
        for task in tasks:
            with suppress(RuntimeError):  # its loop was closed, and it with it
                task.get_loop().call_soon_threadsafe(task.cancel)
        return tasks

    def after_fork_in_child(self) -> None:
        """Forget the threads and tasks of the parent, which the child does not have."""
        closed = self._closed
        self._reset()
        self._closed = closed
