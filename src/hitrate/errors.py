"""The error tree: one root, one class for each kind of failure a caller may want to tell apart.

Wrong keys and arguments are plain ``TypeError`` and ``ValueError``: they are mistakes in the calling code.
"""

from __future__ import annotations


def words_of(error: BaseException) -> str:
    """Return what an exception says; nothing if its text cannot be had, for that may be code of a program."""
    try:
        return str(error)
    except Exception:
        return ""


def raised(error: BaseException) -> str:
    """Return an exception's type and what it says, for a message that names neither."""
    words = words_of(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


class HitrateError(Exception):
    """Root of every error that hitrate defines."""


class SerializationError(HitrateError, TypeError):
    """A value that cannot be stored exactly; nothing of its batch was stored.

    Args:
        message: what could not be stored and why.
        where: the path to it inside the value, such as ``value['rows'][3]``.
        type_name: the module and qualified name of the offending type.
    """

    def __init__(self, message: str, *, where: str = "value", type_name: str = "") -> None:
        super().__init__(message)
        self.where = where
        self.type_name = type_name


class DecodeError(HitrateError, ValueError):
    """Stored bytes that cannot be restored exactly: damaged, tampered with, or of a class that has changed."""


class StoreError(HitrateError):
    """The backend failed: it is down, locked, full or damaged. Reads were misses, writes were dropped.

    Attributes:
        timed_out: whether it was waited for in vain, as long as a call may take.
    """

    timed_out: bool = False


class ReadOnlyError(StoreError):
    """A write to a cache that was opened with ``read_only=True``; it was dropped."""


class NewerFormatError(HitrateError):
    """The file was written by a newer hitrate; it was left untouched."""


class ClosedError(HitrateError, RuntimeError):
    """The cache was used after ``close``."""


class ReentrancyError(HitrateError, RuntimeError):
    """Computing a value asked for that very value, and would have waited for itself for ever."""
