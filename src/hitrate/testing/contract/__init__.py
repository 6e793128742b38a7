"""The promises of a cache as tests: one file for each group of them.

=================  =====================================================================================================
``fixtures.py``    what the tests are given: a clock, a face, a cache
``signatures.py``  and ``keys.py``, ``misuse.py``: what may be passed
``reading.py``     and ``writing.py``, ``values.py``, ``refusal.py``: get and set
``expiry.py``      TTLs; ``instants.py``: to the instant, and that what has expired goes away
``clearing.py``    and ``deleting.py``: what a removal removes
``listing.py``     entries and namespaces
``bounds.py``      limits and eviction
``counters.py``    ``stats()``
``failures.py``    what raises, and what is a miss
``lifecycle.py``   opening and closing
``one_store.py``   the two faces are one store
``at_once.py``     threads, event loops, tasks, cancellation
``event_loop.py``  the event loop goes on while a cache waits
``pickles.py``     nothing is unpickled
``forks.py``       forks
``model.py``       random operations beside a dict that models the cache
=================  =====================================================================================================
"""

from __future__ import annotations

from hitrate.testing.contract.at_once import AtOnce
from hitrate.testing.contract.bounds import Bounds
from hitrate.testing.contract.clearing import Clearing, ClearingUnder
from hitrate.testing.contract.counters import Counters
from hitrate.testing.contract.deleting import Deleting
from hitrate.testing.contract.event_loop import EventLoop
from hitrate.testing.contract.expiry import Expiry
from hitrate.testing.contract.failures import Failures
from hitrate.testing.contract.forks import BusyForks, Forks
from hitrate.testing.contract.instants import Instants, Purging
from hitrate.testing.contract.keys import Keys
from hitrate.testing.contract.lifecycle import Lifecycle
from hitrate.testing.contract.listing import ListingEntries
from hitrate.testing.contract.misuse import Misuse
from hitrate.testing.contract.model import DocumentedModel, FullModel
from hitrate.testing.contract.one_store import OneStore
from hitrate.testing.contract.pickles import Pickles
from hitrate.testing.contract.reading import Reading
from hitrate.testing.contract.refusal import Refusal
from hitrate.testing.contract.signatures import Signatures
from hitrate.testing.contract.values import Values
from hitrate.testing.contract.writing import Writing


class DocumentedContract(
    Signatures,
    Keys,
    Misuse,
    Reading,
    Values,
    Writing,
    Refusal,
    Expiry,
    Clearing,
    OneStore,
    AtOnce,
    Forks,
    DocumentedModel,
):
    """Every promise that shows through the documented methods alone: ``get``, ``set``, ``clear`` and their async faces.

    Subclass it in a test file and give the fixture ``make_cache``: a function that makes a new, empty cache and passes
    on ``serde=``, the one documented option. A cache that cannot take the clock of the suite overrides the fixture
    ``clock`` to return a ``WallClock``; its tests then wait for some TTLs of a second.
    """


class CacheContract(
    DocumentedContract,
    Deleting,
    ClearingUnder,
    ListingEntries,
    Instants,
    Purging,
    Bounds,
    Counters,
    Failures,
    Lifecycle,
    EventLoop,
    Pickles,
    BusyForks,
    FullModel,
):
    """Every promise of a hitrate cache: the documented ones, and those on listing, bounds, counters, failures, closing.

    Subclass it in a test file and give the fixture ``make_cache``: a function that makes a new, empty cache with the
    suite's ``clock`` and passes on the options ``serde``, ``default_ttl`` and ``on_error``, and ``max_bytes`` and
    ``max_entries`` if the cache offers bounds. What its ``offers`` does not name is not tried: a cache over a store has
    the ``offers`` of the store.
    """
