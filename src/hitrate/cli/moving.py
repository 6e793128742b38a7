"""``export`` and ``import``: moving entries between caches, and taking over those of other libraries."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import click

from hitrate.base import Namespace
from hitrate.cli.arguments import cache_argument, json_option, name_of, namespace_of
from hitrate.cli.caches import changing, count_of, reading
from hitrate.cli.exits import MISUSE, NOT_SO, PARTLY, Failure, failures_told
from hitrate.cli.printing import counted, entries_text, key_text, one_line, print_json
from hitrate.cli.progress import Progress
from hitrate.errors import StoreError
from hitrate.exchange.exports import CutShort, NoExport, compressed, opened, read_export, write_export
from hitrate.exchange.foreign import NotTheirs
from hitrate.exchange.taking import Taken, take
from hitrate.records import Damaged, Record, Unreadable, records, salvaged

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

    FILE appears when it is whole. Damaged entries are left out and told, and make the exit code 1. Of a file that is
    damaged itself what can be read is written; how many entries cannot be is told, and the exit code is 4.
    """
    if str(file) == "-":
        raise click.UsageError("an export goes to a file, which appears when it is whole; one of that name is ./-")
    with (
        reading(url) as cache,
        _appearing(file, force=force) as target,
        Progress("exporting", None if under else count_of(cache)) as shown,
    ):
        try:
            left = LeftOut()
            count = _write(target, left.sound(shown.along(records(cache, under))), zstd=zstd)
        except StoreError:
            found = salvaged(cache, under)
            if found is None:
                raise
            target.seek(0)
            target.truncate()
            left = LeftOut(is_part=True)
            count = _write(target, left.sound(shown.along(found)), zstd=zstd)
    size = file.stat().st_size
    if json_:
        print_json(
            {
                "entries": count,
                "bytes": size,
                "damaged": [[list(each.namespace), each.key] for each in left.damaged],
                "unreadable": [
                    [None if namespace is None else list(namespace), entries]
                    for namespace, entries in left.unreadable.items()
                ],
            }
        )
    else:
        click.echo(f"exported {entries_text(count)}, {counted(size, 'byte')}")
        for line in left.told():
            click.echo(one_line(line), err=True)
    if left.is_part:
        ctx.exit(PARTLY)
    if left.damaged:
        ctx.exit(NOT_SO)


def _write(target: IO[bytes], sound: Iterator[Record], *, zstd: bool) -> int:
    if not zstd:
        return write_export(target, sound, version=version("hitrate"))
    with compressed(target) as writer:
        return write_export(writer, sound, version=version("hitrate"))


@dataclass
class LeftOut:
    """What an export leaves out.

    Attributes:
        is_part: whether the cache could not be read as a whole.
        damaged: entries that cannot be trusted.
        unreadable: by namespace, None for an unknown one, how many entries cannot be read.
    """

    is_part: bool = False
    damaged: list[Damaged] = field(default_factory=list)
    unreadable: Counter[Namespace | None] = field(default_factory=Counter)

    def sound(self, found: Iterable[Record | Damaged | Unreadable]) -> Iterator[Record]:
        """Yield the records that are sound, and note the others."""
        for each in found:
            if isinstance(each, Record):
                yield each
            elif isinstance(each, Damaged):
                self.damaged.append(each)
            else:
                self.unreadable[each.namespace] += each.entries

    def told(self) -> Iterator[str]:
        """Yield what was left out and why, in lines."""
        for each in self.damaged:
            yield f"left out {name_of(each.namespace)} {key_text(each.key)}: {each.why}"
        for namespace, entries in self.unreadable.items():
            where = "of a namespace that is not known" if namespace is None else f"of {name_of(namespace)}"
            yield f"left out {entries_text(entries)} {where}: what lies on a damaged page cannot be read"
        if self.is_part:
            yield "the file of the cache is damaged; what can be read of it was exported, to be imported into another"


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
        try:
            stream = _begun(read_export(source))
        except (NoExport, CutShort) as error:
            raise Failure(f"{path}: {error}") from error
        with changing(url, make=True) as cache, Progress("importing", length) as shown:
            try:
                take(cache, shown.along(stream, where), taken, replace=replace)
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
        try:
            stream = _begun(source.records_of(path))
            with changing(url, make=True) as cache, Progress("importing") as shown:
                take(cache, shown.along(stream), taken, replace=replace)
        except NotTheirs as error:
            raise Failure(str(error)) from error


def _begun(stream: Iterator[Any]) -> Iterator[Any]:
    """Return a stream whose first item has been read: no cache is made for a file of which there is none to be had."""
    return chain([*islice(stream, 1)], stream)


def _tell(taken: Taken, *, json_: bool) -> None:
    if json_:
        told = {"stored": taken.stored, "there": taken.there, "expired": taken.expired, "left": dict(taken.left)}
        print_json(told)
        return
    click.echo(f"stored {taken.stored}, there already {taken.there}, expired {taken.expired}")
    for why, count in taken.left.items():
        click.echo(one_line(f"left {count}: {why}"))
