"""Embeddings whose vectors are kept: each text is embedded once, however many callers ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from langchain_core.embeddings import Embeddings

from hitrate.base import TTL, FullKey, Namespace
from hitrate.compute.cache import ComputingCache
from hitrate.compute.terms import agreed
from hitrate.content.calls import content_key
from hitrate.errors import HitrateError, ReentrancyError, SerializationError
from hitrate.keys import check_namespace, encode_text
from hitrate.langchain.embedding_models import identity_of, name_of_model
from hitrate.langchain.vectors import Packed, is_packed, packed, unpacked
from hitrate.plans import Plan, acarry_out, carry_out
from hitrate.runs import BYPASS, USE, current_mode, current_scope

DOCUMENTS: Final = "documents"
QUERIES: Final = "queries"

_AT_ONCE = 128
"""Texts or vectors that a coroutine goes through before it lets the event loop serve others."""

Texts = dict[FullKey, str]
Vectors = dict[FullKey, Packed]


class CachedEmbeddings(Embeddings):
    """Embeddings over others, whose vectors are kept in a cache: ``CachedEmbeddings(OpenAIEmbeddings(), cache)``.

    A call reads the cache once, embeds what is missing, each text once, and stores it. Who asks meanwhile for a text
    that is being embedded, in a thread or a task, waits for that vector. Documents and queries are kept apart, for many
    models embed them differently. Vectors come back as lists of exactly the numbers that the model returned.

    A run does not fail because of its cache. What the model raises is raised, and nothing of that batch is stored.
    ``hitrate.scope``, ``hitrate.bypass`` and ``hitrate.refresh`` hold.

    Args:
        embeddings: the embeddings that are asked for what is missing.
        cache: any cache of hitrate's.
        model: which model it is: two of one name, and of equal settings, share vectors. Not needed for embeddings that
            tell their model's name, as most that come with LangChain do. Settings that change vectors, as
            ``dimensions``, count besides.
        ttl: seconds, or a timedelta, that vectors are kept; None for ever, or for the cache's ``default_ttl``.
        lease: seconds that other processes on the same backend wait for this one to embed a batch; then the next one
            does. None if they need not wait.
        batch_size: texts that the model is given at once, at most; what has been embedded is stored after each batch.
            None for no limit.
        namespace: where in the cache; the model and the kind of text are added to it, so that
            ``cache.clear_under(("embeddings", "text-embedding-3-small"))`` forgets those of a model.

    Attributes:
        model: the model's name.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of its range, or the embeddings do not tell which model it is.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        cache: ComputingCache[Any],
        *,
        model: str | None = None,
        ttl: TTL | None = None,
        lease: TTL | None = None,
        batch_size: int | None = 1000,
        namespace: Namespace = ("embeddings",),
    ) -> None:
        if not isinstance(embeddings, Embeddings):
            raise TypeError(f"embeddings are LangChain's Embeddings, not {embeddings!r} of type {_kind(embeddings)}")
        if not isinstance(cache, ComputingCache):
            raise TypeError(f"vectors are kept in a cache of hitrate's, not in {cache!r} of type {_kind(cache)}")
        if model is not None and not isinstance(model, str):
            raise TypeError(f"model is a model's name, not {model!r} of type {_kind(model)}")
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise ValueError(f"batch_size is a number of texts from 1 up, or None for no limit, not {batch_size!r}")
        name = name_of_model(embeddings) if model is None else model
        if not name:
            raise ValueError(
                f"which model {_kind(embeddings)} asks is not told by it, and two models must not share vectors: give "
                f"its name, CachedEmbeddings(..., model='...')"
            )
        check_namespace(namespace)
        agreed(ttl=ttl, lease=lease)
        self.model = name
        self._embeddings = embeddings
        self._cache = cache
        self._is_named = model is not None
        self._ttl = ttl
        self._lease = lease
        self._batch_size = batch_size
        self._namespaces = {kind: (*namespace, name, kind) for kind in (DOCUMENTS, QUERIES)}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vector of each text, in the order given.

        Raises:
            TypeError: a text is not a str, or the model returned what is no vector.
            ValueError: the model returned another number of vectors than it was given texts.
        """
        return carry_out(self._vectors(DOCUMENTS, texts))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Asynchronously return the vector of each text; as ``embed_documents``."""
        return await acarry_out(self._vectors(DOCUMENTS, texts))

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text that is searched for; as ``embed_documents``."""
        return carry_out(self._vectors(QUERIES, [text]))[0]

    async def aembed_query(self, text: str) -> list[float]:
        """Asynchronously return the vector of a text that is searched for; as ``embed_documents``."""
        return (await acarry_out(self._vectors(QUERIES, [text])))[0]

    def _vectors(self, kind: str, texts: Iterable[str]) -> Plan[list[list[float]]]:
        texts = _checked_texts(texts)
        keys = yield from self._keys(kind, texts)
        by_key = dict(zip(keys, texts, strict=True))
        mode = current_mode()
        if mode == USE:
            found = yield from self._kept(kind, by_key)
        else:
            found = {}
            for batch in self._batches(by_key):
                values = yield from self._embedded(kind, batch)
                if mode != BYPASS:
                    yield from self._overwrite(values)
                found |= values
        vectors: list[list[float]] = []
        for key in keys:
            vectors.append(unpacked(found[key]))
            if not len(vectors) % _AT_ONCE:
                yield _TURN, "give"
        return vectors

    def _keys(self, kind: str, texts: list[str]) -> Plan[list[FullKey]]:
        """Return the key of each text: a digest, for a text may be long."""
        what_counts = content_key(*identity_of(self._embeddings, named=self._is_named), current_scope())
        # a digest always has the same length, so that the text begins at a known place
        start = blake2b(what_counts.encode(), digest_size=32)
        namespace = self._namespaces[kind]
        keys: list[FullKey] = []
        for text in texts:
            digest = start.copy()
            digest.update(encode_text(text))
            keys.append((namespace, digest.hexdigest()))
            if not len(keys) % _AT_ONCE:
                yield _TURN, "give"
        return keys

    def _batches(self, texts: Texts) -> Iterator[Texts]:
        left = iter(texts.items())
        while batch := dict(islice(left, self._batch_size or max(1, len(texts)))):
            yield batch

    # Through the cache

    def _kept(self, kind: str, texts: Texts) -> Plan[Vectors]:
        """Return the vectors of texts, embedding those that the cache does not hold."""
        found: Vectors = {}
        if self._batch_size is not None and len(texts) > self._batch_size:
            # Look for all texts first, and divide only the missing ones, so that batches are full.
            found = yield from self._sound((yield self._cache, "get", [*texts]))
        for batch in self._batches({key: text for key, text in texts.items() if key not in found}):
            found |= yield from self._computed(kind, batch)
        return found

    def _computed(self, kind: str, texts: Texts) -> Plan[Vectors]:
        """Return the vectors of a batch of texts, embedding those that neither the cache nor anyone else has."""
        found: Vectors = {}
        for is_last in (False, True):
            missing = {key: text for key, text in texts.items() if key not in found}
            if not missing:
                return found
            once = _SharedComputation(self._cache, partial(self._embedded, kind, missing), self._ttl, self._lease)
            try:
                values = yield once, "compute", [*missing]
            except ReentrancyError:
                # A task of this very event loop embeds one of them, and cannot go on while this thread waits for it.
                break
            except HitrateError:
                raise
            except Exception as error:
                # The batch of another caller may have failed because of a text that we did not ask for: ask again,
                # once.
                if is_last or error is once.raised:
                    raise
            else:
                found |= yield from self._sound(values)
        missing = {key: text for key, text in texts.items() if key not in found}
        return found | (yield from self._embedded(kind, missing))

    def _sound(self, values: Mapping[FullKey, Any]) -> Plan[Vectors]:
        """Return those values that are vectors, and remove the others from the cache: another program stored them."""
        sound = {key: value for key, value in values.items() if is_packed(value)}
        if len(sound) < len(values):
            yield self._cache, "delete", [key for key in values if key not in sound]
        return sound

    def _overwrite(self, values: Vectors) -> Plan[None]:
        try:
            yield self._cache, "set", {key: (value, self._ttl) for key, value in values.items()}
        except SerializationError:  # only a serializer of the program's own refuses vectors
            yield self._cache, "delete", [*values]

    # By the model

    def _embedded(self, kind: str, texts: Texts, keys: Iterable[FullKey] | None = None) -> Plan[Vectors]:
        """Return the vectors of texts by the model, of all or those with certain keys."""
        wanted = {key: texts[key] for key in (texts if keys is None else keys)}
        if not wanted:
            return {}
        if kind == DOCUMENTS:
            returned = yield self._embeddings, "embed_documents", [*wanted.values()]
        else:
            (text,) = wanted.values()
            returned = [(yield self._embeddings, "embed_query", text)]
        try:
            vectors = [*returned]
        except TypeError:
            raise TypeError(
                f"{_kind(self._embeddings)} returned {returned!r} for {len(wanted)} texts, and no list of vectors"
            ) from None
        if len(vectors) != len(wanted):
            raise ValueError(
                f"{_kind(self._embeddings)} returned {len(vectors)} vectors for {len(wanted)} texts, so that it cannot "
                f"be told which is whose; nothing of them was stored"
            )
        found = {}
        for key, vector in zip(wanted, vectors, strict=True):
            found[key] = packed(vector)
            if not len(found) % _AT_ONCE:
                yield _TURN, "give"
        return found


@dataclass(eq=False)
class _SharedComputation:
    """Has a cache compute by a plan what it does not hold, once for all who ask at the same time.

    Attributes:
        raised: what the plan of this caller raised; not what the plan of another caller raised that it waited for.
    """

    cache: ComputingCache[Any]
    plan: Callable[[list[FullKey]], Plan[Vectors]]
    ttl: TTL | None
    lease: TTL | None
    raised: Exception | None = None

    def compute(self, keys: list[FullKey]) -> Vectors:
        return self.cache.get_or_compute_many(
            keys, lambda missing: carry_out(self._noted(missing)), self.ttl, lease=self.lease
        )

    async def acompute(self, keys: list[FullKey]) -> Vectors:
        return await self.cache.aget_or_compute_many(
            keys, lambda missing: acarry_out(self._noted(missing)), self.ttl, lease=self.lease
        )

    def _noted(self, keys: list[FullKey]) -> Plan[Vectors]:
        try:
            return (yield from self.plan(keys))
        except Exception as error:
            self.raised = error
            raise


class _Turn:
    def give(self) -> None:
        """Do nothing: other threads get the interpreter anyway."""

    async def agive(self) -> None:
        """Let the event loop serve others."""
        await asyncio.sleep(0)


_TURN = _Turn()


def _checked_texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f"texts is a list of str, not the str {texts!r}; write [{texts!r}]")
    listed = [*texts]
    for text in listed:
        if not isinstance(text, str):
            raise TypeError(f"a text to embed is a str, not {text!r} of type {_kind(text)}")
    return listed


def _kind(value: Any) -> str:
    return type(value).__name__
