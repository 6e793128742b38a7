"""Reads and writes in every order of their steps, on tiers that fail now and then: nothing that was replaced is served.

An operation of the tiers is a plan, which says what to ask of which store. Here the plans of several operations are
carried out a step at a time, in an order drawn at random: a store does what it is asked in one step, and its
answer comes in a later one.
"""

import random
import time
from dataclasses import dataclass
from itertools import count

import pytest

from hitrate.errors import StoreError
from hitrate.stores.memory import MemoryStore
from hitrate.stores.sqlite import SqliteStore
from hitrate.stores.tiered import TieredStore
from hitrate.stores.tiered.clearing import clearing
from hitrate.stores.tiered.leasing import settling
from hitrate.stores.tiered.reading import reading
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access
from hitrate.stores.tiered.writing import writing

KEYS = [(b"\x01a", b"1"), (b"\x01a", b"2"), (b"\x01b", b"1")]
FAIL, FAIL_AFTER_ALL = "fails", "fails after all"


def sqlite():
    return SqliteStore(":memory:", durability="normal", max_bytes=None, max_entries=None, repair=True, clock=time.time)


def new_tiers(levels, staleness):
    near = MemoryStore(max_bytes=None, max_entries=None, clock=time.time)
    stores = [near, *(sqlite() for _ in range(levels - 1))]
    tiers = TieredStore(Tiers(stores, staleness=staleness, start=0, report=lambda doing, error: None, clock=time.time))
    tiers._tiers.keeper.request = lambda: None  # reads do not wait for it, and it has a thread of its own
    return tiers


@dataclass
class Operation:
    """One call of the tiers, carried out a step at a time."""

    keys: list
    plan: object
    value: bytes | None = None
    begun: int = 0
    ended: int | None = None
    result: object = None
    failed: bool = False
    _call: object = None
    _answer: object = None

    def step(self, now, trouble):
        if self._call is not None and self._answer is None:
            store, do, *arguments = self._call
            failure = StoreError("this tier is down")
            try:
                self._answer = (None, failure) if trouble == FAIL else (getattr(store, do)(*arguments), None)
                if trouble == FAIL_AFTER_ALL:
                    self._answer = None, failure
            except StoreError as error:
                self._answer = None, error
            return
        try:
            if self._call is None:
                self._call = self.plan.send(None)
            else:
                (value, error), self._answer = self._answer, None
                self._call = self.plan.send(value) if error is None else self.plan.throw(error)
        except StopIteration as end:
            self.ended, self.result = now, end.value
        except StoreError:
            assert self.what == "settle"
            self.failed = True

    def abandon(self):
        """Cancel it: whoever awaited it is gone. Return what a store was asked and may do later."""
        self.plan.close()
        return self._call if self._answer is None else None


class History:
    """What was done when, and what may so be read."""

    def __init__(self):
        self.writes = []

    def allowed(self, key, read, found):
        """Tell whether a value that was found had been replaced before the read began."""
        (write,) = [each for each in self.writes if key in each.keys and each.value == found]
        later = [
            each
            for each in self.writes
            if key in each.keys
            and write.ended is not None
            and each.begun > write.ended
            and each.ended is not None
            and each.ended < read.begun
        ]
        return write.begun < read.ended and not later


CALLS = ["get", "get", "get", "set", "set", "settle", "delete", "clear", "clear under", "direct set", "direct delete"]
MOVES = [*CALLS * 2, *["step"] * 8, *["trouble"] * 3, *["finish"] * 6, "cancel", "late", "evict", "evict"]


def entry(value):
    return "bytes", value, None, 0.0


def begin(tiers, what, keys, value):
    access = Access("get" if what == "get" else "write", dict.fromkeys(keys))
    if what == "get":
        return Operation(keys, reading(tiers._tiers, access, keys, None))
    if what == "set":
        return Operation(keys, writing(tiers._tiers, access, dict.fromkeys(keys, entry(value))), value)
    if what == "delete":
        return Operation(keys, writing(tiers._tiers, access, dict.fromkeys(keys)))
    if what == "settle":
        return Operation(keys, settling(tiers._tiers, access, dict.fromkeys(keys, entry(value)), b"token"), value)
    name = keys[0][0]
    if what == "clear":
        plan = clearing(tiers._tiers, Access("clear", [name]))
    else:
        plan = clearing(tiers._tiers, Access("clear_under", name))
    return Operation([key for key in KEYS if key[0] == name], plan)


