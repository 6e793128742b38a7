"""``check`` and ``compact``: whether a cache is sound, and giving its room back."""

from __future__ import annotations

from contextlib import closing

import click

from hitrate.checking import findings
from hitrate.cli.arguments import cache_argument, json_option, name_of
from hitrate.cli.caches import changing, reading
from hitrate.cli.exits import NOT_SO, Failure
from hitrate.cli.printing import one_line, print_json, size
from hitrate.cli.progress import progress


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
            progress("checking", cache.stats().entries) as shown,
            closing(findings(cache, repair=repair, looked_at=shown.is_at)) as each,
        ):
            found = list(each)
        entries = cache.stats().entries
    if json_:
        print_json({"entries": entries, "problems": [finding._asdict() for finding in found]})
    else:
        for finding in found:
            where = "" if finding.namespace is None else f"{name_of(finding.namespace)} {finding.key!r}: "
            click.echo(one_line(f"{where}{finding.what}{' (put right)' if finding.mended else ''}"))
        click.echo(f"{len(found)} problems, {entries} entries" if found else f"{entries} entries, all in order")
    if not all(finding.mended for finding in found):
        ctx.exit(NOT_SO)


@click.command("compact")
@cache_argument
@json_option
def compact_command(url: str, json_: bool) -> None:
    """Give the room that removed entries left in the file at URL back to the disk. Programs may go on using it."""
    with changing(url) as cache:
        before = cache.stats().disk_bytes
        with progress("compacting") as shown:
            shown.show()
            compacted = cache._open_store().compact()
        if not compacted:
            raise Failure("only a cache in a file has room to give back; a server does that by itself", NOT_SO)
    with reading(url) as cache:
        after = cache.stats().disk_bytes
    if json_:
        print_json({"before": before, "after": after})
    else:
        click.echo(f"{before} bytes before ({size(before)}), {after} after ({size(after)})")
