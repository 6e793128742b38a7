"""The UUID of ``uuid_utils``, which LangChain makes its ids with; that of ``uuid_utils.compat`` is the standard one."""

from __future__ import annotations

from uuid_utils import UUID

from hitrate.serde.registry import register

UUID_UTILS = 65


register(UUID_UTILS, lambda data, hook: UUID(bytes=data), types=[UUID], encode=lambda obj, pack: obj.bytes)
