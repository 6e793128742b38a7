"""``clear``: removing entries, after telling how many."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from hitrate.base import Namespace
from hitrate.cli.arguments import bytes_of, cache_argument, json_option, key_of, name_of, namespace_of, seconds_of
from hitrate.cli.caches import Cache, changing, named, reading
from hitrate.cli.exits import MISUSE, NOT_SO, Failure
from hitrate.cli.printing import entries_text, key_text, print_json, size
from hitrate.cli.progress import Progress
from hitrate.entry_info import EntryInfo


class Choice(NamedTuple):
    """Which entries are to be removed.

    Attributes:
        under: only in namespaces that begin with this one; None for all.
        exactly: whether only in that very namespace.
        older_than: seconds since the value was stored, at least; None for any.
        larger_than: bytes, at least one more; None for any.
        key: of the one entry of that very namespace that is meant; None for any.
    """

    under: Namespace | None
    exactly: bool
    older_than: float | None
    larger_than: int | None
    key: str | None = None

    @property
    def whole(self) -> bool:
        """Whether all entries of the namespaces are meant."""
        return self.older_than is None and self.larger_than is None and self.key is None

    def test(self, now: float) -> Callable[[EntryInfo], bool]:
        """Return the function that tells whether an entry is meant. One of unknown age is none of the older ones."""

        def is_meant(info: EntryInfo) -> bool:
            if (self.exactly and info.namespace != self.under) or self.key not in (None, info.key):
                return False
            if self.larger_than is not None and info.bytes <= self.larger_than:
                return False
            return self.older_than is None or (info.created is not None and now - info.created > self.older_than)

        return is_meant

    def is_undecided(self, info: EntryInfo) -> bool:
        """Tell whether nobody knows if an entry is meant: its age is not known."""
        return info.created is None and self.older_than is not None and self._replace(older_than=None).test(0)(info)

    def described(self) -> str:
        """Return what is meant, in words."""
        where = "of the whole cache"
        if self.key is not None:
            return f"with the key {key_text(self.key)} of the namespace {name_of(self.under or ())}"
        if self.under is not None:
            where = f"{'of' if self.exactly else 'under'} the namespace {name_of(self.under)}"
        return where + ("" if self.whole else ", chosen by age or size")


@click.command("clear")
@cache_argument
@click.option("--all", "all_", is_flag=True, help="Everything.")
@click.option("--namespace", metavar="NAMESPACE", type=namespace_of, help="What is in exactly this namespace.")
@click.option("--under", metavar="NAMESPACE", type=namespace_of, help="What is in it and in those that begin with it.")
@click.option("--key", metavar="KEY", type=key_of, help="Only the entry with this key of --namespace.")
@click.option("--expired", is_flag=True, help="What has expired, and only waits to be removed.")
@click.option("--older-than", metavar="TIME", type=seconds_of, help="Only what was stored longer ago: 90s, 12h, 7d.")
@click.option("--larger-than", metavar="SIZE", type=bytes_of, help="Only what takes more bytes: 500, 10kB, 1MB.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell how many.")
@json_option
def clear_command(
    url: str,
    all_: bool,
    namespace: Namespace | None,
    under: Namespace | None,
    key: str | None,
    expired: bool,
    older_than: float | None,
    larger_than: int | None,
    yes: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Remove entries from the cache at URL, after asking.

    Give --all, --namespace or --under; --older-than and --larger-than narrow that, or the whole cache, and --key a
    namespace to one entry. --expired stands alone.
    """
    scopes = [all_, namespace is not None, under is not None, expired]
    narrowed = older_than is not None or larger_than is not None
    if sum(scopes) > 1 or (expired and narrowed):
        raise click.UsageError("--all, --namespace, --under and --expired exclude each other; --expired stands alone")
    if not any(scopes) and not narrowed:
        raise click.UsageError("say what: --all, --namespace, --under, --expired, --older-than or --larger-than")
    if key is not None and (namespace is None or narrowed):
        raise click.UsageError("--key names one entry of a namespace: give --namespace with it, and nothing else")
    choice = Choice(namespace if under is None else under, namespace is not None, older_than, larger_than, key)
    with reading(url) as cache:
        where = named(cache)
        entries, taken = (cache._open_store().count_expired(), 0) if expired else _count(cache, choice)
    what = entries_text(entries)
    what += f" that {'has' if entries == 1 else 'have'} expired" if expired else f" {choice.described()}"
    if dry_run:
        _tell(json_, f"would remove {what}" + ("" if expired else f" ({size(taken)})"), entries, dry_run=True)
        return
    if not yes:
        _ask(f"remove {what} from {where}, for every program that uses it?")
    with changing(url) as cache:
        removed = _remove_expired(cache) if expired else _clear(cache, choice, entries)
    _tell(json_, f"removed {entries_text(removed)}", removed, dry_run=False)


def _count(cache: Cache, choice: Choice) -> tuple[int, int]:
    """Return how many entries are meant, and their bytes."""
    is_meant = choice.test(time.time())
    entries = taken = undecided = 0
    with Progress("looking", _total(cache, choice)) as shown:
        for info in shown.along(cache.entries(choice.under or ())):
            if is_meant(info):
                entries += 1
                taken += info.bytes
            elif choice.is_undecided(info):
                undecided += 1
    if undecided:
        stay, when = ("stays", "it was") if undecided == 1 else ("stay", "they were")
        click.echo(f"{entries_text(undecided)} {stay}: nothing here tells when {when} stored", err=True)
    return entries, taken


def _total(cache: Cache, choice: Choice) -> int | None:
    """Return how many entries there are to look through, if that is known."""
    return None if choice.under else cache.stats().entries


def _remove_expired(cache: Cache) -> int:
    with Progress("removing") as shown:
        shown.show()
        return cache._open_store().remove_expired()


def _clear(cache: Cache, choice: Choice, counted: int) -> int:
    """Remove what is meant; return how many entries, as counted before where a namespace goes as one."""
    from hitrate.records import remove

    if choice.key is not None:
        return cache.delete([(choice.under or (), choice.key)])
    if not choice.whole:
        is_meant = choice.test(time.time())
        with Progress("removing", _total(cache, choice)) as shown:
            infos = shown.along(cache.entries(choice.under or ()))
            return remove(cache, (info[:2] for info in infos if is_meant(info)))
    if choice.exactly:
        cache.clear([choice.under or ()])
    else:
        cache.clear_under(choice.under or ())
    return counted


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise Failure("nobody can be asked here; add --yes to remove, or --dry-run to see how many", MISUSE)
    # Not by click: it makes Ctrl-C at a question the same as the end of the input.
    click.echo(f"{question} [y/N]: ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was removed", NOT_SO)


def _tell(json_: bool, text: str, entries: int, **more: Any) -> None:
    if json_:
        print_json({"entries": entries, **more})
    else:
        click.echo(text)
