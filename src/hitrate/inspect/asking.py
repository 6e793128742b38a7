"""What a request asks for: the query of its address, read and written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import Scope

from hitrate.base import Namespace

_LONGEST_SEARCH = 1000


class WrongRequestError(Exception):
    """The address asks for something that there is not; it says what."""


def pairs_of(scope: Scope) -> list[tuple[str, str]]:
    """Return the names and values of a request's query.

    Raises:
        WrongRequestError: it is not in UTF-8, in which our own links are, lone surrogates included.
    """
    try:
        text = scope["query_string"].decode()  # a browser writes it in ASCII, and any other client may not
        return parse_qsl(text, keep_blank_values=True, errors="surrogatepass")
    except ValueError as error:
        raise WrongRequestError("the address is not in UTF-8") from error


class Query:
    """The query of an address; one that is not in UTF-8 raises a ``WrongRequestError``."""

    def __init__(self, scope: Scope) -> None:
        self._given = dict(pairs_of(scope))

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str) -> str:
        """Return what is given under a name; the empty text if nothing is."""
        return self._given.get(name, "")

    def search(self) -> str:
        """Return the text that is looked for."""
        text = self.text("q")
        if len(text) > _LONGEST_SEARCH:
            raise WrongRequestError(f"what is searched for has at most {_LONGEST_SEARCH} characters")
        return text

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return one of some words, the first if none is given."""
        given = self._given.get(name, choices[0])
        if given not in choices:
            raise WrongRequestError(f"{name} is one of {', '.join(dict.fromkeys(choices))}, not {given[:80]!r}")
        return given

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number of at least 1."""
        given = self._given.get(name, str(default))
        if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= most):
            raise WrongRequestError(f"{name} is a whole number from 1 to {most}, not {given[:80]!r}")
        return int(given)

    def namespace(self, name: str) -> Namespace | None:
        """Return a namespace, which is given as a JSON array of strings; None if it is not."""
        given = self._given.get(name)
        if given is None:
            return None
        try:
            parts = json.loads(given)
        except (ValueError, RecursionError):
            parts = None
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise WrongRequestError(f'{name} is a JSON array of strings, such as ["a", "b"], not {given[:80]!r}')
        return tuple(parts)


def query_of(**given: Any) -> str:
    """Return the query of an address: namespaces as JSON arrays, and what is None or empty left out."""
    pairs = []
    for name, value in given.items():
        if isinstance(value, tuple):
            value = json.dumps(value)
        if value not in (None, "", False):
            pairs.append((name, "1" if value is True else str(value)))
    return urlencode(pairs, errors="surrogatepass")
