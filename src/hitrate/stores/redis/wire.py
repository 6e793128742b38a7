"""The protocol: how a command is packed, and what a reply that is an error means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hitrate.errors import StoreError
from hitrate.stores.redis.driver import hiredis
from hitrate.stores.redis.links import Undo
from hitrate.stores.redis.loop_links import Answer
from hitrate.stores.redis.scripts import Script


class ScriptCall(NamedTuple):
    """A call of a script that uses names in the bucket of a number, and what undoes it."""

    bucket: int
    keys: list[bytes]
    arguments: list[bytes]
    undo: Undo = ()


def bulk(argument: bytes) -> bytes:
    """Return an argument of a command as it goes over the wire."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def command(*arguments: bytes) -> bytes:
    """Return a command as it goes over the wire."""
    return b"*%d\r\n%b" % (len(arguments), b"".join(map(bulk, arguments)))


def script_call(script: Script, keys: list[bytes], arguments: Iterable[bytes], *, whole: bool = False) -> bytes:
    """Return the call of a script as it goes over the wire: by its digest, or whole for a server that lacks it."""
    head = [b"EVAL", script.text] if whole else [b"EVALSHA", script.digest]
    return command(*head, b"%d" % len(keys), *keys, *arguments)


def is_error(reply: object, *kinds: str) -> bool:
    """Tell whether a reply is an error, of one of some kinds if any are given."""
    return isinstance(reply, hiredis.ReplyError) and (not kinds or str(reply).startswith(kinds))


def any_error(answers: Sequence[Answer], *kinds: str) -> Any:
    """Return the first reply that is an error, of one of some kinds if any are given; None if there is none."""
    for answer in answers:
        if not isinstance(answer, StoreError):
            for reply in answer:
                if is_error(reply, *kinds):
                    return reply
    return None


def refuse_error(reply: object) -> None:
    """Raise a StoreError that says what to do, if a reply is an error."""
    if not isinstance(reply, hiredis.ReplyError):
        return
    text = str(reply)
    kind = text.split(" ", 1)[0]
    if kind == "CROSSSLOT" or kind == "MOVED":
        text += "; this server is a node of a cluster: give RedisCache a RedisCluster"
    elif kind == "OOM":
        text += "; raise its maxmemory, or set maxmemory-policy to one that evicts"
    raise StoreError(f"the server refused: {text}") from reply
