"""The inspector: pages on which to look into a cache, as an ASGI app and as the command ``hitrate serve``.

It is read-only unless told otherwise. Stored values are shown as text and never as markup, nothing is fetched from
elsewhere, and every page is there as JSON, too.
"""

# What is where:
#
#   asgi.py                  app: which page is where; serving.py: on a port of this machine
#   guard.py                 who may ask; asking.py: what a request asks for
#   pages.py, entry_page.py  what the pages show, as plain data; removal.py: removing entries
#   rendering.py             pages as HTML and JSON; amounts.py, preview.py: names, amounts and values as text
#   drawing.py               the pictures in the templates, made by charts.py and treemap.py
#   scanning.py              the list of entries, read in the background; entry_list.py keeps it
#   key_search.py            text in keys; namespaces.py: namespaces as a tree
#   counts.py                what all programs did with the cache until now; history.py: over time

from __future__ import annotations

from typing import TYPE_CHECKING

from hitrate.lazy import lazily

if TYPE_CHECKING:
    from hitrate.inspect.asgi import app

__all__ = ["app"]

__getattr__, __dir__ = lazily(globals(), {"app": "asgi"})
