"""Serializers that show what a cache does with the one it is given."""

from __future__ import annotations

import json
from typing import Any


class JsonSerializer:
    """The documented protocol in its smallest form; its encoding is ``json``."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return ``("json", payload)``; a ``TypeError`` for what JSON does not know."""
        return "json", json.dumps(obj).encode()

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of a pair that ``dumps_typed`` gave."""
        encoding, payload = data
        if encoding != "json":
            raise ValueError(f"the encoding is {encoding!r}, not 'json'")
        return json.loads(bytes(payload))


class UndecodableSerializer(JsonSerializer):
    """Stores everything, and fails to restore any value that contains the text ``undecodable``."""

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of a pair, or raise ``ValueError`` as a serializer does on damaged bytes."""
        if b"undecodable" in bytes(data[1]):
            raise ValueError("these bytes cannot be restored")
        return super().loads_typed(data)
