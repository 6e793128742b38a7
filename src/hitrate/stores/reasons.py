"""Why a server cannot be reached, in words of our own.

What a driver says when it cannot connect repeats what it was given: host, port, user, or, where a URL was taken apart
in the wrong place, a piece of the password. So none of its text is passed on, nor the error itself as a cause.
"""

from __future__ import annotations

_REASONS = (
    ("it refused the user name or the password", ("password", "wrongpass", "noauth", "authentication", "username")),
    ("the name of its host is not known", ("resolve", "name or service", "translate host", "nodename", "getaddrinfo")),
    ("it has no room for another connection", ("too many", "max number of clients", "connection slots", "limit for")),
    ("it does not let this client in", ("pg_hba", "not permitted", "noperm", "no encryption", "protected mode")),
    ("its TLS certificate is not one that is trusted, or not for this name", ("certificate",)),
    ("TLS failed", ("ssl", "tls")),
    ("there is no such database or user", ("database", "role ", "db index")),
    ("it is starting up or shutting down", ("starting up", "shutting down", "recovery", "loading")),
    ("the sentinels know no primary", ("no master found", "no primary", "no slave found")),
    ("it did not answer in time", ("timeout", "timed out")),
    ("nothing listens there", ("refused", "no such file", "error 111", "error 2 ", "econnrefused")),
    ("the network does not lead there", ("unreachable", "no route")),
    ("it closed the connection", ("closed", "reset by peer", "broken pipe", "eof")),
    ("its address cannot be", ("port", "integer value", "label empty", "label too long", "idna")),
)


class CannotConnect(OSError):
    """No connection could be opened; the text is one of ours."""


def reason_of(error: BaseException) -> str:
    """Return why a connection could not be opened: fixed words, with nothing of the driver's text.

    Args:
        error: what the driver raised.
    """
    text = str(error).lower()
    kind = type(error).__name__
    for reason, signs in _REASONS:
        if any(sign in text for sign in signs):
            return f"{reason} ({kind})"
    return f"it cannot be connected to ({kind})"
