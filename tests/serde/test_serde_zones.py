"""Time zones of pytz and dateutil, as values and as those of times, and the UUID of uuid_utils."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz
import uuid_utils
import uuid_utils.compat
from dateutil import tz
from langchain_core.messages import AIMessage
from ormsgpack import Ext, packb

from hitrate import stable_key
from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer
from hitrate.serde.dateutil_ import DATEUTIL
from hitrate.serde.pytz_ import PYTZ
from hitrate.serde.uuid_utils_ import UUID_UTILS

serde = MsgpackSerializer()
ROME: Any = pytz.timezone("Europe/Rome")


def again(value: Any) -> Any:
    (back,) = serde.loads_typed(serde.dumps_typed([value]))
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    assert back == value
    assert stable_key(back) == stable_key(value)
    return back


PYTZ_ZONES: list[Any] = [
    *(pytz.UTC, ROME, pytz.timezone("Etc/GMT+3"), pytz.timezone("US/Eastern"), pytz.timezone("Asia/Kolkata")),
    *(ROME._tzinfos.values()),
    *(pytz.FixedOffset(60), pytz.FixedOffset(-90)),
]


@pytest.mark.parametrize("zone", PYTZ_ZONES, ids=repr)
def test_a_zone_of_pytz_is_the_same_object(zone: Any) -> None:
    assert again(zone) is zone
    assert again(dt.datetime(2024, 1, 1, tzinfo=zone)).tzinfo is zone
    assert again(dt.time(1, 2, tzinfo=zone)).tzinfo is zone


@pytest.mark.parametrize("month", [1, 7])
def test_a_localised_time_has_the_instance_of_its_offset(month: int) -> None:
    moment = ROME.localize(dt.datetime(2024, month, 1))
    assert again(moment).tzinfo is moment.tzinfo
    assert again(moment).utcoffset() == moment.utcoffset()


DATEUTIL_ZONES: list[Any] = [
    *(tz.UTC, tz.tzoffset("X", 3600), tz.tzoffset(None, -60), tz.tzoffset("zero", 0), tz.tzlocal()),
    *map(tz.gettz, ["Europe/Rome", "UTC", "America/New_York", "EST5EDT"]),
]


@pytest.mark.parametrize("zone", DATEUTIL_ZONES, ids=repr)
def test_a_zone_of_dateutil_comes_back(zone: Any) -> None:
    again(zone)
    for moment in (dt.datetime(2024, 7, 1, tzinfo=zone), dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zone)):
        back = again(moment)
        assert (back.utcoffset(), back.dst(), back.tzname()) == (moment.utcoffset(), moment.dst(), moment.tzname())
    again(dt.time(1, tzinfo=zone))


def test_zones_of_different_kinds_have_different_keys() -> None:
    zones: list[Any] = [dt.UTC, pytz.UTC, tz.UTC, tz.gettz("UTC"), ROME, tz.gettz("Europe/Rome"), *PYTZ_ZONES[5:7]]
    keys = {stable_key(dt.datetime(2024, 1, 1, tzinfo=zone)) for zone in zones}
    assert len(keys) == len({*map(stable_key, zones)}) >= len(zones) - 1


UNNAMED: list[Any] = [tz.tzrange("EST"), tz.tzstr("EST5EDT4,M3.2.0,M11.1.0")]


class Mine(dt.tzinfo):
    pass


@pytest.mark.parametrize("zone", [*UNNAMED, Mine()], ids=lambda zone: type(zone).__name__)
def test_a_zone_without_a_name_is_refused(zone: Any) -> None:
    for value in (zone, dt.datetime(2024, 1, 1, tzinfo=zone)):
        with pytest.raises(SerializationError):
            serde.dumps_typed(value)


def test_a_file_that_is_no_zone_of_the_database_is_refused(tmp_path: Path) -> None:
    rome: Any = tz.gettz("Europe/Rome")
    copy = tmp_path / "mine"
    source = Path(rome._filename)
    if not source.is_absolute():
        source = Path(pytz.__file__).parent / "zoneinfo/Europe/Rome"
    copy.write_bytes(source.read_bytes())
    with pytest.raises(SerializationError, match="no name"):
        serde.dumps_typed(tz.tzfile(str(copy)))


def test_a_zone_that_only_bears_the_name_of_another_is_refused() -> None:
    with (Path(pytz.__file__).parent / "zoneinfo/Europe/Paris").open("rb") as file:
        zone = ZoneInfo.from_file(file, key="Europe/Rome")
    for value in (zone, dt.datetime(2024, 1, 1, tzinfo=zone)):
        with pytest.raises(SerializationError, match="file of its own"):
            serde.dumps_typed(value)
        with pytest.raises(TypeError, match="file of its own"):
            stable_key(value)


def test_a_local_zone_of_another_process_is_a_miss(tmp_path: Path) -> None:
    path = tmp_path / "payload"
    path.write_bytes(serde.dumps_typed(tz.tzlocal())[1])
    script = f"""
        import dateutil.tz
        from hitrate.errors import DecodeError
        from hitrate.serde import MsgpackSerializer
        try:
            print(MsgpackSerializer().loads_typed(("msgpack", open({str(path)!r}, "rb").read())))
        except DecodeError as exc:
            print(exc)
    """
    for zone, expected in (("Pacific/Apia", "not that of this process"), (None, "tzlocal()")):
        environ = {**os.environ, **({"TZ": zone} if zone else {})}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, env=environ
        )
        assert expected in done.stdout


HOSTILE: list[Any] = [
    *(
        [],
        [None],
        ["../../etc/passwd"],
        ["/etc/passwd"],
        ["europe/rome"],
        ["Nowhere/Land"],
        ["Europe"],
        ["EST5EDT4"],
        [""],
    ),
    *(["Europe/Rome", 1], ["Europe/Rome", [], None, None], [10**9], [1440], [-1440], [60, 1], [True], {"a": 1}, 5),
    *(["utc", 1, 2, 3], ["offset", "x", dt.timedelta(1)], ["offset", 1, 1], ["offset"], ["local"], ["local", 1, 2, 3]),
    *(
        ["name"],
        ["name", "../x"],
        ["name", "/etc/localtime"],
        ["name", ""],
        ["name", "EST5EDT4"],
        ["name", "CET-1CEST"],
    ),
]


@pytest.mark.parametrize("code", [PYTZ, DATEUTIL])
@pytest.mark.parametrize("state", HOSTILE, ids=repr)
def test_hostile_content_is_refused_or_a_zone(code: int, state: Any) -> None:
    def default(obj: Any) -> Any:
        return Ext(43, serde.dumps_typed(obj)[1][-12:])

    payload = packb(Ext(code, packb(state, default)))
    try:
        back = serde.loads_typed(("msgpack", payload))
    except DecodeError:
        return
    assert isinstance(back, dt.tzinfo)
    assert back.utcoffset(dt.datetime(2024, 1, 1)) is not None
    assert repr(back)


def test_a_uuid_of_uuid_utils_comes_back_and_is_not_the_standard_one() -> None:
    for made in (uuid_utils.uuid7(), uuid_utils.uuid4(), uuid_utils.UUID(int=0)):
        again(made)
        assert stable_key(made) != stable_key(uuid.UUID(bytes=made.bytes))
    assert type(again(uuid_utils.compat.uuid7())) is uuid.UUID


def test_bytes_that_are_no_uuid_are_refused() -> None:
    for content in (b"", b"1" * 15, b"1" * 17):
        with pytest.raises(DecodeError):
            serde.loads_typed(("msgpack", packb(Ext(UUID_UTILS, content))))


def test_a_message_with_such_an_id_comes_back() -> None:
    again(AIMessage("x", response_metadata={"run_id": uuid_utils.uuid7()}))
