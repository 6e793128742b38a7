"""``export`` and ``import``: moving entries between caches, and taking over those of other libraries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import click

from hitrate.base import Namespace
from hitrate.cli.arguments import cache_argument, json_option, name_of, namespace_of
from hitrate.cli.caches import changing, reading
from hitrate.cli.exits import MISUSE, NOT_SO, Failure, failures_told
from hitrate.cli.printing import one_line, print_json
from hitrate.cli.progress import progress
from hitrate.exchange.exports import CutShort, NoExport, compressed, opened, read_export, write_export
from hitrate.exchange.foreign import NotTheirs
from hitrate.exchange.taking import Taken, take
from hitrate.records import Damaged, Record, records

_PATH = click.Path(dir_okay=False, path_type=Path)


@click.command("export")
@cache_argument
@click.argument("file", type=_PATH)
@click.option("--under", metavar="NAMESPACE", type=namespace_of, default=(), help="Only what is in it and below.")
@click.option("--zstd", is_flag=True, help="Compress the file.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@click.pass_context
def export_command(
    ctx: click.Context, url: str, file: Path, under: Namespace, zstd: bool, force: bool, json_: bool
) -> None:
    """Write the entries of the cache at URL to FILE, as they are stored.

    FILE appears when it is whole. Damaged entries are left out and told, and make the exit code 1.
    """
    if str(file) == "-":
        raise click.UsageError("an export goes to a file, which appears when it is whole; one of that name is ./-")
    damaged: list[Damaged] = []
    with (
        reading(url) as cache,
        _appearing(file, force=force) as target,
        progress("exporting", None if under else cache.stats().entries) as shown,
    ):

        def sound() -> Iterator[Record]:
            for each in shown.along(records(cache, under)):
                if isinstance(each, Damaged):
                    damaged.append(each)
                else:
                    yield each

        if zstd:
            with compressed(target) as writer:
                count = write_export(writer, sound(), version=version("hitrate"))
        else:
            count = write_export(target, sound(), version=version("hitrate"))
    size = file.stat().st_size
    if json_:
        print_json({"entries": count, "bytes": size, "damaged": [[list(each.namespace), each.key] for each in damaged]})
    else:
        click.echo(f"exported {count} entries, {size} bytes")
        for each in damaged:
            click.echo(one_line(f"left out {name_of(each.namespace)} {each.key!r}: {each.why}"), err=True)
    if damaged:
        ctx.exit(NOT_SO)


@contextmanager
def _appearing(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name when it is whole, and is removed if that fails."""
    with failures_told():
        path = Path(os.path.realpath(path))  # of a link, the file that it leads to is replaced
        if path.exists() and not path.is_file():
            raise Failure(f"{path} is no file: a folder or a device is not replaced", MISUSE)
        if path.exists() and not force:
            raise Failure(f"{path} is there already; --force replaces it")
        if path.exists() and _is_of_a_database(path):
            raise Failure(f"{path} is of a database, perhaps of this cache, and is not replaced; give another", MISUSE)
        part = path.with_name(f"{path.name}.part-{os.getpid()}")
        try:
            with open(part, "xb", opener=_for_the_owner) as file:
                yield file
            part.replace(path)
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            with suppress(FileNotFoundError):
                part.unlink()


_DATABASE = (b"SQLite format 3\0", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""How a file of SQLite begins, and the ``-wal`` beside one."""


def _is_of_a_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16).startswith(_DATABASE)


def _for_the_owner(path: str, flags: int) -> int:
    """Open a file that nobody else may read: a cache's own file is so, too."""
    return os.open(path, flags, 0o600)


_LIBRARIES = ["langgraph", "diskcache", "langchain"]


@click.command("import")
@cache_argument
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--from", "library", type=click.Choice(_LIBRARIES), help="PATH is that library's cache.")
@click.option("--replace", is_flag=True, help="Replace entries that are there under the same key; they stay otherwise.")
@json_option
@click.pass_context
def import_command(ctx: click.Context, url: str, path: Path, library: str | None, replace: bool, json_: bool) -> None:
    """Store the entries of the export at PATH in the cache at URL, which is made if it is not there.

    No value is decoded. Each batch is stored whole; after an interruption the same command carries on.

    --from takes over another library's cache: PATH is the file of LangGraph's SqliteCache, the folder of a diskcache
    Cache or FanoutCache, or the file of LangChain's SQLiteCache or SQLAlchemyMd5Cache. Nothing is unpickled, and
    nothing is imported because a file names it; what is left is told, and is no failure.
    """
    taken = Taken()
    failure = None
    if library is not None:
        _take_over(url, path, library, taken, replace=replace)
        _tell(taken, json_=json_)
        return
    with failures_told(), path.open("rb") as file, opened(file) as source:
        length, where = (os.fstat(file.fileno()).st_size, file.tell) if file.seekable() else (None, None)
        stream = read_export(source)
        try:
            first = next(stream, None)  # before a cache is made: of what is no export, none is
        except (NoExport, CutShort) as error:
            raise Failure(f"{path}: {error}") from error
        with changing(url, make=True) as cache, progress("importing", length) as shown:
            try:
                take(cache, shown.along(_with_first(first, stream), where), taken, replace=replace)
            except CutShort as error:
                failure = f"{path}: {error}; the entries before that were stored"
    _tell(taken, json_=json_)
    if failure:
        raise Failure(failure)
    if taken.left:
        ctx.exit(NOT_SO)


def _take_over(url: str, path: Path, library: str, taken: Taken, *, replace: bool) -> None:
    source = import_module(f"hitrate.exchange.from_{library}")
    with failures_told():
        stream = source.records_of(path)
        try:
            first = next(stream, None)  # before a cache is made
            with changing(url, make=True) as cache, progress("importing") as shown:
                take(cache, shown.along(_with_first(first, stream)), taken, replace=replace)
        except NotTheirs as error:
            raise Failure(str(error)) from error


def _with_first(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def _tell(taken: Taken, *, json_: bool) -> None:
    if json_:
        told = {"stored": taken.stored, "there": taken.there, "expired": taken.expired, "left": dict(taken.left)}
        print_json(told)
        return
    click.echo(f"stored {taken.stored}, there already {taken.there}, expired {taken.expired}")
    for why, count in taken.left.items():
        click.echo(one_line(f"left {count}: {why}"))