class World:
    """Tiers, and what is done to them."""

    def __init__(self, levels):
        self.tiers = new_tiers(levels, staleness=0.0)
        self.far = self.tiers._far.store
        self.history = History()
        self.under_way, self.left = [], []
        self.times, self.values = count(1), count(1)

    def do(self, move, argument):
        if move in CALLS and move.startswith("direct"):
            self.change_directly(move, argument)
        elif move in CALLS:
            self.begin(move, argument)
        elif move == "evict":
            self.tiers._tiers.all[0].store.clear(None)
        elif move == "late" and self.left:
            do_what_was_left(self.left.pop(0))
        elif self.under_way:
            operation = self.under_way[argument % len(self.under_way)]
            if move == "cancel":
                self.under_way.remove(operation)
                self.left.append(operation.abandon())
            elif move == "finish":
                while operation.ended is None and not operation.failed:
                    self.step(operation, None)
            elif move == "step":
                self.step(operation, None)
            elif move == "trouble":
                self.step(operation, FAIL if argument % 2 else FAIL_AFTER_ALL)

    def step(self, operation, trouble):
        operation.step(next(self.times), trouble)
        if operation.failed or operation.ended is not None:
            self.under_way.remove(operation)
            check(self.history, operation)

    def begin(self, what, keys):
        operation = begin(self.tiers, what, keys, b"%d" % next(self.values))
        operation.begun, operation.what = next(self.times), what
        if what != "get":
            self.history.writes.append(operation)
        self.under_way.append(operation)
        return operation

    def change_directly(self, what, keys):
        """Change the far store by itself."""
        value = b"%d" % next(self.values) if what == "direct set" else None
        begun = next(self.times)
        self.far.write(dict.fromkeys(keys, None if value is None else entry(value)))
        self.history.writes.append(Operation(keys, None, value, begun=begun, ended=next(self.times)))

    def come_to_rest(self):
        while self.under_way:
            self.do("finish", 0)
        for call in self.left:
            do_what_was_left(call)
        for _ in range(2):  # from the nearer tiers, and from the farther ones
            self.begin("get", KEYS)
            self.do("finish", 0)
            same_everywhere(self.tiers)
            self.do("evict", 0)


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_what_was_replaced_is_never_served(levels, seed):
    chance = random.Random(seed)
    for _ in range(40):
        world = World(levels)
        try:
            for _ in range(chance.randrange(5, 60)):
                move = chance.choice(MOVES)
                world.do(move, chance.sample(KEYS, chance.choice([1, 1, 2])) if move in CALLS else chance.randrange(4))
            world.come_to_rest()
        finally:
            for tier in world.tiers._tiers.all:
                tier.store.close()


def do_what_was_left(call):
    if call is not None:
        store, do, *arguments = call
        getattr(store, do)(*arguments)


def check(history, operation):
    if operation.what == "get":
        for key, found in zip(operation.keys, operation.result, strict=True):
            if type(found) is tuple:
                assert history.allowed(key, operation, found[1]), (key, found[1])


def same_everywhere(tiers):
    """Check that no tier holds for a key another value than the farthest one, if it is trusted."""
    far = tiers._far
    if far.debts:
        return
    right = far.store.get(KEYS)
    for tier in tiers._tiers.all[:-1]:
        for key, value, held in zip(KEYS, right, tier.store.get(KEYS), strict=True):
            if held is not None and value is not None and not tier.debts.doubts(key):
                assert held[:2] == value[:2], (tier.level, key)


def test_a_copy_that_is_being_made_is_not_read_before_it_is_known_to_be_right():
    world = World(3)
    world.change_directly("direct set", KEYS[:1])
    middle = world.tiers._tiers.all[1].store
    world.tiers._tiers.pay()
    read = world.begin("get", KEYS[:1])
    while read._call is None or read._call[1] != "write":
        world.step(read, None)
    world.begin("set", KEYS[:1])
    world.do("finish", 1)
    world.step(read, None)  # its copy comes after that of the write
    assert middle.get(KEYS[:1])[0][1] == b"1"
    world.do("evict", 0)
    again = world.begin("get", KEYS[:1])
    world.do("finish", 1)
    assert again.result[0][1] == b"3"
    world.come_to_rest()
