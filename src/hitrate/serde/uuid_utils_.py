"""The UUID of ``uuid_utils``, which LangChain makes its ids with; that of ``uuid_utils.compat`` is the standard one."""

from __future__ import annotations

from typing import Any

from uuid_utils import UUID

from hitrate.serde.registry import Hook, Pack, register

UUID_UTILS = 65


def _encode(obj: UUID, pack: Pack) -> bytes:
    return obj.bytes


def _decode(data: bytes, hook: Hook) -> Any:
    return UUID(bytes=data)


register(UUID_UTILS, _decode, types=[UUID], encode=_encode)
