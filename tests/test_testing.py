"""The contract suite itself: a correct cache passes it, and each broken one fails the promise it breaks."""

from __future__ import annotations

import copy
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

from hitrate.testing import CacheContract, Clock, DocumentedContract, WallClock, requirements
from hitrate.testing.__main__ import main
from hitrate.testing.report import Report
from hitrate.testing.subject import Subject
from hitrate.testing.trials import try_out
from hitrate.testing.verdicts import Trial, TrialOutcome, Verdict


class DictCache:
    """A correct cache in its smallest form: a dict of deep copies and a clock."""

    def __init__(self, *, serde: Any = None, clock: Callable[[], float] = time.time) -> None:
        self._serde = serde
        self._clock = clock
        self._entries: dict[Any, tuple[Any, float]] = {}
        self._lock = RLock()

    def get(self, keys: Sequence[Any]) -> dict[Any, Any]:
        for key in keys:
            self._check(key)
        found = {}
        with self._lock:
            for key in keys:
                payload, expiry = self._entries.get(self._slot(key), (None, -math.inf))
                if self._is_fresh(expiry):
                    try:
                        found[key] = self._load(payload)
                    except ValueError:
                        continue
        return found

    async def aget(self, keys: Sequence[Any]) -> dict[Any, Any]:
        return self.get(keys)

    def set(self, pairs: Mapping[Any, tuple[Any, float | None]]) -> None:
        now = self._clock()
        entries = {}
        for key, (value, ttl) in pairs.items():
            self._check(key)
            expiry = math.inf if ttl is None else now + ttl
            if math.isnan(expiry):
                raise ValueError("the TTL is NaN")
            entries[self._slot(key)] = self._dump(value), expiry
        with self._lock:
            self._entries.update(entries)

    def aset(self, pairs: Mapping[Any, tuple[Any, float | None]]) -> Awaitable[None]:
        self.set(pairs)
        return self._nothing()

    def clear(self, namespaces: Sequence[Any] | None = None) -> None:
        if namespaces is not None:
            for namespace in namespaces:
                self._check((namespace, ""))
        with self._lock:
            for slot in list(self._entries):
                if namespaces is None or self._is_within(slot, namespaces):
                    del self._entries[slot]

    async def aclear(self, namespaces: Sequence[Any] | None = None) -> None:
        self.clear(namespaces)

    async def _nothing(self) -> None:
        pass

    def _slot(self, key: Any) -> Any:
        return key

    def _is_within(self, slot: Any, namespaces: Sequence[Any]) -> bool:
        return slot[0] in namespaces

    def _is_fresh(self, expiry: float) -> bool:
        return self._clock() < expiry

    def _dump(self, value: Any) -> Any:
        return self._serde.dumps_typed(value) if self._serde else copy.deepcopy(value)

    def _load(self, payload: Any) -> Any:
        return self._serde.loads_typed(payload) if self._serde else copy.deepcopy(payload)

    @staticmethod
    def _check(key: Any) -> None:
        if not isinstance(key, tuple) or len(key) != 2:
            raise TypeError(f"{key!r} is not a full key")
        namespace, name = key
        if not isinstance(namespace, tuple) or not isinstance(name, str):
            raise TypeError(f"{key!r} is not a full key")
        if not all(isinstance(part, str) for part in namespace):
            raise TypeError(f"the namespace {namespace!r} holds more than str")


class TestDictCache(DocumentedContract):
    @pytest.fixture
    def make_cache(self, clock: Clock) -> Callable[..., Any]:
        return partial(DictCache, clock=clock)


class JoinedNamespaces(DictCache):
    def _slot(self, key: Any) -> Any:
        return (",".join(key[0]),), key[1]

    def _is_within(self, slot: Any, namespaces: Sequence[Any]) -> bool:
        return slot[0] in [(",".join(namespace),) for namespace in namespaces]


class SharedValues(DictCache):
    def _load(self, payload: Any) -> Any:
        return self._serde.loads_typed(payload) if self._serde else payload


class NoTtl(DictCache):
    def _is_fresh(self, expiry: float) -> bool:
        return expiry > 0


class PrefixClear(DictCache):
    def _is_within(self, slot: Any, namespaces: Sequence[Any]) -> bool:
        return any(slot[0][: len(namespace)] == namespace for namespace in namespaces)


class UnaskedKeys(DictCache):
    def get(self, keys: Sequence[Any]) -> dict[Any, Any]:
        more = [(("namespace",), "b")] if (("namespace",), "c") in keys else []
        return super().get([*keys, *more])


class LateAset(DictCache):
    async def aset(self, pairs: Mapping[Any, tuple[Any, float | None]]) -> None:
        self.set(pairs)


