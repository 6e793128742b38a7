"""What hits spared, by namespace and model: calls, seconds and tokens. Adapters note it, and a cache adds it up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hitrate.base import Namespace

_ACCOUNTS_AT_MOST: Final = 4096


@dataclass(slots=True, eq=False)
class Account:
    """What was saved in one namespace, of one model.

    Each count is changed by a single ``+=``, as those of ``Counters`` are.

    Attributes:
        namespace: where the entries are.
        model: whose tokens they are; empty for a tool.
        hits: calls that were answered from the cache, or by waiting for an equal one.
        misses: calls that ran.
        seconds_saved: seconds that the calls took when they ran, summed over hits.
        seconds_spent: seconds that making keys, looking up and storing took, hits and misses.
        input_tokens: tokens that hits did not send.
        output_tokens: tokens that hits did not have made.
    """

    namespace: Namespace
    model: str
    hits: int = 0
    misses: int = 0
    seconds_saved: float = 0.0
    seconds_spent: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0

    def hit(self, seconds: float, input_tokens: int, output_tokens: int, spent: float) -> None:
        """Note a call that was spared: the seconds and tokens that it took when it ran, and what the cache spent."""
        self.hits += 1
        self.seconds_saved += seconds
        self.seconds_spent += spent
        if input_tokens:
            self.input_tokens += input_tokens
        if output_tokens:
            self.output_tokens += output_tokens

    def miss(self, spent: float) -> None:
        """Note a call that ran, and the seconds that the cache took besides."""
        self.misses += 1
        self.seconds_spent += spent


class Ledger:
    """The accounts of one cache: a bounded number, beyond which what is new is not noted."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[Namespace, str], Account] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._accounts.values()))

    def account(self, namespace: Namespace, model: str = "") -> Account:
        """Return the account of a namespace and a model."""
        key = namespace, model
        found = self._accounts.get(key)
        if found is None:
            found = Account(namespace, model)
            if len(self._accounts) < _ACCOUNTS_AT_MOST:
                found = self._accounts.setdefault(key, found)
        return found

    def tokens_by_namespace(self) -> dict[Namespace, dict[str, dict[str, int]]]:
        """Return by namespace, and then by model, the tokens that hits spared."""
        saved: dict[Namespace, dict[str, dict[str, int]]] = {}
        for account in self:
            if account.input_tokens or account.output_tokens:
                tokens = saved.setdefault(account.namespace, {}).setdefault(account.model, {"input": 0, "output": 0})
                tokens["input"] += account.input_tokens
                tokens["output"] += account.output_tokens
        return saved

    def tokens_saved(self) -> dict[str, dict[str, int]]:
        """Return by model the tokens that hits spared: ``{"input": ..., "output": ...}``."""
        saved: dict[str, dict[str, int]] = {}
        for account in self:
            if account.input_tokens or account.output_tokens:
                tokens = saved.setdefault(account.model, {"input": 0, "output": 0})
                tokens["input"] += account.input_tokens
                tokens["output"] += account.output_tokens
        return saved
