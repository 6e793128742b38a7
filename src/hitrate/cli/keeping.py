"""``check`` and ``compact``: whether a cache is sound, and giving its room back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import click

from hitrate.checking import Finding, findings
from hitrate.cli.arguments import cache_argument, json_option, name_of
from hitrate.cli.caches import changing, count_of, reading
from hitrate.cli.exits import NOT_SO, Failure
from hitrate.cli.printing import counted, entries_text, key_text, one_line, print_json, size
from hitrate.cli.progress import Progress


@click.command("check")
@cache_argument
@click.option("--repair", is_flag=True, help="Remove damaged entries; put indexes and totals right.")
@json_option
@click.pass_context
def check_command(ctx: click.Context, url: str, repair: bool, json_: bool) -> None:
    """Whether every checksum, index and total of the cache at URL is right. Exits with 1 and a list if not.

    With --repair it exits with 1 only if something could not be put right.
    """
    with (changing if repair else reading)(url) as cache:
        with (
            Progress("checking", count_of(cache)) as shown,
            closing(findings(cache, repair=repair, looked_at=shown.is_at)) as each,
        ):
            found = list(each)
        entries = count_of(cache)
    if json_:
        print_json({"entries": entries, "problems": [finding._asdict() for finding in found]})
    else:
        lines = Counter(
            f"{_place(finding)}{finding.what}{' (put right)' if finding.mended else ''}" for finding in found
        )
        for line, times in lines.items():
            click.echo(one_line(f"{line} ({counted(times, 'time')})" if times > 1 else line))
        held = "not all entries can be counted" if entries is None else entries_text(entries)
        click.echo(f"{counted(len(found), 'problem')}, {held}" if found else f"{held}, all in order")
        left = [finding for finding in found if not finding.mended]
        for advice in _advice(left, repair=repair):
            click.echo(advice, err=True)
    if not all(finding.mended for finding in found):
        ctx.exit(NOT_SO)


def _place(finding: Finding) -> str:
    if finding.namespace is None:
        return ""
    key = "" if finding.key is None else f" {key_text(finding.key)}"
    return f"{name_of(finding.namespace)}{key}: "


def _advice(left: list[Finding], *, repair: bool) -> Iterator[str]:
    """Yield what is to be done about what was not put right."""
    if not repair and any(finding.of == "entry" for finding in left):
        yield (
            "hitrate check --repair URL removes entries that are damaged (they are misses for every program already), "
            "and puts indexes and totals right"
        )
    if any(finding.of == "pages" for finding in left):
        yield (
            "pages cannot be put right in place: hitrate export URL FILE takes what can be read. Then remove the file "
            "of the cache, with its -wal and -shm, while no program uses it; hitrate import URL FILE makes a new one. "
            "Without the import its programs begin with an empty cache, and make again what they miss"
        )


@click.command("compact")
@cache_argument
@json_option
def compact_command(url: str, json_: bool) -> None:
    """Give the room that removed entries left in the file at URL back to the disk. Programs may go on using it."""
    with changing(url) as cache:
        before = cache.stats().disk_bytes
        with Progress("compacting") as shown:
            shown.show()
            compacted = cache._open_store().compact()
        if not compacted:
            raise Failure("only a cache in a file has room to give back; a server does that by itself", NOT_SO)
    with reading(url) as cache:
        after = cache.stats().disk_bytes
    if json_:
        print_json({"before": before, "after": after})
    else:
        click.echo(f"{counted(before, 'byte')} before ({size(before)}), {after} after ({size(after)})")
