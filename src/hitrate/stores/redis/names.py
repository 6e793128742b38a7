"""Names on the server: no two keys share one, no other prefix has it, and all have the same length.

A name is the prefix, a hash tag that says in which bucket it lies, a letter for its kind and 32 hex digits. What comes
after the prefix has one length, so that two names can only be equal if their prefixes are, and no name is ever looked
for by a pattern. The digits are 128 bits of the key's hash; the key itself is kept in the value and compared.

A bucket is a slot of a cluster: what lies in it can be read and written by one command. One server has one bucket.
"""

from __future__ import annotations

import math
import time
from binascii import crc_hqx
from collections.abc import Sequence
from hashlib import blake2b

from xxhash import xxh3_128_hexdigest

from hitrate.keys import EncodedKey
from hitrate.stores.redis.wire import bulk, command

SLOTS = 16384
CLUSTER_BUCKETS = 32
"""Enough to spread a cache over a cluster's nodes, few enough for a batch to be a few commands."""

_DIGITS = 32
_KNOWN_SPACES = 4096


def slot_of(name: bytes) -> int:
    """Return the slot of a cluster that a name lies in, as the cluster's specification says."""
    start = name.find(b"{")
    if start >= 0:
        end = name.find(b"}", start + 1)
        if end > start + 1:
            name = name[start + 1 : end]
    return crc_hqx(name, 0) % SLOTS


