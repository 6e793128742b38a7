"""Nothing is unpickled: whoever can write a pickle where a cache keeps its entries runs code where it is read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.faces import Face
from hitrate.testing.watching import called, unpickles

KEY = (("pickles",), "key")
VALUE = {"text": "a", "bytes": b"b", "number": Decimal("1.5"), "days": [date(2025, 1, 1), (1, None)]}


class Pickles(Fixtures):
    """Security"""

    def test_nothing_is_unpickled(self, new_cache: MakeCache, face: Face) -> None:
        """Nothing that is stored is unpickled, and so none of it can run code."""
        with called(unpickles, in_threads=True) as found, face.open(new_cache()) as cache:
            for _ in range(3):
                cache.set({KEY: (VALUE, 60)})
                assert cache.get([KEY]) == {KEY: VALUE}
                cache.delete([KEY])
        assert not found, f"what is stored is restored by {found[0]}, which runs the code that a pickle names"
