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
So it is where what is printed cannot be written."""
INTERRUPTED = 130
PIPE_CLOSED = 141


class Failure(click.ClickException):
    """Ends the command with a sentence.

    Args:
        message: what happened, to what, and what to do.
        exit_code: one of the codes above.
    """

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
        raise Failure(words_of(error) or type(error).__name__) from error