def _spread_tags(count: int) -> list[str]:
    """Return hash tags that spread evenly over the slots."""
    tags: dict[int, str] = {}
    number = 0
    while len(tags) < count:
        tag = f"{number:04x}"
        tags.setdefault(crc_hqx(tag.encode(), 0) % SLOTS * count // SLOTS, tag)
        number += 1
    return [tags[part] for part in range(count)]


class Bucket:
    """What lies in one slot.

    Attributes:
        base: what every name in it begins with.
        joint: what precedes the digits of an entry in a command, as text in Latin-1.
        slot: the slot of a cluster.
        everything: the name of the token of all entries.
        sweeping: the name of the mark that says that there is something to sweep.
        sweeper: the name under which a process says that it sweeps.
        register: the name of the register of namespaces.
        counts: the name of the counters that outlive processes.
        books: where caches that had limits of their own kept their order and sizes; nothing but a clear touches it now.
    """

    __slots__ = ("base", "books", "counts", "everything", "joint", "register", "slot", "sweeper", "sweeping")

    def __init__(self, prefix: bytes, tag: str) -> None:
        self.base = prefix + b"{" + tag.encode() + b"}"
        self.slot = slot_of(self.base)
        # Text joins faster than bytes, and Latin-1 takes any byte there and back.
        self.joint = f"${len(self.base) + 1 + _DIGITS}\r\n{self.base.decode('latin-1')}e"
        self.everything = self._single(b"g")
        self.sweeping = self._single(b"s")
        self.sweeper = self._single(b"l")
        self.register = self._single(b"r")
        self.counts = self._single(b"a")
        self.books = [self._single(kind) for kind in (b"i", b"o", b"x", b"v", b"t")]

    def _single(self, kind: bytes) -> bytes:
        return self.base + kind + b"0" * _DIGITS

    def entry(self, digits: str) -> bytes:
        """Return the name of an entry."""
        return self.base + b"e" + digits.encode()

    def lease(self, entry: bytes) -> bytes:
        """Return the name of the lease of the entry of this name."""
        return self.base + b"c" + entry[-_DIGITS:]

    def namespace(self, digest: bytes) -> bytes:
        """Return the name of the token of a namespace."""
        return self.base + b"n" + digest.hex().encode()


def digest_of(name: bytes) -> bytes:
    """Return 16 bytes that stand for a namespace (BLAKE2b: nobody can make two share them)."""
    return blake2b(name, digest_size=16).digest()


class ServerNamespace:
    """A namespace on the server.

    Attributes:
        name: its encoding.
        digest: 16 bytes that stand for it.
        seed: what the hashes of its keys begin with.
        tokens: for each bucket the name of the namespace's token.
        known: for each bucket the tokens that this process last saw, of all entries and of the namespace, and until
            when they live, by ``time.monotonic``.
    """

    __slots__ = ("_asking", "_reading", "digest", "known", "name", "seed", "tokens")

    def __init__(self, buckets: Sequence[Bucket], name: bytes) -> None:
        self.name = name
        self.digest = digest_of(name)
        self.seed = int.from_bytes(self.digest[:8], "big")
        self.tokens = [bucket.namespace(self.digest) for bucket in buckets]
        self.known: list[tuple[bytes, float] | None] = [None] * len(buckets)
        self._asking = [b""] * len(buckets)
        self._reading = [""] * len(buckets)

    def note(self, bucket: int, tokens: bytes, left: int) -> None:
        """Note the current tokens, and the milliseconds that they live, -1 for ever."""
        self.known[bucket] = tokens, time.monotonic() + left / 1000 if left >= 0 else math.inf

    def known_tokens(self, bucket: int) -> bytes:
        """Return the tokens that this process last saw; none of them if it saw none."""
        known = self.known[bucket]
        return b"" if known is None else known[0]

    def digits(self, key: bytes) -> str:
        """Return the digits that stand for one of its keys (XXH3)."""
        return xxh3_128_hexdigest(key, self.seed)

    def asking(self, bucket: Bucket, number: int) -> bytes:
        """Return ``asking_for`` this namespace alone."""
        asking = self._asking[number]
        if not asking:
            asking = self._asking[number] = asking_for(bucket, number, [self])
        return asking

    def read(self, number: int, bucket: Bucket, keys: Sequence[EncodedKey]) -> bytes:
        """Return the command, as it goes over the wire, that reads keys of this namespace from the bucket of a number.

        Its reply begins with the tokens of all entries and of the namespace.
        """
        begun = self._reading[number]
        if not begun:
            tokens = (bulk(bucket.everything) + bulk(self.tokens[number])).decode("latin-1")
            begun = self._reading[number] = f"\r\n$4\r\nMGET\r\n{tokens}"
        joint, seed = bucket.joint, self.seed
        if len(keys) == 1:
            return f"*4{begun}{joint}{xxh3_128_hexdigest(keys[0][1], seed)}\r\n".encode("latin-1")
        digits = ("\r\n" + joint).join([xxh3_128_hexdigest(key, seed) for _, key in keys])
        return f"*{3 + len(keys)}{begun}{joint}{digits}\r\n".encode("latin-1")


def asking_for(bucket: Bucket, number: int, spaces: Sequence[ServerNamespace]) -> bytes:
    """Return the command that asks for the mark to sweep and the tokens of namespaces in the bucket of this number."""
    tokens = [space.tokens[number] for space in spaces]
    # The reply of the register is not used: it is asked so that a server that evicts the least recently used keeps it.
    return command(b"MGET", bucket.sweeping, bucket.register, bucket.everything, *tokens)


class Names(dict[bytes, ServerNamespace]):
    """The names of one cache: its buckets, and the namespaces in use by their encoding, a bounded number of them.

    Args:
        prefix: what all names begin with.
        spread: whether the cache is spread over the slots of a cluster.

    Raises:
        ValueError: a cluster could not keep the names of a bucket in one slot.
    """

    def __init__(self, prefix: bytes, *, spread: bool) -> None:
        super().__init__()
        self.prefix = prefix
        self.buckets = [Bucket(prefix, tag) for tag in (_spread_tags(CLUSTER_BUCKETS) if spread else ["0000"])]
        if len({bucket.slot for bucket in self.buckets}) == 1:  # the prefix has a hash tag of its own
            del self.buckets[1:]
        if slot_of(self.buckets[0].base + b"e") != self.buckets[0].slot:
            raise ValueError(f"a prefix cannot hold an empty hash tag, '{{}}', as {prefix!r} does")

        self._numbers = {bucket.base: number for number, bucket in enumerate(self.buckets)}

    def __missing__(self, name: bytes) -> ServerNamespace:
        if len(self) >= _KNOWN_SPACES:
            self.clear()
        space = self[name] = ServerNamespace(self.buckets, name)
        return space

    def bucket_of(self, digits: str) -> int:
        """Return the number of the bucket that an entry lies in."""
        return int(digits[:4], 16) % len(self.buckets)

    def entry(self, key: EncodedKey) -> tuple[int, bytes]:
        """Return the number of a key's bucket and its name on the server."""
        digits = self[key[0]].digits(key[1])
        number = self.bucket_of(digits)
        return number, self.buckets[number].entry(digits)

    def bucket_of_entry(self, name: bytes) -> int | None:
        """Return the number of the bucket that holds the entry of this name; None if it is no name of an entry."""
        if name[-1 - _DIGITS : -_DIGITS] != b"e":
            return None
        return self._numbers.get(name[: -1 - _DIGITS])
