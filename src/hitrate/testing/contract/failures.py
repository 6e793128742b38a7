"""What raises, what is a miss, and what `on_error` changes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hitrate.errors import DecodeError, HitrateError, SerializationError
from hitrate.testing.contract.fixtures import NAMESPACE, A, B, Fixtures, MakeCache
from hitrate.testing.contract.refusal import unserialisable
from hitrate.testing.faces import Driver, Face
from hitrate.testing.serializers import UndecodableSerializer


class Failures(Fixtures):
    """Failures"""

    def test_the_refusal_of_an_unserialisable_value(self, cache: Driver) -> None:
        """A value that cannot be serialised is a SerializationError that names its type and where it is."""
        with pytest.raises(SerializationError) as caught:
            cache.set({A: (unserialisable(), None)})
        assert "lock" in caught.value.type_name
        assert "rows" in caught.value.where
        assert "lock" in str(caught.value)

    @pytest.mark.parametrize("on_error", ["miss", "raise"])
    def test_misuse_is_raised_whatever_on_error_is(self, new_cache: MakeCache, face: Face, on_error: str) -> None:
        """Misuse is raised whatever `on_error` is."""
        wrong: Any = (NAMESPACE, 17)
        with face.open(new_cache(on_error=on_error)) as cache:
            with pytest.raises(TypeError):
                cache.get([wrong])
            with pytest.raises(TypeError):
                cache.set({wrong: (1, None)})
            with pytest.raises(ValueError):  # noqa: PT011 - the message is the cache's own
                cache.set({A: (1, float("nan"))})

    def test_an_undecodable_entry_is_logged(
        self, new_cache: MakeCache, face: Face, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An entry that cannot be restored is logged by the logger `hitrate`."""
        with caplog.at_level(logging.DEBUG, "hitrate"), face.open(new_cache(serde=UndecodableSerializer())) as cache:
            cache.set({A: (["undecodable"], None)})
            assert cache.get([A]) == {}
        assert any(record.name.split(".")[0] == "hitrate" for record in caplog.records)

    def test_on_error_raise_raises_an_undecodable_entry(self, new_cache: MakeCache, face: Face) -> None:
        """With `on_error="raise"` an entry that cannot be restored raises a DecodeError."""
        with face.open(new_cache(serde=UndecodableSerializer(), on_error="raise")) as cache:
            cache.set({A: (["undecodable"], None), B: (["good"], None)})
            with pytest.raises(DecodeError):
                cache.get([A, B])
            assert cache.get([B]) == {B: ["good"]}

    def test_an_unknown_on_error_is_refused(self, new_cache: MakeCache) -> None:
        """`on_error` is "miss" or "raise", and anything else a ValueError."""
        with pytest.raises(ValueError, match="ignore"):
            new_cache(on_error="ignore")

    @pytest.mark.parametrize("ttl", [float("nan"), "60"])
    def test_a_wrong_default_ttl_is_refused(self, new_cache: MakeCache, ttl: Any) -> None:
        """A `default_ttl` that is no number of seconds is a TypeError or ValueError."""
        with pytest.raises((TypeError, ValueError)):
            new_cache(default_ttl=ttl)

    def test_every_error_of_hitrate_has_one_root(self) -> None:
        """Every error that hitrate defines is a HitrateError."""
        assert issubclass(SerializationError, HitrateError)
        assert issubclass(SerializationError, TypeError)
        assert issubclass(DecodeError, HitrateError)
