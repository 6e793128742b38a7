"""Exceptions of the standard library, each that can be made: a payload without a part of one gives no half of it."""

from __future__ import annotations

import importlib
import itertools
import pydoc
import traceback
import urllib.error
from collections.abc import Iterator
from typing import Any

import init_models as made
import pytest
from test_serde_halves import Document, parsed, written

from hitrate.errors import DecodeError
from hitrate.serde import MsgpackSerializer

serde = MsgpackSerializer()
MODULES = (
    "argparse ast asyncio bdb binascii builtins calendar codecs concurrent.futures configparser copy csv ctypes "
    "dataclasses decimal doctest email.errors fractions ftplib getopt getpass gzip http.client http.cookiejar "
    "http.cookies imaplib importlib.metadata inspect io ipaddress json json.decoder locale lzma multiprocessing "
    "multiprocessing.managers multiprocessing.pool netrc optparse pickle plistlib poplib pyclbr pydoc queue re "
    "select shutil smtplib socket sqlite3 ssl statistics struct subprocess sys tarfile threading tokenize tomllib "
    "tracemalloc unittest urllib.error wave weakref webbrowser xml.dom xml.parsers.expat xml.sax xmlrpc.client "
    "zipfile zlib zoneinfo"
)
ARGUMENTS: list[Any] = ["m", 1, b"x", ["a"], None, {"a": 1}, ValueError("x")]
OTHERS: list[Any] = [None, True, -1, "x", b"x", [1], {"a": 1}, 1.5]
REFUSED = [urllib.error.HTTPError, pydoc.ErrorDuringImport]  # they hold a file, and a class


def exceptions() -> Iterator[BaseException]:
    for module in map(importlib.import_module, MODULES.split()):
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, BaseException) and cls not in REFUSED:
                instance = constructed(cls)
                if instance is not None:
                    yield instance


def constructed(cls: Any) -> BaseException | None:
    for count in range(5):
        for args in itertools.islice(itertools.product(ARGUMENTS, repeat=count), 3000):
            try:
                instance: BaseException = cls(*args)
                str(instance), repr(instance)
            except Exception:
                continue
            return instance
    return None


def name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def parts_changed(state: list[Any]) -> Iterator[list[Any]]:
    """Yield states with one part left out, or one attribute or argument left out or of another type."""
    for i, part in enumerate(state):
        yield [*state[:i], *state[i + 1 :]]
        others: list[Any] = []
        if isinstance(part, dict):
            others += [{}, *({name: each for name, each in part.items() if name != left} for left in part)]
            others += [{**part, name: other} for name in part for other in OTHERS]
        elif isinstance(part, list):
            others += [[], *([*part[:at], *part[at + 1 :]] for at in range(len(part)))]
            others += [[*part[:at], other, *part[at + 1 :]] for at in range(len(part)) for other in OTHERS]
        for other in others:
            yield [*state[:i], other, *state[i + 1 :]]


INSTANCES = {name_of(type(each)): each for each in exceptions()}


def test_there_are_many() -> None:
    assert len(INSTANCES) > 200
    assert {"json.decoder.JSONDecodeError", "subprocess.TimeoutExpired", "io.UnsupportedOperation"} <= INSTANCES.keys()


@pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES)
def test_a_payload_without_a_part_is_refused_or_gives_a_whole_exception(instance: BaseException) -> None:
    payload = serde.dumps_typed([instance])[1]
    (root,) = parsed(payload)
    back = serde.loads_typed(("msgpack", payload))[0]
    assert (type(back), back.args, str(back), repr(back)) == (
        type(instance),
        instance.args,
        str(instance),
        repr(instance),
    )
    cls: Any = type(instance)
    for state in parts_changed(root.content):
        try:
            back = serde.loads_typed(("msgpack", written([Document(1, b"", state)])))[0]
        except DecodeError:
            continue
        for name in vars(instance):
            getattr(back, name)
        for use in (str, repr, traceback.format_exception_only, lambda each: each == each):
            try:
                use(back)
            except AttributeError as exc:
                pytest.fail(f"a half of {cls}: {exc}")
            except Exception:  # its class takes arguments of such types, too
                pass


SEVERAL_BASES: list[Any] = [
    *(made.NotThere("x"), made.NoSuchFile(2, "no such file", "f"), made.NoSuchFile("x"), made.NoSuchEntry("x", 5)),
    *(made.BadModule("m"), made.Stopped(5), made.BadGroup("g", [ValueError(1), made.NotThere("x")])),
]


@pytest.mark.parametrize("value", SEVERAL_BASES, ids=repr)
def test_an_exception_of_several_built_in_ones_is_kept(value: Any) -> None:
    payload = serde.dumps_typed([value])[1]
    back = serde.loads_typed(("msgpack", payload))[0]
    told = ("errno", "strerror", "filename", "name", "path", "value", "size")
    assert (type(back), repr(back), str(back), vars(back)) == (type(value), repr(value), str(value), vars(value))
    assert [getattr(back, name, "none") for name in told] == [getattr(value, name, "none") for name in told]
