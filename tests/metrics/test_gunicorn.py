"""What docs/operations.md says of several processes: its ``gunicorn.conf.py`` adds up all workers."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
DEADLINE = 60.0
APP = """
import os
from hitrate import SqliteCache
from hitrate.metrics import prometheus

cache = SqliteCache("shared.db")
prometheus(cache, name="shared")

def app(environ, start_response):
    cache.get([(("a",), environ["PATH_INFO"])])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=DEADLINE) as page:
        text: str = page.read().decode()
    return text


def misses_of(targets: Path) -> float:
    told = 0.0
    for path in targets.iterdir():
        (target,) = json.loads(path.read_text())[0]["targets"]
        for family in text_string_to_metric_families(fetched(f"http://{target}/metrics")):
            told += sum(
                sample.value
                for sample in family.samples
                if sample.name == "hitrate_lookups_total" and sample.labels["result"] == "miss"
            )
    return told


def test_the_figures_of_all_workers_add_up(tmp_path: Path) -> None:
    config = re.search(r"```py\n(.*?)```", PAGE, re.DOTALL)
    assert config
    targets = tmp_path / "targets"
    targets.mkdir()
    (tmp_path / "gunicorn.conf.py").write_text(config[1].replace('"/run/targets"', repr(str(targets))))
    (tmp_path / "program.py").write_text(APP)
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        own.set_inheritable(True)
        command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "2", "--bind"]
        server = subprocess.Popen(
            [*command, f"fd://{own.fileno()}", "program:app"],
            cwd=tmp_path,
            pass_fds=[own.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            end = time.monotonic() + DEADLINE
            while len(list(targets.glob("*.json"))) < 2:
                assert time.monotonic() < end
                assert server.poll() is None
                time.sleep(0.05)
            url = f"http://127.0.0.1:{own.getsockname()[1]}"
            asked, workers = 0, set()
            while len(workers) < 2:  # which worker answers is the system's to say
                assert time.monotonic() < end
                workers.add(fetched(f"{url}/{asked}"))
                asked += 1
            assert misses_of(targets) == asked
        finally:
            server.terminate()
            _, told = server.communicate(timeout=DEADLINE)
    assert server.returncode == 0, told
    assert list(targets.iterdir()) == []
