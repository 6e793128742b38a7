"""The group of commands, and how it is run."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from typing import Any

import click

from hitrate.cli.exits import DONE, INTERRUPTED, NOT_SO, PIPE_CLOSED, Failure

_COMMANDS = {
    "stats": ("looking", "How many entries and bytes a cache holds."),
    "ls": ("looking", "Its namespaces as a tree: entries, bytes, age."),
    "keys": ("looking", "The entries of a namespace."),
    "show": ("looking", "The value of an entry."),
    "clear": ("clearing", "Remove entries."),
    "check": ("keeping", "Whether all checksums, indexes and totals are right."),
    "compact": ("keeping", "Give room on the disk back."),
    "export": ("moving", "Write entries to a file."),
    "import": ("moving", "Store the entries of such a file, or of another library."),
    "serve": ("serving", "Show it on pages in a browser."),
}
"""Where each command is, and what the overview says of it: the module is imported when the command is run."""


_NARROW = 52
"""Columns; click has no page of help narrower than this, less its margin."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would exit with 1, which has a meaning here
            ctx.exit(_pipe_closed())

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"hitrate.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"hitrate {version('hitrate')}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, callback=_print_version, expose_value=False, is_eager=True, help="Say which.")
def hitrate() -> None:
    """Look into a cache, and tidy it up.

    A cache is named by the URL that hitrate.open takes: sqlite:///cache.db, redis://localhost, postgresql://host/db.
    A namespace is a JSON array, or its parts joined by "/" where no part has one. A key that begins with a quotation
    mark is a JSON string, in which \\x1b may stand for \\u001b; where characters do not show it is printed so.

    Exit codes: 0 done, 1 the answer is no (not there, damaged, declined), 2 wrong arguments, 3 the cache cannot be
    used, 4 done as far as the cache can be read, 130 interrupted, 141 the reader of the output has gone.
    """


def run(arguments: list[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process, and return the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed, as by >&-: what is printed goes nowhere
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end
        _write_anything(getattr(sys, name))
    try:
        try:
            code = hitrate.main(arguments, prog_name="hitrate", standalone_mode=False, terminal_width=_width_of_help())
            sys.stdout.flush()
        except BrokenPipeError:
            return _pipe_closed()
        except OSError as error:  # what the cache raises is told by the commands
            _drop_output()
            raise Failure(f"what was to be printed cannot be written: {error.strerror or error}") from error
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else NOT_SO
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        _flush_or_drop()
    return code if isinstance(code, int) else DONE


def _width_of_help() -> int | None:
    """Return how wide a help page is where the terminal is narrower than click takes them to be; else None."""
    columns = shutil.get_terminal_size().columns
    return max(columns - 1, 20) if columns < _NARROW else None


def _pipe_closed() -> int:
    _drop_output()
    return PIPE_CLOSED


def _flush_or_drop() -> None:
    """Print what is still buffered; where that fails, what went wrong was told, and the exit code is to stay."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """Drop what is still buffered: it would fail once more when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_anything(stream: Any) -> None:
    """Keep a character that the terminal's encoding lacks from ending the command."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
