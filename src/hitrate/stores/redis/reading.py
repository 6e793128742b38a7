"""Reads: one MGET for a bucket brings the current tokens and the values, in one step of the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.redis.format import unpack
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.names import Names, ServerNamespace
from hitrate.stores.redis.wire import bulk, refuse_error

KEYS_AT_ONCE = 5_000


class BucketKeys(NamedTuple):
    """The keys of one bucket, for one command.

    Attributes:
        bucket: the number of its bucket.
        spaces: the namespaces.
        places: for each of these, the places of its keys among those asked for.
        digits: for each of these, the digits of its keys.
    """

    bucket: int
    spaces: list[ServerNamespace]
    places: list[list[int]]
    digits: list[list[str]]


def parts_of(names: Names, keys: Sequence[EncodedKey]) -> Iterator[BucketKeys]:
    """Divide what is to be read into commands: by bucket, and a bounded number of keys in each."""
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield from _parts_of(names, keys[start : start + KEYS_AT_ONCE], start)


def _parts_of(names: Names, keys: Sequence[EncodedKey], start: int) -> Iterator[BucketKeys]:
    one_bucket = len(names.buckets) == 1
    by_name: dict[bytes, list[int]] = {}
    for place, (name, _) in enumerate(keys):
        by_name.setdefault(name, []).append(place)
    parts: dict[int, BucketKeys] = {}
    for name, places in by_name.items():
        space = names[name]
        digits = [space.digits(keys[place][1]) for place in places]
        if one_bucket:
            part = parts.setdefault(0, BucketKeys(0, [], [], []))
            part.spaces.append(space)
            part.places.append([start + place for place in places] if start else places)
            part.digits.append(digits)
            continue
        for place, each in zip(places, digits, strict=True):
            bucket = names.bucket_of(each)
            part = parts.setdefault(bucket, BucketKeys(bucket, [], [], []))
            if not part.spaces or part.spaces[-1] is not space:
                part.spaces.append(space)
                part.places.append([])
                part.digits.append([])
            part.places[-1].append(start + place)
            part.digits[-1].append(each)
    yield from parts.values()


def request_for(names: Names, part: BucketKeys, *, time_left: bool = False) -> Request:
    """Return the command that reads a part; if asked for with others that bring the time left for each key."""
    bucket = names.buckets[part.bucket]
    work = sum(map(len, part.digits))
    head = [b"MGET", bucket.everything, *(space.tokens[part.bucket] for space in part.spaces)]
    all_digits = [digits for each in part.digits for digits in each]
    entries = "".join([f"{bucket.joint}{digits}\r\n" for digits in all_digits]).encode("latin-1")
    reading = b"*%d\r\n%b%b" % (len(head) + work, b"".join(map(bulk, head)), entries)
    if not time_left:
        return Request(reading, 1, work, part.bucket)
    asking = [f"*2\r\n$4\r\nPTTL\r\n{bucket.joint}{digits}\r\n" for digits in all_digits]
    return Request(reading + "".join(asking).encode("latin-1"), 1 + work, 2 * work, part.bucket)


def found_in(part: BucketKeys, answer: Answer, keys: Sequence[EncodedKey], found: list[Found]) -> None:
    """Put what a part found in the places of its keys.

    Raises:
        StoreError: the server refused the command.
    """
    if isinstance(answer, StoreError):
        for places in part.places:
            for place in places:
                found[place] = answer
        return
    reply = answer[0]
    refuse_error(reply)
    values: list[Any] = reply
    everything = values[0] or b""
    at = 1 + len(part.spaces)
    for number, places in enumerate(part.places):
        tokens = everything + (values[1 + number] or b"")
        own = unpack(values[at : at + len(places)], tokens, [keys[place] for place in places])
        for place, each in zip(places, own, strict=True):
            found[place] = each
        at += len(places)


def tell_time_left(part: BucketKeys, left: Sequence[Any], now: float, found: list[Found]) -> None:
    """Put the expiry, by our clock, in the place of the writer's in what a part found.

    The server replies with the milliseconds left, -1 for ever, -2 for what has expired in between.
    """
    places = [place for its_places in part.places for place in its_places]
    for place, milliseconds in zip(places, left, strict=True):
        entry = found[place]
        if type(entry) is tuple:
            refuse_error(milliseconds)
            expiry = now + milliseconds / 1000 if milliseconds >= 0 else None
            found[place] = None if milliseconds == -2 else (entry[0], entry[1], expiry, entry[3])


def only_error(found: Sequence[Found]) -> StoreError | None:
    """Return the error of a read that failed on every server; None if one answered."""
    error = found[0] if found else None
    return error if isinstance(error, StoreError) and all(isinstance(each, StoreError) for each in found) else None
