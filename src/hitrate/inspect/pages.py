"""The pages: what each shows, as plain data. That is its JSON; the template of the same name makes HTML of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from hitrate.base import Namespace
from hitrate.entry_info import EntryInfo
from hitrate.inspect.asking import Query, WrongRequestError
from hitrate.inspect.counts import Cache, counts_by_namespace, counts_of
from hitrate.inspect.entry_list import COUNTED, DEEPEST, SORTS, EntryList, Selection, Sort
from hitrate.inspect.history import SPANS, History
from hitrate.inspect.namespaces import Branch, branches
from hitrate.inspect.scanning import Index
from hitrate.langchain.saved import Prices
from hitrate.stats import NamespaceStats

PER_PAGE = 50
_NAMESPACES_AT_MOST = 500
_BELOW_AT_MOST = 12
_SOON = 20
_FAR_FUTURE = 1e18

EXPIRY_SPANS = (
    ("within a minute", 60),
    ("within 10 minutes", 600),
    ("within an hour", 3600),
    ("within 6 hours", 6 * 3600),
    ("within a day", 86400),
    ("within 7 days", 7 * 86400),
    ("within 30 days", 30 * 86400),
)

Page = dict[str, Any]


class NotAllowedError(Exception):
    """This inspector does not do that; it says why."""


class NotThereError(Exception):
    """There is no such thing; it says what."""


@dataclass
class Inspector:
    """A cache that is looked into.

    Attributes:
        cache: the cache.
        name: what it is called on the pages.
        limits: how many entries and bytes it holds at most; None for no limit, or one that is not known.
        limits_known: whether they are those of the programs that use it.
        prices: of tokens.
        clock: returns the seconds since the epoch.
        index: its entries.
        history: what it did over time.
    """

    cache: Cache
    name: str
    limits: tuple[int | None, int | None]
    limits_known: bool
    prices: Prices
    clock: Callable[[], float]
    index: Index
    history: History


def overview(inspector: Inspector, query: Query) -> Page:
    """What the cache holds and did, now and over time."""
    counts = counts_of(inspector.cache, inspector.prices)
    inspector.history.note(counts)
    span = query.choice("span", tuple(SPANS))
    now = inspector.clock()
    stats = asdict(counts.stats)
    entries, size = inspector.limits
    return {
        "cache": inspector.name,
        "now": now,
        "stats": {**stats, "hit_rate": counts.stats.hit_rate, "dollars_saved": counts.dollars},
        "hits_by_tier": inspector.cache._hits_by_tier(counts.stats),
        "limits": {"entries": entries, "bytes": size, "known": inspector.limits_known},
        "span": span,
        "bucket_seconds": SPANS[span][0],
        "history": [bucket._asdict() for bucket in inspector.history.series[span].told(now)],
    }


def namespaces(inspector: Inspector, query: Query) -> Page:
    """The namespaces below one, by what they take and what they spare."""
    under = query.namespace("under") or ()
    by = query.choice("by", tuple(_COLUMNS))
    listed, page = _listed(inspector, query)
    page |= {"under": list(under), "by": by, "namespaces": [], "more": 0}
    if listed is None:
        return page
    counted = counts_by_namespace(inspector.cache)
    rows, deeper = (
        _rows(branches(listed.namespaces, under, parts), counted, len(under) + parts, _COLUMNS[by]) for parts in (1, 2)
    )
    told = rows[:_NAMESPACES_AT_MOST]
    _put_below(told, deeper, len(under) + 1, _COLUMNS[by])
    return page | {"namespaces": told, "more": len(rows) - len(told)}


_COLUMNS = {
    "bytes": "bytes",
    "entries": "entries",
    "seconds": "seconds",
    "saved": "seconds_saved",
    "tokens": "tokens_saved",
}


def _rows(found: list[Branch], counted: dict[Namespace, NamespaceStats], depth: int, column: str) -> list[Page]:
    """Return what is told of branches that ``depth`` parts tell apart, those first that have most in a column."""
    did: dict[Namespace, list[NamespaceStats]] = {}
    for namespace, counts in counted.items():
        did.setdefault(namespace[:depth], []).append(counts)
    rows = [_row(branch, did.get(branch.namespace, [])) for branch in found]
    return sorted(rows, key=lambda row: (-row[column], row["namespace"]))


def _row(branch: Branch, did: list[NamespaceStats]) -> Page:
    return {
        "namespace": list(branch.namespace),
        "entries": branch.sums.entries,
        "own_entries": branch.own,
        "namespaces_below": branch.below,
        "bytes": branch.sums.bytes,
        "seconds": branch.sums.seconds,
        "oldest": branch.sums.oldest,
        "hits": sum(each.hits for each in did),
        "misses": sum(each.misses for each in did),
        "seconds_saved": sum(each.seconds_saved for each in did),
        "tokens_saved": sum(sum(tokens.values()) for each in did for tokens in each.tokens_saved.values()),
    }


def _put_below(rows: list[Page], deeper: list[Page], depth: int, column: str) -> None:
    """Put into each row, of the branches with one more part, those with most in a column, and the sum of the rest."""
    below: dict[Namespace, list[Page]] = {}
    for each in deeper:
        below.setdefault(tuple(each["namespace"][:depth]), []).append(each)
    for row in rows:
        parts = below.get(tuple(row["namespace"]), [])
        names = ("namespace", "namespaces_below", column)
        row["below"] = [{name: each[name] for name in names} for each in parts[:_BELOW_AT_MOST]]
        row["below_rest"] = sum(each[column] for each in parts[_BELOW_AT_MOST:])


def entries(inspector: Inspector, query: Query) -> Page:
    """The entries, in an order, a page of them."""
    exactly = query.namespace("ns")
    selection = Selection(exactly or query.namespace("under") or (), exactly is not None, query.search())
    sort: Sort = query.choice("sort", ("created", *SORTS))  # type: ignore[assignment]
    down = query.choice("order", ("up", "down")) == "down"
    number = query.number("page", 1, 10**8)
    listed, page = _listed(inspector, query)
    page |= {
        "under": list(selection.under),
        "exactly": selection.exactly,
        "q": selection.search,
        "sort": sort,
        "order": "down" if down else "up",
        "page": number,
        "pages": 1,
        "found": 0,
        "found_more": False,
        "entries": [],
    }
    if listed is None:
        return page
    found = listed.count(selection)
    reached = min(found, DEEPEST) if selection.search else found
    offset = (number - 1) * PER_PAGE
    infos = listed.page(selection, sort, down, offset, PER_PAGE) if offset < reached else []
    return page | {
        "pages": max(1, -(-reached // PER_PAGE)),
        "found": min(found, COUNTED) if selection.search else found,
        "found_more": bool(selection.search) and found > COUNTED,
        "entries": [_told(info) for info in infos],
    }


def expiry(inspector: Inspector, query: Query) -> Page:
    """What expires when, and what is next."""
    listed, page = _listed(inspector, query)
    page |= {"spans": [], "next": []}
    if listed is None:
        return page
    now = inspector.clock()
    moments = [now, *(now + seconds for _, seconds in EXPIRY_SPANS), _FAR_FUTURE, float("inf")]
    names = ["expired", *(name for name, _ in EXPIRY_SPANS), "later", "never"]
    spans = zip(names, listed.expiring(moments), strict=True)
    soon = listed.page(Selection(), "expires", False, 0, _SOON)
    return page | {
        "spans": [{"span": name, "entries": count, "bytes": size} for name, (count, size) in spans],
        "next": [_told(info) for info in soon if info.expires is not None],
    }


def _listed(inspector: Inspector, query: Query) -> tuple[EntryList | None, Page]:
    """Return the latest list of entries, and what is said of it."""
    index = inspector.index
    listed = index.look(now="fresh" in query)
    return listed, {
        "cache": inspector.name,
        "now": inspector.clock(),
        "listed": None if listed is None else listed.taken,
        "listed_entries": 0 if listed is None else listed.entries,
        "reading": index.progress,
        "failure": index.failure,
    }


def _told(info: EntryInfo) -> Page:
    return {**info._asdict(), "namespace": list(info.namespace)}


def wanted_key(query: Query) -> tuple[Namespace, str]:
    """Return the key that an address names.

    Raises:
        WrongRequestError: it names none.
    """
    namespace = query.namespace("ns")
    if namespace is None or "key" not in query:
        raise WrongRequestError("an entry is named by ns, a JSON array of strings, and key")
    return namespace, query.text("key")
