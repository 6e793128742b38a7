"""Reads: one MGET for a namespace in a bucket brings the current tokens and the values, in one step of the server."""

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
from hitrate.stores.redis.wire import refuse_error

KEYS_AT_ONCE = 5_000


class BucketKeys(NamedTuple):
    """Keys of one namespace in one bucket, for one command.

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


def parts_of(names: Names, keys: Sequence[EncodedKey]) -> Iterator[BucketKeys]:
    """Divide what is to be read into commands: by bucket and namespace, and a bounded number of keys in each."""
    one_bucket = len(names.buckets) == 1
    places: dict[tuple[int, bytes], list[int]] = {}
    for place, (name, key) in enumerate(keys):
        bucket = 0 if one_bucket else names.bucket_of(names[name].digits(key))
        places.setdefault((bucket, name), []).append(place)
    for (bucket, name), its in places.items():
        for start in range(0, len(its), KEYS_AT_ONCE):
            some = its[start : start + KEYS_AT_ONCE]
            yield BucketKeys(bucket, names[name], some, [keys[place] for place in some])


def request_for(names: Names, part: BucketKeys, *, time_left: bool = False) -> Request:
    """Return the command that reads a part; if asked for with others that bring the time left for each key."""
    bucket, work = names.buckets[part.bucket], len(part.keys)
    reading = part.space.read(part.bucket, bucket, part.keys)
    if not time_left:
        return Request(reading, 1, work, part.bucket)
    asking = [f"*2\r\n$4\r\nPTTL\r\n{bucket.joint}{part.space.digits(key)}\r\n" for _, key in part.keys]
    return Request(reading + "".join(asking).encode("latin-1"), 1 + work, 2 * work, part.bucket)


def found_in(part: BucketKeys, answer: Answer, found: list[Found]) -> None:
    """Put what a part found in the places of its keys.

    Raises:
        StoreError: the server refused the command.
    """
    if isinstance(answer, StoreError):
        own: list[Found] = [answer] * len(part.keys)
    else:
        refuse_error(answer[0])
        own = unpack(answer[0], part.keys)
    for place, each in zip(part.places, own, strict=True):
        found[place] = each


def tell_time_left(part: BucketKeys, left: Sequence[Any], now: float, found: list[Found]) -> None:
    """Put the expiry, by our clock, in the place of the writer's in what a part found.

    The server replies with the milliseconds left, -1 for ever, -2 for what has expired in between.
    """
    for place, milliseconds in zip(part.places, left, strict=True):
        entry = found[place]
        if type(entry) is tuple:
            refuse_error(milliseconds)
            expiry = now + milliseconds / 1000 if milliseconds >= 0 else None
            found[place] = None if milliseconds == -2 else (entry[0], entry[1], expiry, entry[3])


def only_error(found: Sequence[Found]) -> StoreError | None:
    """Return the error of a read that failed on every server; None if one answered."""
    error = found[0] if found else None
    return error if isinstance(error, StoreError) and all(isinstance(each, StoreError) for each in found) else None
