"""Runs steps on the connections of a file, one writer at a time, and turns SQLite's errors into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import apsw

from hitrate.errors import ClosedError, HitrateError, StoreError
from hitrate.exclusive import Exclusive, within_change
from hitrate.keys import EncodedKey
from hitrate.stores.sqlite import schema
from hitrate.stores.sqlite.connections import Connections
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.idle import MustNotWait
from hitrate.stores.sqlite.limits import Limits
from hitrate.stores.sqlite.storing import LastWrite
from hitrate.stores.sqlite.transaction import Transaction

if TYPE_CHECKING:
    from hitrate.stores.sqlite.ranks import Ranks

T = TypeVar("T")


class Database:
    """Runs steps on the connections of one store, and its writes one after the other.

    Attributes:
        path: of the file.
        connections: to it.
        limits: how much it may hold.
        clock: returns the seconds since the epoch.
        ranks: the order by worth, None if eviction is not by that.
        seen: the ids of rows that this process has read; other threads add to it.
        exclusive: one writer of this process at a time: a queue, where SQLite would poll.
        last_write: what it left; guarded by ``exclusive``, as are the ranks.
        after_write: called once a write is done.
    """

    def __init__(
        self, connections: Connections, limits: Limits, clock: Callable[[], float], ranks: Ranks | None
    ) -> None:
        self.path = connections.path
        self.connections = connections
        self.limits = limits
        self.clock = clock
        self.ranks = ranks
        self.seen = connections.near.seen
        self.exclusive = Exclusive()
        self.last_write = LastWrite()
        self.after_write: Callable[[], None] = lambda: None
        self._near = connections.near

    def use(self, do: Callable[..., T], *args: Any) -> T:
        """Do something with a connection that nobody else uses."""
        if self.connections.in_memory:
            result: T = self.with_the_only_one(self._use_any, do, *args)
            return result
        return self._use_any(do, *args)

    def _use_any(self, do: Callable[..., T], *args: Any) -> T:
        idle = self.connections.idle
        handle = None
        try:
            try:
                handle = idle.pop()
            except IndexError:
                handle = self.connections.open()
            handle.snapshot.end()
            result = do(handle, *args)
        except BaseException as error:
            self.failed(handle, error)
        idle.append(handle)
        return result

    def with_the_only_one(self, do: Callable[..., T], *args: Any) -> T:
        """Do something with the one connection of ``:memory:``; whatever happens, this thread gives it back."""
        only = self.connections.only
        assert only is not None
        if only.is_mine():
            raise StoreError(f"{self.path} is in use by this very thread")
        try:
            return do(*args)
        finally:
            only.let_go()
            if self.exclusive.waiting:
                self.exclusive.catch_up()

    # Changes

    def is_busy_here(self) -> bool:
        """Tell whether to put a change off: a finaliser or a signal handler asks for it within another change.

        Nearer tiers are told of this one, under their lock; and `:memory:` has one connection for all.
        """
        connections = self.connections
        if connections.watches:
            return within_change()
        return (self.exclusive.busy or connections.in_memory) and self.exclusive.must_not_wait()

    def put_off(self, do: Callable[..., object], *what: Any) -> None:
        """Have a change carried out after the one that this thread is in."""
        self.exclusive.put_off(partial(do, *what))

    def refuse_to_wait(self) -> None:
        """Raise ``MustNotWait`` if this thread is within a change itself, and so cannot wait for the writer."""
        if self.exclusive.busy and self.exclusive.must_not_wait():
            raise MustNotWait(f"{self.path} is being written to, and a finaliser does not wait for that")

    def transact(self, do: Callable[[Transaction], T]) -> T:
        """Do something within a transaction that writes."""
        self.refuse_to_wait()
        result: T = self.exclusive.run(self.transact_alone, do)
        self.after_write()
        return result

    def transact_alone(self, do: Callable[[Transaction], T]) -> T:
        """Do it while ``exclusive`` is held."""

        def transact(handle: Handle) -> tuple[T, Transaction | None]:
            commits = self.connections.commits
            with Transaction(handle, self) as transaction:
                result = do(transaction)
            return result, transaction if self.connections.commits != commits else None

        self.last_write.forget()
        result, done = self.use(transact)
        if done is not None:
            if done.cleared:
                self._near.lose()
            self.committed(*done.commit, done.changed, done.removed)
        return result

    def committed(self, index: Any, before: int, keys: Iterable[EncodedKey], rows: Iterable[int] = ()) -> None:
        """Tell of a commit, before another one can begin; as ``Near.committed``."""
        self._near.committed(index, before, keys, rows)
        self.connections.watches.committed(index, before)

    def failed(self, handle: Handle | None, error: BaseException) -> NoReturn:
        """Close a connection that failed, and return the error to raise for it."""
        if handle is not None:
            self.connections.discard(handle)
        # The last two are raised for a column that holds a value of another type.
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError, schema.Tampered, TypeError, ValueError)):
            self.connections.set_aside(handle, error)
            raise StoreError(f"{self.path} was damaged: {error}") from error
        if isinstance(error, (StoreError, ClosedError)):
            raise error
        if isinstance(error, (apsw.BusyError, apsw.LockedError)):
            self.connections.waited_in_vain()
            # Not `timed_out`: a locked file can be read, to see which old values are to be withheld.
            raise StoreError(f"{self.path} is locked by another process: {error}") from error
        if isinstance(error, (apsw.Error, OSError, HitrateError)):
            raise StoreError(f"{self.path}: {error}") from error
        raise error

    def after_fork_in_child(self) -> None:
        """Start anew what a fork does not carry over: locks that other threads held."""
        self.exclusive = Exclusive()
        self.last_write = LastWrite()
