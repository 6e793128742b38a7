"""The process that tries: a pytest session which tells its parent what it begins and how that ends."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from hitrate.testing.capabilities import NotOffered
from hitrate.testing.subject import Subject, UnusableError
from hitrate.testing.verdicts import Message, Trial, TrialOutcome, Verdict

_SHOWN = 60


def run(subject: Subject, done: frozenset[str], directory: Path, parent: Connection[Message, None]) -> None:
    """Try the subject and tell ``parent`` about it, but for the tests that an earlier session has done."""
    os.setsid()  # so that the parent can end this process together with whatever it has forked
    _be_reproducible(directory)
    arguments = ["--pyargs", "hitrate.testing.probe", "--noconftest"]
    arguments += ["-c", os.devnull, f"--rootdir={directory}", f"--basetemp={directory / 'trials'}"]
    arguments += ["-p", "no:terminal", "-p", "no:cacheprovider"]
    pytest.main(arguments, plugins=[Session(subject, done, directory, parent)])
    parent.send(None)


def _be_reproducible(directory: Path) -> None:
    """Keep the settings of the directory the command was started in out of it, and chance too."""
    os.environ.update(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", HYPOTHESIS_STORAGE_DIRECTORY=str(directory))
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    from hypothesis import Phase, settings

    # A failure is enough for a report; the smallest one is for the author's own test run.
    settings.register_profile("hitrate", derandomize=True, database=None, phases=[Phase.generate])
    settings.load_profile("hitrate")


class Session:
    """The pytest plugin that gives the subject to the tests and tells the parent how they end."""

    def __init__(
        self, subject: Subject, done: frozenset[str], directory: Path, parent: Connection[Message, None]
    ) -> None:
        self._subject = subject
        self._done = done
        self._directory = directory
        self._parent = parent
        self._came_of = Verdict.HOLDS, ""

    def pytest_sessionstart(self) -> None:
        """See whether there is anything to try."""
        try:
            self._subject.check(self._directory)
        except UnusableError as error:
            self._parent.send(error)
            os._exit(0)  # pytest has nothing to do, and would say so

    @pytest.fixture
    def subject(self) -> Subject:
        """The cache that is tried."""
        return self._subject

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests of the subject's contract, and leave out what has been run."""
        contract = "::TestFull::" if self._subject.is_full() else "::TestDocumented::"
        items[:] = [item for item in items if contract in item.nodeid and item.nodeid not in self._done]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Tell the parent about the test before and after."""
        trial = trial_of(item)
        self._parent.send(trial)
        self._came_of = Verdict.HOLDS, ""
        result = yield
        self._parent.send(TrialOutcome(trial, *self._came_of))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Remember the first thing that went wrong, in setup, call or teardown."""
        report = yield
        if call.excinfo is not None and self._came_of[0] is Verdict.HOLDS:
            self._came_of = _verdict(call.excinfo.value), one_line(call.excinfo.value)
        return report

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Say what is missing, or came in the place of what; pytest would show the beginnings and ends of both."""
        try:
            told = _DIFFERENCES[op](left, right)
        except Exception:  # an operator or values of another kind: pytest tells them
            return None
        return [told]


def _difference(found: Any, right: Any) -> str:
    """Say in what a value differs from the right one: of dicts and lists what only one of them has."""
    more, less = _besides(found, right), _besides(right, found)
    if more and less:
        return f"got {_brief(more)} instead of {_brief(less)}"
    if more or less:
        return f"{_brief(more)} should not be there" if more else f"{_brief(less)} is missing"
    return f"got {_brief(found)} instead of {_brief(right)}"


def _besides(value: Any, other: Any) -> Any:
    if type(value) is type(other) is dict:
        return {key: each for key, each in value.items() if key not in other or other[key] != each}
    return [each for each in value if each not in other] if type(value) is type(other) is list else None


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


_DIFFERENCES: dict[str, Callable[[Any, Any], str]] = {
    "==": _difference,
    "in": lambda left, _: f"{_brief(left)} is missing",
    "not in": lambda left, _: f"{_brief(left)} should not be there",
}
_TOLD = re.compile(r"assert (got .+ instead of .+|.+ is missing|.+ should not be there)")


def _verdict(failure: BaseException) -> Verdict:
    if isinstance(failure, NotOffered):
        return Verdict.NOT_OFFERED
    return Verdict.NOT_TRIED if isinstance(failure, pytest.skip.Exception) else Verdict.BROKEN


def trial_of(item: pytest.Item) -> Trial:
    """Read off a test what it tries."""
    function: Any = getattr(item, "function", None)
    cls: Any = getattr(item, "cls", object)
    parameters = dict(getattr(getattr(item, "callspec", None), "params", {}))
    face = parameters.pop("face", None)
    home, place = next((cls, place) for place, cls in enumerate(cls.__mro__) if function.__name__ in vars(cls))
    return Trial(
        test=item.nodeid,
        group=home.__doc__.splitlines()[0],
        promise=function.__doc__.splitlines()[0],
        case=", ".join(map(_name, parameters.values())),
        face=face.name if face else "",
        order=(place, list(vars(home)).index(function.__name__)),
    )


def _name(parameter: object) -> str:
    name = getattr(parameter, "__name__", parameter)
    return without_addresses(name if isinstance(name, str) else repr(name))


def one_line(failure: BaseException) -> str:
    """Say in one line what went wrong, the same each time: no addresses."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    text = str(failure).strip()
    line = text.splitlines()[0] if text else ""
    line = without_addresses(line)
    if told := _TOLD.fullmatch(line):
        line = told[1]
    if not isinstance(failure, AssertionError | pytest.fail.Exception | pytest.skip.Exception):
        line = f"{type(failure).__name__}: {line}".removesuffix(": ")
    return line.encode("ascii", "backslashreplace").decode() or type(failure).__name__


def without_addresses(text: str) -> str:
    """Leave out what differs from run to run: the address in the repr of an object."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
