"""Who is measured. Each contender is used as its own documentation recommends, and says what it promises for it."""

from __future__ import annotations

from pathlib import Path

from bench.contenders.base import Calls, Contender, Durability, Missing, Terms
from bench.contenders.files import FILES
from bench.contenders.memory import MEMORY
from bench.contenders.postgres import POSTGRES
from bench.contenders.redis import REDIS
from bench.contenders.tiers import TIERS
from bench.payloads import Payload

__all__ = [
    "FILES",
    "MEMORY",
    "POSTGRES",
    "REDIS",
    "TIERS",
    "Calls",
    "Contender",
    "Durability",
    "Missing",
    "Terms",
    "open_contender",
]


def open_contender(
    kind: type[Contender],
    *,
    payload: Payload,
    folder: Path | None = None,
    durability: Durability = "normal",
    terms: Terms = Terms(),  # noqa: B008 - frozen
) -> Contender:
    """Open a contender, or raise Missing when it is not installed."""
    try:
        return kind(payload=payload, folder=folder, durability=durability, terms=terms)
    except (ImportError, AttributeError) as error:
        raise Missing(kind.name, error) from error