class HalfBatches(DictCache):
    def set(self, pairs: Mapping[Any, tuple[Any, float | None]]) -> None:
        for key, pair in pairs.items():
            super().set({key: pair})


class FalseWhenEmpty(DictCache):
    def __len__(self) -> int:
        return len(self._entries)


def hang() -> None:
    time.sleep(3600)


class HangingClear(DictCache):
    async def aclear(self, namespaces: Sequence[Any] | None = None) -> None:
        if namespaces == [("unknown",)]:
            hang()
        self.clear(namespaces)


class DyingClear(DictCache):
    def clear(self, namespaces: Sequence[Any] | None = None) -> None:
        if namespaces == [("unknown",)]:
            os._exit(1)
        super().clear(namespaces)


class WrongClear(HangingClear, DyingClear, PrefixClear):
    """The async face hangs, the sync one kills its process, and both clear too much."""


FAULTS: dict[type[DictCache], set[str]] = {
    SharedValues: {"test_a_changed_hit_changes_nothing_in_the_cache"},
    NoTtl: {
        "test_an_expired_entry_is_never_returned",
        "test_a_fraction_of_a_second_is_a_ttl",
        "test_a_read_does_not_renew_a_ttl",
        "test_overwriting_sets_the_ttl_anew",
        "test_a_ttl_of_nothing_removes_the_key",
    },
    UnaskedKeys: {"test_only_keys_that_were_asked_for_are_returned"},
    LateAset: {"test_aset_serialises_when_it_is_called", "test_aset_takes_the_mapping_when_it_is_called"},
    HalfBatches: {
        "test_set_refuses_what_is_not_a_full_key",
        "test_set_refuses_what_is_not_a_value_with_its_ttl",
        "test_a_batch_with_an_unserialisable_value",
        "test_a_ttl_of_another_type_is_a_type_error",
    },
    FalseWhenEmpty: {"test_a_cache_is_always_true"},
    JoinedNamespaces: {
        "test_different_full_keys_never_meet",
        "test_clear_removes_exactly_one_namespace",
        "test_hostile_namespaces_are_cleared_exactly",
    },
}
"""Caches with one fault each, and the tests that find it. None hides another, so that one trial finds all of them."""


class SevenFaults(HalfBatches, LateAset, UnaskedKeys, NoTtl, SharedValues, FalseWhenEmpty, JoinedNamespaces):
    pass


BROKEN: dict[type[DictCache], set[str]] = {
    SevenFaults: set().union(*FAULTS.values()),
    WrongClear: {
        "test_an_unknown_namespace_is_no_error",
        "test_clear_removes_exactly_one_namespace",
        "test_several_namespaces_are_cleared",
        "test_hostile_namespaces_are_cleared_exactly",
        "test_forty_thousand_namespaces_in_one_call",
    },
}
"""Caches with faults, and the tests that find them."""


def tried(cls: type[DictCache]) -> list[TrialOutcome]:
    seconds = 30 if cls is WrongClear else 300  # what hangs is waited for; a busy machine takes long for 130,000 keys
    return try_out(Subject(f"{__name__}:{cls.__name__}", contract="documented"), seconds=seconds)


@pytest.fixture(scope="module")
def trials() -> Iterator[dict[type[DictCache], Future[list[TrialOutcome]]]]:
    """The trials of the broken caches, side by side; the slowest first."""
    with ThreadPoolExecutor(2) as threads:
        yield {cls: threads.submit(tried, cls) for cls in reversed(BROKEN)}


@pytest.mark.parametrize("cls", BROKEN)
def test_a_fault_fails_the_promises_it_breaks_and_no_others(
    trials: dict[type[DictCache], Future[list[TrialOutcome]]], cls: type[DictCache]
) -> None:
    assert broken(trials[cls].result()) == BROKEN[cls]


def test_a_test_that_hangs_is_ended_and_named(trials: dict[type[DictCache], Future[list[TrialOutcome]]]) -> None:
    assert reason(trials[WrongClear].result(), "async") == "it did not end in 30 seconds"


def test_what_differs_is_told_in_a_sentence(trials: dict[type[DictCache], Future[list[TrialOutcome]]]) -> None:
    told = reasons(trials[SevenFaults].result())
    assert told["A TTL may be a fraction of a second."] == ["{(('namespace',), 'a'): 'short'} should not be there"]
    (of_clear,) = {
        *reasons(trials[WrongClear].result())["Several namespaces are cleared in one call; one may be named twice."]
    }
    assert re.fullmatch(r"\[\('a', 'b'\), .+ is missing", of_clear)


def test_a_test_that_kills_its_process_is_named(trials: dict[type[DictCache], Future[list[TrialOutcome]]]) -> None:
    assert reason(trials[WrongClear].result(), "sync") == "the process died"


