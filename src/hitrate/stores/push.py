"""A channel on which a server says what changed: one connection and one thread, opened again when it is lost.

The connection names what changed in the server's own terms. ``Watched`` turns these into the keys that nearer tiers may
hold copies of; of all others nothing needs to be told.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from socket import SHUT_RDWR
from socket import socket as Socket

from hitrate.exclusive import Signal
from hitrate.failsafe import log
from hitrate.keys import EncodedKey
from hitrate.stores.background import Background
from hitrate.stores.base import Channel, Listener

HEARTBEAT_SECONDS = 0.5
"""Seconds that a connection may be silent before the server is asked for a sign of life."""

SILENT_SECONDS = 1.0
"""Seconds that the server has to answer this. A lost connection is noticed after the sum of both."""

_AGAIN_SECONDS = (0.05, 1.0)  # before the next attempt to connect: at first, at most
_WATCHED_AT_MOST = 250_000

_BEHIND = object()


class Watched:
    """Keys and namespaces by what the server calls them; several may have one name.

    Args:
        name_key: what the server calls an entry.
        name_namespace: what it calls a namespace, which is that one's alone.
    """

    def __init__(self, name_key: Callable[[EncodedKey], bytes], name_namespace: Callable[[bytes], bytes]) -> None:
        self._name_key = name_key
        self._name_namespace = name_namespace
        self._keys: dict[bytes, tuple[EncodedKey, ...]] = {}
        self._namespaces: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._namespaces)

    def add(self, keys: Iterable[EncodedKey]) -> None:
        """Copies of these keys may be made."""
        for key in keys:
            called = self._name_key(key)
            known = self._keys.get(called, ())
            if key not in known:
                self._keys[called] = (*known, key)
            self._namespaces[self._name_namespace(key[0])] = key[0]

    def clear(self) -> None:
        """Forget all: there are no copies."""
        self._keys.clear()
        self._namespaces.clear()

    def keys(self, called: Iterable[bytes]) -> list[EncodedKey]:
        """Return the keys among some that changed. Copies that are made later are of keys that are added again."""
        return [key for name in called for key in self._keys.pop(name, ())]

    def namespaces(self, called: Iterable[bytes]) -> list[bytes]:
        """Return the namespaces among some that were cleared."""
        return [found for name in called if (found := self._namespaces.get(name)) is not None]


class PushSession(ABC):
    """A connection on which the server says what changed.

    Attributes:
        socket: that of the connection.
    """

    socket: Socket

    @abstractmethod
    def listen(self) -> None:
        """Read what the server said, waiting for it ``HEARTBEAT_SECONDS`` at most, and tell the channel.

        Raises:
            Exception: the server is gone, silent, or cannot be understood.
        """

    def wake(self) -> None:
        """Make ``listen``, which waits on another thread, fail soon."""
        try:
            Socket.shutdown(self.socket, SHUT_RDWR)  # of a TLS connection too
        except OSError:
            pass

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""


class PushChannel(Channel):
    """Keeps a session open from its first use on, and opens another when that is lost.

    Args:
        name: what messages call the server.
        listener: is told what changed; when it is gone the thread ends.
        watched: what it may hold copies of.
    """

    echoes = True

    def __init__(self, name: str, listener: Listener, watched: Watched) -> None:
        self.live = False
        self.watched = watched
        self._name = name
        self._listener = weakref.ref(listener)
        self._session: PushSession | None = None
        self._seen: object = _BEHIND
        self._background = Background("hitrate-changes", self._run)
        self._stopped = Signal()

    @abstractmethod
    def open(self) -> PushSession:
        """Return a session that has begun: all that changes from now on will be told."""

    # What the nearer tiers ask

    def in_step(self) -> bool:
        return self._session is self._seen

    def catch_up(self, empty: Callable[[], None]) -> None:
        session = self._session
        if session is self._seen:
            return
        self.watched.clear()
        empty()
        self._seen = session
        self.live = session is not None

    def expect(self, keys: Collection[EncodedKey]) -> None:
        if self._background.thread is None and not self._stopped.is_set():
            self._background.try_to_start("changes are not heard of")
        if len(self.watched) > _WATCHED_AT_MOST:
            self._seen = _BEHIND  # all copies are dropped, and so all that is watched
        self.watched.add(keys)

    # What the session tells

    def changed(self, called: Iterable[bytes]) -> None:
        """Entries were changed."""
        keys = self.watched.keys(called)
        listener = self._listener()
        if keys and listener is not None:
            listener.changed(keys)

    def cleared(self, called: Iterable[bytes] | None) -> None:
        """Namespaces were cleared, or all for None."""
        names = None if called is None else self.watched.namespaces(called)
        listener = self._listener()
        if listener is not None and (names is None or names):
            listener.cleared(names)

    # The thread

    def _run(self) -> None:
        pause, most = _AGAIN_SECONDS
        told = False
        while not self._is_over():
            try:
                session = self.open()
            except Exception as error:
                if not told:
                    log.warning(
                        "%s does not tell what changes: %s; copies are used for a short time only", self._name, error
                    )
                    told = True
                self._stopped.wait(pause)
                pause = min(pause * 2, most)
                continue
            try:
                self._session = session
                pause, told = _AGAIN_SECONDS[0], False
                while not self._is_over():
                    session.listen()
            except Exception as error:
                if not self._stopped.is_set():
                    log.warning("%s no longer tells what changes: %s; copies were dropped", self._name, error)
                told = True
            finally:
                self._session = None
                session.close()

    def _is_over(self) -> bool:
        return self._stopped.is_set() or self._listener() is None

    def close(self) -> None:
        self._stopped.set()
        session = self._session
        if session is not None:
            session.wake()
        self._background.join()

    def after_fork_in_child(self) -> None:
        self._stopped = Signal()
        self._background.after_fork_in_child()
        self._session = None  # it is the parent's, and stays open
        self._seen = _BEHIND
        self.live = False
