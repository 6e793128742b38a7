"""What is printed: JSON, tables, sizes and ages."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

_UNITS = ["bytes", "kB", "MB", "GB", "TB"]
_BETWEEN = 2
"""Spaces between two columns."""
_ALIGNED = 100
"""Characters of a first column, at most, after which the others are aligned on a pipe: one name may have 10 kB."""
_NARROWEST = 12
"""Characters of the first column for which other columns are left out."""
_SPANS = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]


def as_json(value: Any) -> str:
    """Return JSON in ASCII: any key can be in it, lone surrogates included, whatever the terminal."""
    return json.dumps(value, allow_nan=False)


def print_json(value: Any) -> None:
    """Print one JSON document, indented."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_json_list(items: Iterable[Any]) -> None:
    """Print a JSON array, an item a line, as the items come."""
    opening = "["
    for item in items:
        click.echo(f"{opening}\n  {as_json(item)}", nl=False)
        opening = ","
    click.echo("[]" if opening == "[" else "\n]")


def shown(text: str) -> str:
    """Return text as it may go to a terminal: control characters, which could command that, are escaped."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def array_text(parts: list[str]) -> str:
    """Return a JSON array of texts in which what does not show is escaped."""
    text = json.dumps(parts, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def quoted(text: str) -> str:
    """Return text in quotation marks, escaped as JSON does it, or as ``shown`` does, which is shorter."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    return (
        f"\\x{ord(character):02x}" if character < " " or "\x7f" <= character <= "\xff" else json.dumps(character)[1:-1]
    )


def is_plain(text: str, mark: str) -> bool:
    """Tell whether text shows as it is, and can be given to a command so; its JSON would begin with ``mark``."""
    return bool(text) and text.isprintable() and text == text.strip() and not text.startswith(("-", mark))


def key_text(key: str) -> str:
    """Return a key as it is shown and can be given to a command: as it is, or in quotation marks."""
    return key if is_plain(key, '"') else quoted(key)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things for people: ``1 entry``, ``2 entries``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def entries_text(number: int) -> str:
    """Return a number of entries for people."""
    return counted(number, "entry", "entries")


def one_line(text: str) -> str:
    """Return text for a cell of a table."""
    return shown(text).replace("\n", "\\n")


def size(count: int) -> str:
    """Return a number of bytes for people: ``1.2 MB``."""
    amount = float(count)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return counted(count, "byte") if unit == "bytes" else f"{amount:.1f} {unit}"


def span(seconds: float | None) -> str:
    """Return a span of time for people: ``3 h``; ``-`` for None."""
    if seconds is None:
        return "-"
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: by rich on a terminal, where it is installed, and otherwise as plain text.

    The first column is text, and those after it are aligned to the right. In a narrow window the first goes over more
    than one line, and the last columns are left out. Elsewhere each row is a line.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    left_out: Sequence[str] = ()
    if sys.stdout.isatty():
        kept, widths[0] = _fitting(widths, shutil.get_terminal_size().columns)
        left_out = columns[kept:]
        columns, rows, widths = columns[:kept], [row[:kept] for row in rows], widths[:kept]
        if not _rich_table(columns, rows):
            _plain_table(columns, rows, widths, folds=True)
    else:
        _plain_table(columns, rows, [min(widths[0], _ALIGNED), *widths[1:]], folds=False)
    if left_out:
        click.echo(f"no room for {', '.join(left_out)}", err=True)


def _fitting(widths: Sequence[int], room: int) -> tuple[int, int]:
    """Return how many columns there is room for, and how wide the first one may be."""
    kept = len(widths)
    while kept > 1 and _room_for_first(widths[:kept], room) < min(widths[0], _NARROWEST):
        kept -= 1
    return kept, max(1, min(widths[0], _room_for_first(widths[:kept], room)))


def _room_for_first(widths: Sequence[int], room: int) -> int:
    return room - sum(_BETWEEN + width for width in widths[1:])


def _plain_table(columns: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int], *, folds: bool) -> None:
    for first, *others in [columns, *rows]:
        rest = "".join(f"{cell:>{width + _BETWEEN}}" for cell, width in zip(others, widths[1:], strict=True))
        length = widths[0] if folds else max(len(first), 1)
        lines = [first[start : start + length] for start in range(0, len(first), length)] or [""]
        click.echo(f"{lines[0]:<{widths[0]}}{rest}".rstrip())
        for line in lines[1:]:
            click.echo(line)


def _rich_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Print by rich; tell whether it is there."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold", no_wrap=bool(index))
    for row in rows:
        table.add_row(*map(Text, row))  # as text: a key is no markup
    Console().print(table)
    return True
