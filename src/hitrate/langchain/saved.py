"""What the hits of a cache spared, as records: calls, seconds, tokens, and money where prices are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, NamedTuple

from hitrate.base import Namespace
from hitrate.cache import Cache
from hitrate.savings import Account

Prices = Mapping[str, tuple[float, float]]
"""By the name of a model, dollars for a million input tokens, and for a million output tokens."""


class Savings(NamedTuple):
    """What hits in one namespace spared.

    Attributes:
        namespace: where the entries are; its second part is "model", "tool" or "llm", and the third a name.
        model: whose tokens they are; empty for a tool.
        hits: calls that were answered from the cache, or by waiting for an equal one.
        misses: calls that ran and could have been hits.
        seconds_saved: seconds that the calls took when they ran, summed over hits.
        seconds_spent: seconds that the cache took for hits and misses. Above ``seconds_saved``, it is not worth its
            place.
        input_tokens: tokens that hits did not send to the model.
        output_tokens: tokens that the model did not have to make.
        dollars: what these tokens would have cost; None if the price of the model is not known.
    """

    namespace: Namespace
    model: str
    hits: int
    misses: int
    seconds_saved: float
    seconds_spent: float
    input_tokens: int
    output_tokens: int
    dollars: float | None

    @property
    def hit_rate(self) -> float:
        """Hits as a fraction of the calls; 0.0 when there was none."""
        calls = self.hits + self.misses
        return self.hits / calls if calls else 0.0


def savings(cache: Cache[Any], *, prices: Prices | None = None) -> list[Savings]:
    """Return what hits spared since the cache was opened, by namespace and model, most seconds first.

    Args:
        cache: the cache of a middleware or an LLM cache.
        prices: by the name of a model, dollars for a million input tokens and for a million output tokens. Models that
            are not in it are looked up with ``genai-prices``, if that is installed, at the list price without
            discounts for what a provider caches itself.

    Raises:
        TypeError: the prices are none.
    """
    given = checked(prices) or {}
    records = [_record(account, given) for account in cache._counters.ledger if account.hits or account.misses]
    return sorted(records, key=lambda each: each.seconds_saved, reverse=True)


def checked(prices: Any) -> Prices | None:
    """Return prices as they are, or raise a TypeError that says what they should be."""
    if prices is not None and not (isinstance(prices, Mapping) and all(map(_is_price, prices.values()))):
        raise TypeError(
            f"prices are dollars for a million input tokens and for a million output tokens, by the name of a model, "
            f"as {{'gpt-5-mini': (0.25, 2.0)}}, not {prices!r}"
        )
    return prices


def _is_price(given: Any) -> bool:
    return (
        isinstance(given, (tuple, list)) and len(given) == 2 and all(isinstance(each, (int, float)) for each in given)
    )


def _record(account: Account, prices: Prices) -> Savings:
    told = {each.name: getattr(account, each.name) for each in fields(account)}
    tokens = account.input_tokens, account.output_tokens
    return Savings(**told, dollars=dollars(account.model, account.hits, *tokens, prices) if account.model else None)


def dollars(model: str, hits: int, sent: int, made: int, prices: Prices) -> float | None:
    """Return what the tokens that hits of a model spared would have cost, None if its price is not known."""
    if model in prices:
        for_input, for_output = prices[model]
        return (sent * for_input + made * for_output) / 1_000_000
    try:
        of_genai: Any = import_module("genai_prices")
    except ImportError:
        return None
    # The price of a token may depend on how many its request has, and so is asked for one of the usual size.
    usual = of_genai.Usage(input_tokens=max(1, sent // max(1, hits)), output_tokens=max(1, made // max(1, hits)))
    try:
        price = of_genai.calc_price(usual, model_ref=model)
    except LookupError:  # it does not know the model
        return None
    each_input: float = float(price.input_price) / usual.input_tokens
    each_output: float = float(price.output_price) / usual.output_tokens
    return each_input * sent + each_output * made
