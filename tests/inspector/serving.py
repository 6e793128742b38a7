"""An inspector as ``hitrate serve`` runs it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx


class Served:
    """A running inspector.

    Attributes:
        process: the command.
        url: what it printed.
        base: the same without the token.
        get: asks for a page, with the token.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        self.url: str = json.loads(line)["url"]
        self.base, _, self.token = self.url.partition("?token=")
        self.client = httpx.Client(base_url=self.base, headers={"authorization": f"Bearer {self.token}"}, timeout=60)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.client.get(path, params=query or None)

    def listed(self, path: str, **query: Any) -> Any:
        """Return the JSON of a page as soon as there is a list of entries."""
        while True:
            page = self.get(f"{path}.json", **query).json()
            if page["listed"] is not None:
                return page
            assert not page["failure"], page
            assert self.process.poll() is None


@contextmanager
def serving(url: str, *options: str, cwd: Path | None = None) -> Iterator[Served]:
    """Run ``hitrate serve`` on a free port, until the end of the ``with`` block."""
    command = [sys.executable, "-W", "error", "-m", "hitrate", "serve", url, "--port", "0", "--json", *options]
    process = subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    served = None
    try:
        served = Served(process)
        yield served
    finally:
        if served is not None:
            served.client.close()
        process.kill()
        process.communicate()
