"""Other processes that hold leases, told by lines: ``python -c ... hold(path, seconds)``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

HERE = str(Path(__file__).parent)
KEY = (b"\x06leases\x01a", b"key")


def hold(path: str, seconds: float) -> None:
    """Take the lease when told to, and settle it when told to; say what came of each."""
    from hitrate import SqliteCache

    with SqliteCache[object](path=path, on_error="raise") as cache:
        store = cache._store
        token = uuid4().bytes
        print("ready", flush=True)
        sys.stdin.readline()
        print("held" if list(store.lease([KEY], token, seconds)) == [0.0] else "refused", flush=True)
        value = sys.stdin.readline().strip()
        if value:
            late = store.settle({KEY: ("bytes", value.encode(), None, 1.0)}, token)
            print("late" if late else "stored", flush=True)


class Holder(subprocess.Popen[str]):
    """A process that is ready to take the lease."""

    def __init__(self, path: Path, seconds: float) -> None:
        code = f"import lease_children; lease_children.hold({str(path)!r}, {seconds!r})"
        command = [sys.executable, "-W", "error", "-c", code]
        super().__init__(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def tell(self, line: str) -> None:
        assert self.stdin is not None
        self.stdin.write(line + "\n")
        self.stdin.flush()

    def line(self) -> str:
        assert self.stdout is not None
        return self.stdout.readline().strip()


@contextmanager
def holders(path: Path, seconds: float, count: int) -> Iterator[list[Holder]]:
    """Have some processes that are ready to take the lease; they do not outlive the block."""
    processes = [Holder(path, seconds) for _ in range(count)]
    try:
        for process in processes:
            assert process.line() == "ready"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()
