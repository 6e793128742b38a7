"""Whatever happens to what is stored, a run is as it would be without a cache."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sample_graphs import Run, Work, counting_documents, one_node

from graphs.conftest import EVERY_KIND
from hitrate import ClosedError, MsgpackSerializer
from hitrate.langgraph import SqliteCache


@pytest.fixture(params=EVERY_KIND)
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestBadDays:
    """Whatever happens to what is stored, a run is as it would be without a cache."""

    def test_an_entry_that_cannot_be_decoded_is_executed_again(
        self, open_cache: Any, run: Run, calls: Counter[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(MsgpackSerializer):
            def loads_typed(self, data: tuple[str, bytes]) -> Any:
                value = super().loads_typed(data)
                if ("lengths", [("bad", 3)]) in value:
                    raise ValueError("damaged")
                return value

        graph = counting_documents(calls, open_cache(serde=Broken()))
        first = run(graph, {"documents": ["good", "bad", "better"]})
        assert run(graph, {"documents": ["good", "bad", "better"]}) == first
        assert calls == {"measure": 4, "join": 1}
        assert "damaged" in caplog.text

    def test_a_serializer_that_fails_is_a_cache_that_is_not_there(
        self, open_cache: Any, run: Run, calls: Counter[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Failing(MsgpackSerializer):
            def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
                raise OSError("the key server is down")

        graph = counting_documents(calls, cache := open_cache(serde=Failing()))
        assert run(graph, {"documents": ["a", "b"]})["total"] == 2
        assert run(graph, {"documents": ["a", "b"]})["total"] == 2
        assert (calls["measure"], cache.stats().errors) == (4, 6)
        assert "the key server is down" in caplog.text

    def test_use_after_close_is_a_mistake_and_raises(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        cache.close()
        with pytest.raises(ClosedError):
            run(graph, {"documents": ["a"]})

    @pytest.mark.parametrize("store_kind", ["memory", "sqlite"])  # limits on Redis are its server's
    def test_a_bounded_cache_only_forgets(self, open_cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, open_cache(max_entries=10))
        documents = [str(number) for number in range(50)]
        first = run(graph, {"documents": documents})
        assert run(graph, {"documents": documents}) == first
        assert calls["measure"] > 50


class TestTheFile:
    """What is particular to a SqliteCache."""

    DOCUMENTS = tuple(f"document {number}" for number in range(20))

    def test_a_run_in_another_process_is_all_hits(self, tmp_path: Path, run: Run, calls: Counter[str]) -> None:
        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as cache:
            first = run(counting_documents(calls, cache), {"documents": self.DOCUMENTS})
        with SqliteCache[Any](path=path) as cache:
            assert run(counting_documents(calls, cache), {"documents": self.DOCUMENTS}) == first
            assert (cache.stats().hits, cache.stats().misses) == (21, 0)
        assert calls == {"measure": 20, "join": 1}

    def test_two_graphs_with_a_handle_each_share_it(self, tmp_path: Path, run: Run, calls: Counter[str]) -> None:
        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as one, SqliteCache[Any](path=path) as other:
            first = run(counting_documents(calls, one), {"documents": self.DOCUMENTS})
            assert run(counting_documents(calls, other), {"documents": self.DOCUMENTS}) == first
            assert calls == {"measure": 20, "join": 1}
            counting_documents(calls, one).clear_cache()
            assert other.stats().entries == 0

    @pytest.mark.parametrize("when", ["before it is opened", "while it is open"])
    def test_a_damaged_file_lets_the_run_go_on(
        self, tmp_path: Path, run: Run, calls: Counter[str], when: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as cache:
            first = run(counting_documents(calls, cache), {"documents": self.DOCUMENTS})
        if when == "before it is opened":
            self.damage(path)
        with SqliteCache[Any](path=path) as cache:
            if when == "while it is open":
                self.damage(path)
            for _ in range(2):
                assert run(counting_documents(calls, cache), {"documents": self.DOCUMENTS}) == first
        assert calls["measure"] >= 20

    def damage(self, path: Path) -> None:
        """Overwrite all pages but the first with noise."""
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(random.Random(1).randbytes(max(0, size - 4096)))

    def test_a_file_that_another_process_has_locked_lets_the_run_go_on(
        self, tmp_path: Path, run: Run, calls: Counter[str]
    ) -> None:
        def node(state: Work) -> Work:
            calls[str(state["number"])] += 1
            return {"items": [state["number"]]}

        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as cache:
            graph = one_node(node, cache)
            run(graph, {"number": 1})
            with locked_by_another_process(path):
                assert run(graph, {"number": 1})["items"] == [1]
                assert calls == {"1": 1}, "a read waited for, or failed because of, a writer"
                assert run(graph, {"number": 2})["items"] == [2]
            for _ in range(2):
                assert run(graph, {"number": 3})["items"] == [3]
            assert calls["3"] == 1


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    """Hold a database's write lock in another process: two copies of SQLite in one do not see each other's locks."""
    lock = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", lock, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
        other.communicate()
