"""Teams of processes that are told what to compute, and tell how it goes."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bad_days.bad_day_processes import Other

_SECONDS = 120.0


class Computer(Other):
    """A process that runs one function of ``computing_children``."""

    module = "computing_children"
    folder = str(Path(__file__).parent)


class Team:
    """Processes, by number, and what they have said since they were last given an order.

    Attributes:
        said: for each word the numbers of those who said it and what else they said, in the order it came.
    """

    def __init__(self, count: int) -> None:
        self._processes = [Computer("serve", number) for number in range(count)]
        self._partial = [b""] * count
        self._selector = selectors.DefaultSelector()
        for number, process in enumerate(self._processes):
            self._selector.register(process.stdout, selectors.EVENT_READ, number)  # type: ignore[arg-type]
        self.said: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        self.wait("ready", count)

    def order(self, do: str, where: dict[str, Any], *names: str, to: Any = None, **more: Any) -> None:
        """Order some of them, all for None, to do something; forget what was said before."""
        self.said.clear()
        self.order_too(do, where, *names, to=to, **more)

    def order_too(self, do: str, where: dict[str, Any], *names: str, to: Any = None, **more: Any) -> None:
        """Order as ``order``, and forget nothing."""
        line = json.dumps({"do": do, "where": where, "names": names, **more})
        for number in range(len(self._processes)) if to is None else to:
            self.tell(number, line)

    def tell(self, number: int, line: str) -> None:
        """Say a line to one: an order, or how what it computes is to end."""
        self._processes[number].tell(line)

    def wait(self, word: str, count: int = 1) -> list[tuple[int, Any]]:
        """Wait until a word has been said so often; return by whom, and what with it."""
        self.until(lambda: len(self.said[word]) >= count, f"{word!r} {count} times")
        return self.said[word]

    def until(self, holds: Callable[[], Any], what: str) -> None:
        """Wait until something holds of what was said."""
        deadline = time.monotonic() + _SECONDS
        while not holds():
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain for {what}; said was {dict(self.said)}"
            self._listen(left)

    def _listen(self, seconds: float) -> None:
        for selected, _ in self._selector.select(seconds):
            number = selected.data
            data = os.read(selected.fd, 65536)
            if not data:
                self._selector.unregister(selected.fileobj)
                process = self._processes[number]
                if process.wait(30) != -signal.SIGKILL:
                    raise AssertionError(f"it ended with {process.returncode}: {process.stderr.read()}")  # type: ignore[union-attr]
            *lines, self._partial[number] = (self._partial[number] + data).split(b"\n")
            for line in lines:
                word, *more = json.loads(line)
                self.said[word].append((number, more[0] if more else None))

    def ask(self, do: str, where: dict[str, Any], *names: str, of: int = 0, **more: Any) -> Any:
        """Have one of them do something at once; return what that returned."""
        before = len(self.said["returned"])
        self.order_too(do, where, *names, to=[of], **more)
        (_, returned) = self.wait("returned", before + 1)[before]
        del self.said["returned"][before]
        return returned

    def signal(self, number: int, which: signal.Signals) -> None:
        """Send a signal to one."""
        self._processes[number].send_signal(which)

    def end(self) -> None:
        """End all of them, and see that they had nothing to complain of."""
        complaints = []
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
            out, err = process.communicate(timeout=60)
            if err or process.returncode not in (0, -signal.SIGKILL):
                complaints.append((process.returncode, err))
            del out
        assert not complaints

    def kill(self) -> None:
        """End all of them at once."""
        self._selector.close()
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@contextmanager
def team_of(count: int) -> Iterator[Team]:
    """Have a team for a while."""
    team = Team(count)
    try:
        yield team
        team.end()
    finally:
        team.kill()
