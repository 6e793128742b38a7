"""How the command ends: exit codes, and failures as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from hitrate.cli.printing import shown
from hitrate.errors import HitrateError, words_of

DONE = 0
NOT_SO = 1
"""The answer is no: the key is not there, something is damaged, or the person who was asked declined."""
MISUSE = 2
"""The arguments are wrong; nothing was looked at."""
UNUSABLE = 3
"""The cache or a file cannot be used: not there, no cache, of a newer version, locked, damaged; its server is down.
Also if the output cannot be written."""
PARTLY = 4
"""A part of the cache cannot be read; the command was carried out on the rest."""
INTERRUPTED = 130
PIPE_CLOSED = 141


class Failure(click.ClickException):
    """Ends the command with one of the codes above and a sentence: what happened, to what, and what to do."""

    def __init__(self, message: str, exit_code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click sets it likewise

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence."""
        click.echo(f"hitrate: {shown(self.message)}", file=file, err=file is None)


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn what a cache or a file raises into sentences."""
    try:
        yield
    except (BrokenPipeError, NotImplementedError):
        raise
    except ModuleNotFoundError as error:
        raise Failure(words_of(error), MISUSE) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{where}{error.strerror}" if error.strerror else words_of(error)) from error
    except HitrateError as error:
        raise Failure(_said(error)) from error


def _said(error: HitrateError) -> str:
    words, cause = words_of(error) or type(error).__name__, error.__cause__
    while cause is not None and type(cause).__name__ not in _OF_DAMAGE:
        cause = cause.__cause__
    if cause is None:
        return words
    return (
        f"{words.removesuffix(f': {cause}')}: it cannot be read. If it was a cache, remove it, with its -wal and -shm, "
        f"while no program uses it: its programs then begin with an empty one"
    )


_OF_DAMAGE = ("CorruptError", "NotADBError")
"""The errors of apsw, which need not be there, for a file that is damaged or no database."""
