"""The page of one entry: what is stored for a key, as text, without anything of the program that stored it."""

from __future__ import annotations

from hitrate.cli.values import decoded, plainly
from hitrate.errors import DecodeError
from hitrate.inspect.asking import Query
from hitrate.inspect.pages import Inspector, NotThereError, Page, wanted_key
from hitrate.inspect.preview import preview
from hitrate.records import read_record

_DECODED_BYTES = 4 << 20
_WHOLE = 1 << 62


def entry(inspector: Inspector, query: Query) -> Page:
    """One entry: its value, age, expiry, and what a hit on it spares.

    Raises:
        NotThereError: there is none.
        WrongRequestError: the address does not name one.
        StoreError: the store failed.
    """
    namespace, key = wanted_key(query)
    page: Page = {
        "cache": inspector.name,
        "now": inspector.clock(),
        "namespace": list(namespace),
        "key": key,
        "damaged": "",
        "too_large": False,
        "value": None,
        "text": "",
        "whole": True,
        "decoded": False,
        "created": None,
        "bytes": None,
    }
    listed = inspector.index.latest
    info = None if listed is None else listed.one(namespace, key)
    try:
        record = read_record(inspector.cache, (namespace, key))
    except DecodeError as error:
        return page | {"damaged": str(error), "encoding": "", "payload_bytes": None, "expires": None, "seconds": 0.0}
    if record is None:
        raise NotThereError("this entry is not there, or no more: it expired, was evicted or removed")
    page |= {
        "encoding": record.encoding,
        "payload_bytes": len(record.payload),
        "expires": record.expires,
        "seconds": record.seconds,
    }
    if info is not None and info.expires == record.expires:  # if not, it was set again since it was listed
        page |= {"created": info.created, "bytes": info.bytes}
    if len(record.payload) > _DECODED_BYTES and "whole" not in query:
        return page | {"too_large": True, "whole": False}
    value, exact = decoded(record.encoding, record.payload)
    text, whole = preview(value, *([_WHOLE] if "whole" in query else []))
    return page | {"decoded": exact, "text": text, "whole": whole, "value": plainly(value) if whole else None}
