"""The inspector: pages on which to look into a cache, as an ASGI app and as the command ``hitrate serve``.

It is read-only unless told otherwise. Stored values are shown as text and never as markup, nothing is fetched from
elsewhere, and every page is there as JSON, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.inspect.asgi import app

__all__ = ["app"]

__getattr__, __dir__ = lazily(globals(), {"app": "asgi"})
