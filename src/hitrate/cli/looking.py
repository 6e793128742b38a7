"""``stats``, ``ls``, ``keys`` and ``show``: what is in a cache. None of them writes to it."""

from __future__ import annotations

import sys
import time
from itertools import islice
from typing import Any

import click

from hitrate.base import Namespace
from hitrate.cli.arguments import cache_argument, json_option, key_of, name_of, namespace_of
from hitrate.cli.caches import named, reading
from hitrate.cli.exits import NOT_SO, Failure
from hitrate.cli.printing import counted, key_text, print_json, print_json_list, print_table, shown, size, span
from hitrate.cli.tree import SORTS, tree_rows
from hitrate.entry_info import EntryInfo
from hitrate.stats import NamespaceStats

_SHOWN_CHARACTERS = 10_000
_SPELLED_WHOLE = 1 << 20
"""Bytes of a payload from which on no more of a value is spelled than is shown: it would take seconds."""

_OF_NAMESPACE = ("hits", "misses", "sets", "deletes", "evictions", "seconds_saved", "tokens_saved")
_LIFETIME = (*_OF_NAMESPACE, "expirations", "errors")
_NOTHING_DONE = NamespaceStats()


@click.command("stats")
@cache_argument
@json_option
def stats_command(url: str, json_: bool) -> None:
    """How many entries and bytes the cache at URL holds, and what all programs did with it until now.

    Programs tell it what they did every ten seconds, and as they end.
    """
    with reading(url) as cache:
        stats = cache.stats(lifetime=True)
        told: dict[str, Any] = {
            "cache": named(cache),
            "entries": stats.entries,
            "bytes": stats.bytes,
            "disk_bytes": stats.disk_bytes,
            "breaker": stats.breaker,
            **{name: getattr(stats, name) for name in _LIFETIME},
        }
    if json_:
        print_json(told)
        return
    click.echo(shown(told["cache"]))
    click.echo(f"entries  {stats.entries}")
    click.echo(f"bytes    {stats.bytes} ({size(stats.bytes)})")
    if stats.disk_bytes:
        click.echo(f"on disk  {stats.disk_bytes} ({size(stats.disk_bytes)})")
    click.echo(f"hits     {stats.hits} of {stats.hits + stats.misses} ({stats.hit_rate:.1%})")
    click.echo(f"saved    {span(stats.seconds_saved)}")
    for model, tokens in stats.tokens_saved.items():
        click.echo(f"tokens   {tokens['input']} to {shown(model)}, {tokens['output']} from it")


@click.command("ls")
@cache_argument
@click.argument("under", type=namespace_of, default=())
@click.option("--sort", type=click.Choice(SORTS), default="name", help="Most, or oldest, first.", show_default=True)
@json_option
def ls_command(url: str, under: Namespace, sort: str, json_: bool) -> None:
    """The namespaces of the cache at URL, as a tree, or those UNDER one, with what all programs did in them."""
    with reading(url) as cache:
        namespaces = list(cache.namespaces(under))
        did = cache.stats(by="namespace", lifetime=True)
    rows = tree_rows(namespaces, sort, did)
    if json_:
        own = [row.own for row in rows if row.own is not None]
        print_json_list(
            {
                "namespace": list(info.namespace),
                "entries": info.entries,
                "bytes": info.bytes,
                "oldest": info.oldest,
                "newest": info.newest,
                **{name: getattr(did.get(info.namespace, _NOTHING_DONE), name) for name in _OF_NAMESPACE},
            }
            for info in own
        )
        return
    if not rows:
        click.echo("there are no entries" + (f" under {name_of(under)}" if under else ""), err=True)
    now = time.time()
    print_table(
        ["namespace", "entries", "bytes", "age", "hits", "saved"],
        (
            [
                row.label,
                str(row.entries),
                size(row.bytes),
                span(None if row.oldest is None else now - row.oldest),
                str(row.hits),
                span(row.seconds_saved),
            ]
            for row in rows
        ),
    )


@click.command("keys")
@cache_argument
@click.argument("namespace", type=namespace_of)
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, help="At most so many; 0 for all.")
@json_option
def keys_command(url: str, namespace: Namespace, limit: int, json_: bool) -> None:
    """The entries of NAMESPACE in the cache at URL, the oldest first."""
    with reading(url) as cache:
        infos = (info for info in cache.entries(namespace) if info.namespace == namespace)
        first = islice(infos, min(limit, sys.maxsize) or None)
        if json_:
            print_json_list(map(_without_namespace, first))
            return
        found = list(first)
        more = limit and next(infos, None) is not None
    if not found:
        click.echo(f"there are no entries in exactly the namespace {name_of(namespace)}", err=True)
    now = time.time()
    print_table(
        ["key", "bytes", "age", "expires in"],
        (
            [
                key_text(info.key),
                size(info.bytes),
                span(None if info.created is None else now - info.created),
                "never" if info.expires is None else span(info.expires - now),
            ]
            for info in found
        ),
    )
    if more:
        click.echo(f"the first {limit}; --limit 0 for all", err=True)


@click.command("show")
@cache_argument
@click.argument("namespace", type=namespace_of)
@click.argument("key", type=key_of)
@click.option("--full", is_flag=True, help="Print all of a long value.")
@json_option
def show_command(url: str, namespace: Namespace, key: str, full: bool, json_: bool) -> None:
    """The value under KEY in NAMESPACE; instances of classes and of libraries by what is stored of them.

    Nothing of the program is imported. A KEY that begins with a quotation mark is a JSON string, as keys prints it.
    """
    from hitrate.cli.values import decoded, plainly, spelled
    from hitrate.inspect.preview import preview
    from hitrate.records import read_record

    with reading(url) as cache:
        record = read_record(cache, (namespace, key))
    if record is None:
        raise Failure(f"there is no entry of namespace {name_of(namespace)}, key {key!r}", NOT_SO)
    value, exact = decoded(record.encoding, record.payload)
    if json_:
        print_json(
            {
                "namespace": list(namespace),
                "key": key,
                "encoding": record.encoding,
                "payload_bytes": len(record.payload),
                "expires": record.expires,
                "seconds": record.seconds,
                "decoded": exact,
                "value": plainly(value),
            }
        )
        return
    if not exact:
        click.echo("only the program can restore it; this is what is stored", err=True)
    if exact and (full or isinstance(value, str) or len(record.payload) < _SPELLED_WHOLE):
        text = spelled(value)
        left_out = len(text) - _SHOWN_CHARACTERS
        more = counted(left_out, "more character") if left_out > 0 else ""
    else:
        text, is_whole = preview(value, sys.maxsize if full else _SHOWN_CHARACTERS)
        more = "" if is_whole else "there is more"
    click.echo(shown(text if full else text[:_SHOWN_CHARACTERS]))
    if more and not full:
        click.echo(f"{more}; --full for all", err=True)


def _without_namespace(info: EntryInfo) -> dict[str, Any]:
    told = info._asdict()
    del told["namespace"]
    return told
