"""A cache for LangChain's models: what ``set_llm_cache`` and ``model.cache`` take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, TypeGuard

from langchain_core.caches import BaseCache as LangChainCache
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from hitrate.base import TTL, FullKey, Namespace
from hitrate.compute.cache import ComputingCache
from hitrate.content.calls import key_of
from hitrate.content.options import PLAIN
from hitrate.failsafe import LoggedOnce
from hitrate.langchain.answers import is_whole, tokens_of
from hitrate.langchain.prompts import SettingWithoutContent, model_of, prompt_of, told_prompt
from hitrate.langchain.saved import Prices, Savings, checked, savings
from hitrate.langgraph.messages import with_new_item_ids
from hitrate.runs import BYPASS, USE, current_mode
from hitrate.stats import MissTimes

NAMESPACE: Final[Namespace] = ("langchain", "llm")

_KINDS: Final[dict[str, type[Generation]]] = {
    "text": Generation,
    "text chunk": GenerationChunk,
    "chat": ChatGeneration,
    "chat chunk": ChatGenerationChunk,
}
_NAMES: Final = {cls: name for name, cls in _KINDS.items()}


class LLMCache(LangChainCache):
    """Answers the calls of LangChain's models: ``set_llm_cache(LLMCache(cache))`` or ``ChatModel(cache=...)``.

    A call is found again by what its messages say and by the model with its settings. The ids of messages and of tool
    calls, usage and the metadata of former responses do not count. The messages of a hit have no id, so that LangGraph
    gives them one. What fails is a miss.

    What this interface cannot do: it is a lookup and, some time later, an update, so that of equal calls at the same
    time all run, in one process as in several. ``stream`` and ``astream`` do not use it. A setting that has no content,
    which shows as a memory address, keeps a call out of the cache; this is logged once. ``CacheMiddleware`` does all of
    this for agents, ``hitrate.cached`` for functions.

    The usage of a hit is that of the first answer: LangChain's usage callbacks count it again.

    Entries are in the namespaces ``("langchain", "llm", name of the model)``.

    Args:
        cache: a hitrate cache.
        ttl: seconds that an answer stays fresh; None for ever, or for the cache's ``default_ttl``.
        prices: by model, dollars for a million input tokens and for a million output tokens; see ``savings``.

    Raises:
        TypeError: an argument has the wrong type.
    """

    def __init__(self, cache: ComputingCache[Any], *, ttl: TTL | None = None, prices: Prices | None = None) -> None:
        if not isinstance(cache, ComputingCache):
            raise TypeError(
                f"LLMCache takes a hitrate cache, as in LLMCache(hitrate.InMemoryCache()), not {cache!r} of type "
                f"{type(cache).__name__}"
            )
        self._cache = cache
        self._ttl = cache._terms(ttl, None).ttl
        self._prices = checked(prices)
        self._ledger = cache._counters.ledger
        self._missed = MissTimes()
        self._once = LoggedOnce()

    def savings(self) -> list[Savings]:
        """Return what hits of this cache spared, by model; see ``hitrate.langchain.savings``."""
        return savings(self._cache, prices=self._prices)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the generations for a prompt; None if there are none.

        Args:
            prompt: what LangChain makes of the messages, or a text.
            llm_string: what it makes of the model and its settings.
        """
        started = perf_counter()
        full_key = self._key(prompt, llm_string)
        found: dict[FullKey, Any] = {}
        with self._errors_logged():
            if _is_asked(full_key):
                found = self._cache.get((full_key,))
        return self._generations(full_key, found, started)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Asynchronously return the generations for a prompt; as ``lookup``."""
        started = perf_counter()
        full_key = self._key(prompt, llm_string)
        found: dict[FullKey, Any] = {}
        with self._errors_logged():
            if _is_asked(full_key):
                found = await self._cache.aget((full_key,))
        return self._generations(full_key, found, started)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Keep the generations for a prompt, if they are whole.

        Args:
            prompt: as in ``lookup``.
            llm_string: as in ``lookup``.
            return_val: what the model gave.
        """
        pairs = self._to_store(prompt, llm_string, return_val)
        with self._errors_logged():
            if pairs:
                self._cache.set(pairs)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Asynchronously keep the generations for a prompt; as ``update``."""
        pairs = self._to_store(prompt, llm_string, return_val)
        with self._errors_logged():
            if pairs:
                await self._cache.aset(pairs)

    def clear(self, **kwargs: Any) -> None:
        """Remove the answers of all models, and nothing else of the cache.

        Args:
            kwargs: not used.
        """
        self._cache.clear_under(NAMESPACE)

    async def aclear(self, **kwargs: Any) -> None:
        """Asynchronously remove the answers of all models; as ``clear``."""
        await self._cache.aclear_under(NAMESPACE)

    @contextmanager
    def _errors_logged(self) -> Iterator[None]:
        """Log, once, what goes wrong with the cache in this block, in place of raising it."""
        try:
            yield
        except Exception as error:
            self._once.log("a model", repr(error))

    def _key(self, prompt: str, llm_string: str) -> FullKey | None:
        """Return the full key of a call; None if it is not cached."""
        if current_mode() == BYPASS:
            return None
        try:
            return key_of_call(prompt, llm_string)
        except SettingWithoutContent as error:
            self._once.log("a model", error)
        except Exception as error:
            self._once.log("a model", repr(error))
        return None

    def _generations(
        self, full_key: FullKey | None, found: dict[FullKey, Any], started: float
    ) -> list[Generation] | None:
        if full_key is None:
            return None
        for stored in found.values():
            try:
                seconds, sent, made, kept = stored
                generations = [_restored(*each) for each in kept]
                account = self._ledger.account(full_key[0], full_key[0][-1])
                account.hit(float(seconds), sent, made, perf_counter() - started)
                return generations
            except Exception as error:
                self._once.log("a model", f"what was stored is unusable: {error!r}")
        self._missed.note((full_key,), perf_counter())
        return None

    def _to_store(
        self, prompt: str, llm_string: str, generations: Sequence[Generation]
    ) -> dict[FullKey, tuple[Any, float | None]]:
        started = perf_counter()
        full_key = self._key(prompt, llm_string)
        if full_key is None:
            return {}
        try:
            seconds = self._missed.seconds_since(full_key, started)
            stored = stored_form(generations, seconds)
            pairs: dict[FullKey, tuple[Any, float | None]] = {}
            if stored is not None:
                pairs[full_key] = stored, self._ttl
        except Exception as error:
            self._once.log("a model", f"its answer cannot be looked at: {error!r}")
            return {}
        self._ledger.account(full_key[0], full_key[0][-1]).miss(perf_counter() - started)
        return pairs


def key_of_call(prompt: str, llm_string: str) -> FullKey:
    """Return the full key of a call of a model, by the two texts that LangChain makes of it.

    Raises:
        SettingWithoutContent: a setting of the model is told by its memory address alone.
    """
    name, model = model_of(llm_string)
    said = prompt_of(prompt)
    return (*NAMESPACE, name), key_of((), (said, model), {}, PLAIN, told=lambda: {"model": model, **told_prompt(said)})


def stored_form(generations: Sequence[Generation], seconds: float) -> list[Any] | None:
    """Return what is stored of the generations for a prompt, and the seconds they took; None if they are not whole."""
    if not all(_is_whole(each) for each in generations):
        return None
    messages = [each.message for each in generations if isinstance(each, ChatGeneration)]
    # Each of several generations has the usage of the whole call.
    tokens = max((tokens_of([each]) for each in messages), default=(0, 0))
    return [seconds, *tokens, [_kept(each) for each in generations]]


def _is_asked(full_key: FullKey | None) -> TypeGuard[FullKey]:
    """Tell whether the cache is asked: not for a call that has no key, and not in a run that does not read."""
    return full_key is not None and current_mode() == USE


def _is_whole(generation: Generation) -> bool:
    if isinstance(generation, ChatGeneration):
        return is_whole(generation.message, generation.generation_info)
    info = generation.generation_info
    reason = (info or {}).get("finish_reason")
    return generation.text != "" and reason not in ("length", "content_filter")


def _kept(generation: Generation) -> list[Any]:
    """Return what is stored of a generation: the text of one with a message is made of the message."""
    content: Any = str(generation.text)
    if isinstance(generation, ChatGeneration):
        content = generation.message
        if content.id is not None:
            content = content.model_copy(update={"id": None})
    return [_NAMES[type(generation)], content, generation.generation_info]


def _restored(kind: str, content: Any, info: dict[str, Any] | None) -> Generation:
    if not isinstance(content, BaseMessage):
        return _KINDS[kind](text=content, generation_info=info)
    if type(content.content) is not str or content.additional_kwargs:
        with_new_item_ids(content)
    chat: Any = _KINDS[kind]
    generation: Generation = chat(message=content, generation_info=info)
    return generation
