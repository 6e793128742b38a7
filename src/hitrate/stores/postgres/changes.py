"""How the nearer tiers hear of what changed in PostgreSQL: triggers notify, and a connection listens.

The triggers are made by the first cache that is the far tier of others, and stay. From then on each statement that
writes notifies all who listen; where no cache listens, there are no triggers to pay for. A notification has the
digests of the keys that a statement wrote or removed, or of the namespaces that it cleared, or says that all may have
changed. Notifications come in the order of the commits (https://www.postgresql.org/docs/current/sql-notify.html).

A heartbeat is a notification that the listener sends itself, so it also detects a proxy that shares sessions and does
not pass notifications on.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from uuid import uuid4

from xxhash import xxh3_64_hexdigest

from hitrate.errors import StoreError
from hitrate.stores import push
from hitrate.stores.base import Listener
from hitrate.stores.postgres import schema
from hitrate.stores.postgres.names import Names
from hitrate.stores.postgres.rows import stored
from hitrate.stores.postgres.schema import Durability
from hitrate.stores.postgres.statements import BEGIN, COMMIT, plain
from hitrate.stores.postgres.wire import Conversation, Link, Request
from hitrate.stores.push import PushChannel, PushSession, Watched

_OPEN_SECONDS = 5.0
_DIGITS = 16
_DIGESTS_PER_MESSAGE = 400  # of 8,000 bytes
_ALL = "*"

# Names, kinds of change and columns are constants or quoted.
_FUNCTION = f"""CREATE OR REPLACE FUNCTION {{told}}() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            PERFORM pg_notify(TG_ARGV[0], '{_ALL}');
        ELSIF TG_ARGV[1] = 'floor' THEN
            IF TG_OP = 'INSERT' OR OLD.floor IS DISTINCT FROM NEW.floor THEN
                PERFORM pg_notify(TG_ARGV[0], '{_ALL}');
            END IF;
        ELSIF TG_ARGV[1] = 'name' THEN
            PERFORM pg_notify(TG_ARGV[0], 'name' || string_agg(digits, '')) FROM (
                SELECT encode(substring(sha256(name) FOR {_DIGITS // 2}), 'hex') AS digits,
                (row_number() OVER () - 1) / {_DIGESTS_PER_MESSAGE} AS part FROM changed) AS c GROUP BY part;
        ELSE
            PERFORM pg_notify(TG_ARGV[0], 'keys' || string_agg(digits, '')) FROM (
                SELECT encode(substring(sha256(key) FOR {_DIGITS // 2}), 'hex') AS digits,
                (row_number() OVER () - 1) / {_DIGESTS_PER_MESSAGE} AS part FROM changed) AS c GROUP BY part;
        END IF;
        RETURN NULL;
    END $body$"""

_TRIGGERS = (
    ("insert", "AFTER INSERT ON {entries} REFERENCING NEW TABLE AS changed FOR EACH STATEMENT", "key"),
    ("update", "AFTER UPDATE ON {entries} REFERENCING NEW TABLE AS changed FOR EACH STATEMENT", "key"),
    ("delete", "AFTER DELETE ON {entries} REFERENCING OLD TABLE AS changed FOR EACH STATEMENT", "key"),
    ("truncate", "AFTER TRUNCATE ON {entries} FOR EACH STATEMENT", "key"),
    ("clear", "AFTER DELETE ON {namespaces} REFERENCING OLD TABLE AS changed FOR EACH STATEMENT", "name"),
    ("floor", "AFTER INSERT OR UPDATE ON {state} FOR EACH ROW", "floor"),
)


class Messages:
    """What is said about a cache's tables, and by which triggers."""

    def __init__(self, names: Names) -> None:
        self._names = names
        # Of the table as it is written: another spelling has triggers of its own, which tell the same.
        digest = xxh3_64_hexdigest(names.entries.encode())
        self.channel = f"hitrate_{digest}"
        self._told = names.state.removesuffix('_state"') + '_told"'
        tables = ", ".join(f"to_regclass('{name.replace(chr(39), chr(39) * 2)}')" for name in names)
        self._complete = plain(
            f"""SELECT count(*) = {len(_TRIGGERS)} FROM pg_trigger WHERE tgrelid = ANY(ARRAY[{tables}]::oid[])
                AND tgname LIKE 'hitrate\\_told\\_{digest}\\_%' AND tgenabled IN ('O', 'A')"""
        )
        self._digest = digest

    def are_sent(self) -> Conversation[bool]:
        """Tell whether all triggers are there."""
        (((complete,),),) = yield (Request(self._complete),)
        return bool(complete)

    def arrange(self, durability: Durability) -> Conversation[None]:
        """Make the tables and the triggers, unless they are there."""
        yield from schema.prepare(self._names, durability)
        if (yield from self.are_sent()):
            return
        yield (Request(BEGIN), Request(plain(f"SELECT pg_advisory_xact_lock({schema.ADVISORY_LOCK})")))
        names = {**self._names._asdict(), "told": self._told}
        made = [_FUNCTION.format(**names)]
        for name, when, kind in _TRIGGERS:
            made.append(
                f"CREATE OR REPLACE TRIGGER hitrate_told_{self._digest}_{name} {when.format(**names)} "
                f"EXECUTE FUNCTION {self._told}('{self.channel}', '{kind}')"
            )
        yield [Request(plain(text)) for text in made]
        yield (Request(COMMIT),)


class NotifiedSession(PushSession):
    """A connection that listens, and is used by nobody else; it tells a channel what changed.

    Raises:
        StoreError: the server does not notify us.
    """

    def __init__(self, link: Link, messages: Messages, durability: Durability, channel: PushChannel) -> None:
        self._link = link
        self._messages = messages
        self._channel = channel
        self._echo = f"hitrate_{uuid4().hex}"
        self._heard_of = False
        self.socket = socket.socket(fileno=os.dup(link.pgconn.socket))  # a socket object knows when it was closed
        try:
            self._hold(messages.arrange(durability), _OPEN_SECONDS)
            self._hold(_say(f'LISTEN "{messages.channel}"'), push.SILENT_SECONDS)
            self._hold(_say(f'LISTEN "{self._echo}"'), push.SILENT_SECONDS)
            self._ask()
        except BaseException:
            self.close()
            raise

    def listen(self) -> None:
        if self._wait(push.HEARTBEAT_SECONDS):
            self._receive()
        else:
            self._ask()

    def _ask(self) -> None:
        """See whether notifications are made and reach us."""
        if not self._hold(self._messages.are_sent(), push.SILENT_SECONDS):
            raise StoreError("the triggers that tell are gone")
        self._heard_of = False
        self._hold(_say(f'NOTIFY "{self._echo}"'), push.SILENT_SECONDS)
        deadline = time.monotonic() + push.SILENT_SECONDS
        while not self._heard_of:
            left = deadline - time.monotonic()
            if left <= 0:
                raise StoreError("notifications do not arrive; a proxy that shares sessions keeps them")
            if self._wait(left):
                self._receive()
            else:
                self._hear()

    def _hold(self, conversation: Conversation[object], seconds: float) -> object:
        value = self._link.run(self._link.converse(conversation, prepare=False), time.monotonic() + seconds)
        self._hear()
        return value

    def _wait(self, seconds: float) -> bool:
        return bool(select.select([self._link.pgconn.socket], [], [], seconds)[0])

    def _receive(self) -> None:
        self._link.pgconn.consume_input()
        self._hear()

    def _hear(self) -> None:
        while (said := self._link.pgconn.notifies()) is not None:
            if said.relname.decode() == self._echo:
                self._heard_of = True
            else:
                self._tell(said.extra)

    def _tell(self, what: bytes) -> None:
        kind, digits = what[:4], what[4:]
        called = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
        if kind == b"keys":
            self._channel.changed(called)
        elif kind == b"name":
            self._channel.cleared(called)
        else:
            self._channel.cleared(None)

    def close(self) -> None:
        self.socket.close()
        self._link.cut()


def _say(text: str) -> Conversation[None]:
    yield (Request(plain(text)),)


class Notifications(PushChannel):
    """Tells a listener what changes in the tables of one cache, and makes them if they are not there."""

    def __init__(self, connect: Callable[[], Link], names: Names, durability: Durability, listener: Listener) -> None:
        self._connect = connect
        self._messages = Messages(names)
        self._durability: Durability = durability
        # A digest leaves out the namespace of a key: one that changed is taken to have changed in all of them.
        watched = Watched(lambda key: _digits(key[1]), _digits)
        super().__init__(f"PostgreSQL, table {names.entries}", listener, watched)

    def open(self) -> PushSession:
        return NotifiedSession(self._connect(), self._messages, self._durability, self)


def _digits(raw: bytes) -> bytes:
    return sha256(stored(raw)).hexdigest()[:_DIGITS].encode()