def test_a_trial_that_was_interrupted_goes_on_with_the_rest(
    trials: dict[type[DictCache], Future[list[TrialOutcome]]],
) -> None:
    assert names(trials[WrongClear].result()) == names(trials[SevenFaults].result())


def reason(outcomes: list[TrialOutcome], face: str) -> str:
    """Why a clear of an unknown namespace is broken."""
    (found,) = (
        outcome.reason
        for outcome in outcomes
        if "test_an_unknown_namespace_is_no_error" in outcome.trial.test and outcome.trial.face == face
    )
    return found


def reasons(outcomes: list[TrialOutcome]) -> dict[str, Sequence[str]]:
    """Why each promise is broken that is."""
    promises = (promise for group in Report.of(outcomes).groups.values() for promise in group)
    return {promise.text: promise.reasons() for promise in promises if promise.verdict is Verdict.BROKEN}


def broken(outcomes: list[TrialOutcome]) -> set[str]:
    """The tests that fail, but for the random one: what it finds, another has found."""
    return {
        outcome.trial.test.rpartition("::")[2].partition("[")[0]
        for outcome in outcomes
        if outcome.verdict is Verdict.BROKEN and outcome.trial.group != "Random operations"
    }


def names(outcomes: list[TrialOutcome]) -> list[str]:
    return sorted(outcome.trial.test for outcome in outcomes)


@pytest.fixture(scope="module")
def langgraph_reports() -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """What the command prints on LangGraph's own caches."""

    def command(target: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "hitrate.testing", target]
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)

    targets = ["langgraph.cache.memory:InMemoryCache", "langgraph.cache.sqlite:SqliteCache"]
    with ThreadPoolExecutor(2) as threads:
        yield {target: threads.submit(command, target) for target in targets}


BROKEN_BY_BOTH = [
    "`get` of anything but a full key is a TypeError that names it.",
    "`aset` takes the value as it is when called: a change before the await does not reach the cache.",
    "An entry that cannot be restored is a miss, and no other entry with it.",
    "A TTL may be very long; infinity never expires.",
]
BROKEN_IN_MEMORY = [
    "A value that cannot be serialised is refused, and nothing of its batch is stored: old values stay.",
]
BROKEN_IN_SQLITE = [
    "Two different full keys never meet.",
    "Every str is a legal key.",
    "A namespace may have any number of parts, none included.",
    "Hits come in the order asked.",
    "Any number of keys in one get and one set: 130,000.",
    "A namespace is cleared exactly, never as a prefix or a pattern.",
]
KEPT_BY_BOTH = [
    "A stored None is a hit.",
    "Only keys that were asked for are returned.",
    "Every hit is the caller's own: changing it changes nothing in the cache.",
    "What is expired is never returned; what is not, is.",
    "A cache is usable after a fork, in the parent and in the child.",
]


@pytest.mark.parametrize(
    ("target", "broken", "kept"),
    [
        ("langgraph.cache.memory:InMemoryCache", BROKEN_IN_MEMORY, BROKEN_IN_SQLITE),
        ("langgraph.cache.sqlite:SqliteCache", BROKEN_IN_SQLITE, BROKEN_IN_MEMORY),
    ],
)
def test_the_command_tells_what_the_caches_of_langgraph_keep(
    langgraph_reports: dict[str, Future[subprocess.CompletedProcess[str]]],
    target: str,
    broken: list[str],
    kept: list[str],
) -> None:
    run = langgraph_reports[target].result()
    lines = run.stdout.splitlines()
    assert run.stderr == ""
    assert run.returncode == 1
    assert lines[0] == target
    for promise in [*BROKEN_BY_BOTH, *broken]:
        assert f"  does not hold  {promise}" in lines
    for promise in [*KEPT_BY_BOTH, *kept]:
        assert f"  holds          {promise}" in lines
    assert "promises:" in lines[-1]


def a_function() -> DictCache:
    return DictCache()


def a_function_that_fails() -> DictCache:
    raise OSError("no server here")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("langgraph.cache.memory", "'langgraph.cache.memory' is not of the form module:Class"),
        ("no_such_module:Cache", "no_such_module:Cache cannot be found: No module named 'no_such_module'"),
        ("hitrate.base:Cache", "hitrate.base:Cache cannot be found: module 'hitrate.base' has no attribute 'Cache'"),
        ("sys:path", "sys:path is neither a class nor a function"),
        ("builtins:dict", "builtins:dict makes no cache: it has no aget, set, aset, aclear"),
        ("hitrate.base:BaseCache", "hitrate.base:BaseCache cannot be made: TypeError"),
        (f"{__name__}:a_function_that_fails", "cannot be made: OSError: no server here"),
    ],
)
def test_what_cannot_be_tried_is_told_in_a_line(capfd: pytest.CaptureFixture[str], target: str, complaint: str) -> None:
    assert main([target]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("python -m hitrate.testing: ")
    assert complaint in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["a:B", "--option", "novalue"], ["a:B", "--contract", "some"]])
