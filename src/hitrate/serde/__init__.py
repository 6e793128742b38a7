"""Serializers: how a value becomes named bytes and comes back exactly as it was, or not at all.

Importing this package loads no codec and no optional library; each name is imported when it is first used.
"""

# What is where:
#
#   protocol.py                                what a serializer is
#   msgpack.py                                 MsgpackSerializer; zstd.py and encrypted.py wrap any serializer
#   registry.py                                the table of types: how each is written and read; taught.py: those that a
#                                              program registers
#   packing.py                                 the fast path; rewriting.py: the slow one, for what msgpack would refuse
#                                              or change
#   depth.py                                   a bound on nesting
#   copying.py                                 fresh copies of a value, made faster than by decoding
#   structure.py                               a payload for people to read: outlines.py tells of a library's values,
#                                              elements.py and frame_columns.py of buffers and columns
#   scalars.py, texts.py, times.py             numbers and bytes, strings and paths, dates and times
#   fractions_.py, addresses.py                fractions; IP addresses
#   containers.py, wrappers.py                 sets, deques and the like; UserDict and the like, and arrays
#   struct_sequences.py                        tuples with names of the standard library
#   references.py                              classes and types with arguments, by their names
#   subclasses.py, exceptions.py               subclasses of built-in types; exceptions
#   classes.py                                 what a class is made of and called; attributes.py: what an instance has,
#                                              set_by_init.py: what it always has
#   instances.py                               instances of them; forms.py: how those of one class are written
#   dataclasses_.py, namedtuples.py, enums.py  the kinds of them in the standard library
#   pydantic_.py                               models; generics.py: those with arguments, urls.py: what pydantic's core
#                                              makes
#   attrs_.py, msgspec_.py                     attrs classes; Structs
#   numpy_.py                                  arrays and scalars; masked.py: masked arrays
#   buffers.py                                 a column as one buffer, for all frames; arrow.py: columns of Arrow types
#   pandas_.py                                 frames; pandas_columns.py, pandas_scalars.py: what is in them
#   polars_.py                                 frames; polars_types.py: types of their elements
#   dateutil_.py, pytz_.py, relativedelta_.py  time zones and spans of time
#   uuid_utils_.py, httpx_.py                  UUIDs; headers
#   langgraph_.py, store_items.py              LangGraph's Send; the items of its stores

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily
from hitrate.serde.protocol import BoundSerializer, SerializerProtocol

if TYPE_CHECKING:
    from hitrate.serde.copying import copier, is_immutable
    from hitrate.serde.encrypted import EncryptedSerializer
    from hitrate.serde.msgpack import MsgpackSerializer, default_serializer
    from hitrate.serde.taught import register
    from hitrate.serde.zstd import ZstdSerializer, train_dictionary

_HOME = {
    "EncryptedSerializer": "encrypted",
    "MsgpackSerializer": "msgpack",
    "ZstdSerializer": "zstd",
    "copier": "copying",
    "default_serializer": "msgpack",
    "is_immutable": "copying",
    "register": "taught",
    "train_dictionary": "zstd",
}

__all__ = [
    "BoundSerializer",
    "EncryptedSerializer",
    "MsgpackSerializer",
    "SerializerProtocol",
    "ZstdSerializer",
    "copier",
    "default_serializer",
    "is_immutable",
    "register",
    "train_dictionary",
]


__getattr__, __dir__ = lazily(globals(), _HOME)
