"""Serializers: how a value becomes named bytes and comes back exactly as it was, or not at all.

Importing this package loads no codec and no optional library; each name is imported when it is first used.
"""

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
