"""What tests of several folders share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.util import Finalize
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from servers.shared import (
    cluster_url,
    empty_table,
    new_prefix,
    nodes_at,
    postgres_url,
    redis_url,
    server,
    spare_tables,
    table,
)

__all__ = [
    "cluster_url",
    "empty_table",
    "new_prefix",
    "nodes_at",
    "postgres_url",
    "redis_url",
    "server",
    "spare_tables",
    "table",
]


# Also where a test imports one of these before the package, which asks for it itself.
pytest.register_assert_rewrite("hitrate.testing.contract", "hitrate.testing.lease_contract")


def pytest_configure(config: pytest.Config) -> None:
    """Let the programs that tests start be interrupted, also where a shell without job control runs the tests beside
    other work: it has them ignore Ctrl-C, and with them all that they start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.getoption("--hypothesis-profile", None):
        _try_the_same_examples()
    # What is imported and collected stays: to look through it again and again takes a third of the time.
    gc.disable()
    _keep_files_in_memory()
    _tell_less(config)


def _try_the_same_examples() -> None:
    """Have Hypothesis try the same examples each time, and give them the time they take, whether this is CI or not.

    ``--hypothesis-profile=default`` tries others.
    """
    slow = [HealthCheck.too_slow]
    settings.register_profile("same", derandomize=True, database=None, deadline=None, suppress_health_check=slow)
    settings.load_profile("same")


def _keep_files_in_memory() -> None:
    """Make the thousands of files of tests and servers in memory, if there is room and TMPDIR does not say where."""
    memory = "/dev/shm"
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return
    if shutil.disk_usage(memory).free < 4 << 30 or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return
    folder = tempfile.mkdtemp(prefix="hitrate-tests-", dir=memory)
    os.chmod(folder, 0o755)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    # At the very end: multiprocessing removes what it made there itself when the interpreter ends.
    Finalize(None, shutil.rmtree, [folder], {"ignore_errors": True}, exitpriority=-200)


def _tell_less(config: pytest.Config) -> None:
    """Of several processes, let each send the one that counts two messages for a test that passed, not six.

    To read six takes that one as long as many a test takes. Durations and a report in XML need them all.
    """
    if config.getoption("durations", None) is not None or config.getoption("xmlpath", None):
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":  # xdist's, in a process that it started
            plugin.sendevent = partial(_send_some, plugin.sendevent)


def _send_some(send: Callable[..., None], name: str, **content: Any) -> None:
    report = content["data"] if name == "testreport" else {"when": "call"}
    is_news = report["when"] == "call" or report["outcome"] != "passed"
    if is_news and name not in ("logstart", "logfinish"):
        send(name, **content)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several processes, let some run what waits while others run what computes, to the end.

    They take the files and classes in this order. Those with many tests compute; those with few wait for servers and
    other processes, and all of them at the end would leave nothing to compute meanwhile.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    scopes: dict[str, list[pytest.Item]] = {}
    for item in items:
        scopes.setdefault(item.nodeid.rsplit("::", 1)[0], []).append(item)
    by_size = deque(sorted(scopes.values(), key=len))
    items.clear()
    while by_size:
        items += by_size.popleft()
        if by_size:
            items += by_size.pop()


def pytest_collection_finish() -> None:
    """Leave the thousands of tests, and the modules that they import, out of the collections that follow.

    Many tests collect, some at each of a hundred allocations, and each time the collector would look at all of it.
    """
    # Where the variable CI is set, Hypothesis registers its random numbers at the first example, and old releases warn
    # if they find nobody who holds them: the holder must not be frozen yet.
    settings(max_examples=1, database=None)(given(strategies.none())(lambda _: None))()
    _leave_counters_until_a_cache_is_closed()
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _what_is_there_is_not_looked_at_again() -> None:
    """Leave out what the tests of files before this one have imported, too."""
    gc.collect()
    gc.freeze()


class _Untold(weakref.WeakSet[Any]):
    """Caches that the thread which tells their counters to backends finds none of."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def _leave_counters_until_a_cache_is_closed() -> None:
    """Have no counters be told to a backend but when a cache is closed or collected, or a test says so.

    A thread does it every ten seconds of the process, so amid any test: a command, a connection, a commit or a line in
    the log more than those that the test counts.
    """
    from hitrate import lifetime

    lifetime._told_of = _Untold()
