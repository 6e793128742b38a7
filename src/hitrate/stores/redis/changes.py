"""How the nearer tiers hear of what changed on a Redis server: client tracking, which tells every name that changed.

In broadcast mode the server tells all names with our prefix, whoever changed them, this process too, and also what it
removes for room or because its time has passed (https://redis.io/docs/latest/develop/reference/client-side-caching/).
The name of an entry stands for its key; that of a token for a namespace that was cleared, or got its first token.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.stores import push
from hitrate.stores.base import Listener
from hitrate.stores.push import PushChannel, PushSession, Watched
from hitrate.stores.redis.driver import hiredis
from hitrate.stores.redis.names import Names
from hitrate.stores.redis.wire import command

_READ_AT_ONCE = 1 << 16


class TrackingSession(PushSession):
    """A connection of the driver that tracks the names of a cache, and tells a channel what changed.

    Raises:
        StoreError: the server does not track names for us.
    """

    def __init__(self, connection: Any, names: Names, channel: PushChannel) -> None:
        self._connection = connection
        self._names = names
        self._channel = channel
        self.socket = connection._sock
        self.socket.settimeout(push.SILENT_SECONDS)
        self._reader = hiredis.Reader()
        self._ask(b"HELLO", b"3")
        self._ask(b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", names.prefix)

    def listen(self) -> None:
        pending = getattr(self.socket, "pending", int)()  # of a TLS connection, what was read already
        if pending or select.select([self.socket], [], [], push.HEARTBEAT_SECONDS)[0]:
            self._receive()
            while (message := self._reader.gets()) is not False:
                self._hear(message)
        else:
            self._ask(b"PING")

    def _ask(self, *words: bytes) -> None:
        """Send a command and wait for its reply, hearing what is said before it."""
        self.socket.sendall(command(*words))
        deadline = time.monotonic() + push.SILENT_SECONDS
        while True:
            message = self._reader.gets()
            if message is False:
                if time.monotonic() > deadline:
                    raise StoreError("it is silent")
                self._receive()
            elif isinstance(message, hiredis.PushNotification):
                self._hear(message)
            elif isinstance(message, Exception):
                raise StoreError(f"{words[0].decode()} was refused: {message}") from message
            else:
                return

    def _receive(self) -> None:
        data = self.socket.recv(_READ_AT_ONCE)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._reader.feed(data)

    def _hear(self, message: Any) -> None:
        if not isinstance(message, hiredis.PushNotification) or len(message) < 2 or message[0] != b"invalidate":
            return
        called = message[1]
        if called is None or not set(called).isdisjoint(bucket.everything for bucket in self._names.buckets):
            self._channel.cleared(None)  # all of the server was removed, or all of this cache
            return
        self._channel.cleared(called)
        self._channel.changed(called)

    def close(self) -> None:
        try:
            self.socket.close()
        except OSError:
            pass


class Tracking(PushChannel):
    """Tells a listener what changes on the server of this name."""

    def __init__(self, name: str, connect: Callable[[], Any], names: Names, listener: Listener) -> None:
        self._connect = connect
        self._names = names
        super().__init__(name, listener, Watched(self._name_of, lambda namespace: names[namespace].tokens[0]))

    def _name_of(self, key: EncodedKey) -> bytes:
        name, raw = key
        return self._names.buckets[0].entry(self._names[name].digits(raw))

    def open(self) -> PushSession:
        return TrackingSession(self._connect(), self._names, self)