def test_a_wrong_command_line_exits_with_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m hitrate.testing" in capsys.readouterr().err


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(requirements, "NEEDED", ("pytest", "not_installed"))
    assert main(["a:B"]) == 2
    assert "hitrate.testing needs not_installed: pip install not_installed" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match="pip install not_installed"):
        requirements.register_contract()


def test_the_clocks_need_neither_pytest_nor_hypothesis() -> None:
    blocked = "import sys; sys.modules.update(pytest=None, hypothesis=None); import hitrate.testing as t; t.Clock()()"
    subprocess.run([sys.executable, "-c", blocked], check=True)


class Picky(DictCache):
    def __init__(self, *, size: object, name: object) -> None:
        raise ValueError(f"{size!r} and {name!r} were given")


def test_options_are_literals_or_text(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"{__name__}:Picky", "--option", "size=3", "--option", "name=a=b"]) == 2
    assert "3 and 'a=b' were given" in capfd.readouterr().err


class OnDisk(DictCache):
    def __init__(self, *, path: str) -> None:
        self.path = path


def test_a_path_of_its_own_is_given_where_one_is_needed(tmp_path: Path) -> None:
    subject = Subject(f"{__name__}:OnDisk")
    paths = [Path(subject.make(WallClock(), tmp_path).path) for _ in range(2)]
    assert [path.parent for path in paths] == [tmp_path, tmp_path]
    assert paths[0] != paths[1]


def test_the_full_contract_is_for_what_takes_a_clock() -> None:
    assert Subject(f"{__name__}:DictCache").is_full()
    assert not Subject(f"{__name__}:DictCache", contract="documented").is_full()
    assert not Subject(f"{__name__}:a_function").is_full()
    assert Subject(f"{__name__}:a_function", contract="full").is_full()


def test_a_function_is_not_held_to_options_it_cannot_take() -> None:
    assert Subject(f"{__name__}:a_function").lacks("serde")
    assert not Subject(f"{__name__}:DictCache").lacks("max_bytes")


def outcome(
    promise: str, verdict: Verdict, reason: str = "", *, case: str = "", face: str = "", order: int = 0
) -> TrialOutcome:
    return TrialOutcome(Trial(f"{promise}[{face}-{case}]", "Group", promise, case, face, (0, order)), verdict, reason)


def test_a_report_gives_each_promise_a_line_and_a_reason() -> None:
    report = Report.of(
        [
            outcome("It is second.", Verdict.BROKEN, "it is not", face="async", order=2),
            outcome("It is second.", Verdict.HOLDS, face="sync", order=2),
            outcome("It is first.", Verdict.HOLDS, order=1),
            outcome("It is third.", Verdict.BROKEN, "three", case="a", order=3),
            outcome("It is third.", Verdict.BROKEN, "four", case="b", order=3),
            outcome("It is fourth.", Verdict.NOT_TRIED, "no fork", order=4),
            outcome("It is last.", Verdict.NOT_OFFERED, "no limits", order=5),
        ]
    )
    assert [line for line, _ in report.lines()] == [
        "Group",
        "  holds          It is first.",
        "  does not hold  It is second.",
        "                   async only: it is not",
        "  does not hold  It is third.",
        "                   a: three (and 1 more)",
        "  not tried      It is fourth.",
        "                   no fork",
        "  not offered    It is last.",
        "                   no limits",
        "",
        "5 promises: 1 hold, 2 do not, 1 not tried, 1 not offered",
    ]
    assert "                   b: four" in [line for line, _ in report.lines(every_case=True)]


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = Clock(100.0)
    assert [clock(), clock()] == [100.0, 100.0]
    clock.advance(2.5)
    assert clock() == 102.5
    clock.set(50.0)
    assert clock() == 50.0


def test_moving_the_wall_clock_is_waiting() -> None:
    clock = WallClock()
    before = clock()
    clock.advance(0.01)
    clock.set(before)
    assert clock() >= before + 0.01


def test_the_documentation_lists_every_promise() -> None:
    text = (Path(__file__).parent.parent / "docs" / "testing.md").read_text()
    for name in dir(CacheContract):
        if name.startswith("test_"):
            assert f"- {getattr(CacheContract, name).__doc__.splitlines()[0]}\n" in text


def test_no_promise_hides_another_of_its_name() -> None:
    names = [name for cls in CacheContract.__mro__ for name in vars(cls) if name.startswith("test_")]
    assert len(names) == len({*names})
