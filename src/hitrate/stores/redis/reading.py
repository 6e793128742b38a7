"""Reads: one MGET for a bucket brings the current tokens and the values, in one step of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.redis.format import unpack
from hitrate.stores.redis.links import Request
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.names import Names, ServerNamespace
from hitrate.stores.redis.wire import refuse_error

KEYS_AT_ONCE = 5_000


class BucketKeys(NamedTuple):
    """Keys of one namespace in one bucket.

    Attributes:
        bucket: the number of the bucket.
        space: the namespace.
        places: where its keys are among those asked for.
        keys: the keys.
    """

    bucket: int
    space: ServerNamespace
    places: list[int]
    keys: list[EncodedKey]


def steps_of(names: Names, keys: Sequence[EncodedKey]) -> list[list[BucketKeys]]:
    """Divide keys into what a server does at once: by bucket, and a bounded number of keys in each."""
    one_bucket = len(names.buckets) == 1
    steps: list[list[BucketKeys]] = []
    for start in range(0, len(keys), KEYS_AT_ONCE):
        places: dict[tuple[int, bytes], list[int]] = {}
        for place, (name, key) in enumerate(keys[start : start + KEYS_AT_ONCE], start):
            bucket = 0 if one_bucket else names.bucket_of(names[name].digits(key))
            places.setdefault((bucket, name), []).append(place)
        by_bucket: dict[int, list[BucketKeys]] = {}
        for (bucket, name), its in places.items():
            part = BucketKeys(bucket, names[name], its, [keys[place] for place in its])
            by_bucket.setdefault(bucket, []).append(part)
        steps += by_bucket.values()
    return steps


def request_for(names: Names, parts: Sequence[BucketKeys], *, time_left: bool = False) -> Request:
    """Return the command that reads parts of a bucket; if asked for with others that bring the time left for each key.

    It is one, so that a batch of several namespaces is read whole.
    """
    number = parts[0].bucket
    bucket, work = names.buckets[number], sum(len(part.keys) for part in parts)
    asked = [part.space.read(number, bucket, part.keys).partition(b"MGET\r\n")[2] for part in parts]
    reading = b"*%d\r\n$4\r\nMGET\r\n%b" % (1 + 2 * len(parts) + work, b"".join(asked))
    if not time_left:
        return Request(reading, 1, work, number)
    digits = [part.space.digits(key) for part in parts for _, key in part.keys]
    asking = [f"*2\r\n$4\r\nPTTL\r\n{bucket.joint}{each}\r\n" for each in digits]
    return Request(reading + "".join(asking).encode("latin-1"), 1 + work, 2 * work, number)


def found_in(parts: Sequence[BucketKeys], answer: Answer, found: list[Found]) -> None:
    """Put what the parts of a bucket found in the places of their keys.

    Raises:
        StoreError: the server refused the command.
    """
    if not isinstance(answer, StoreError):
        refuse_error(answer[0])
    at = 0
    for part in parts:
        if isinstance(answer, StoreError):
            own: list[Found] = [answer] * len(part.keys)
        else:
            begins, at = at, at + 2 + len(part.keys)
            own = unpack(answer[0][begins:at], part.keys)
        for place, each in zip(part.places, own, strict=True):
            found[place] = each


def tell_time_left(parts: Sequence[BucketKeys], left: Sequence[Any], now: float, found: list[Found]) -> None:
    """Put the expiry, by our clock, in the place of the writer's in what the parts of a bucket found.

    The server replies with the milliseconds left, -1 for ever, -2 for what has expired in between.
    """
    places = [place for part in parts for place in part.places]
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
