"""What mkdocs does besides for the site: pages that are kept elsewhere, the API reference, and a look at what it made.

The README and its like stay at the root, where everybody looks for them, and the pages of the API reference are made of
the public names, so neither is written twice.
"""

from __future__ import annotations

import posixpath
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from diagrams import drawn

ROOT = Path(__file__).parent.parent

AT_THE_ROOT = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages that are not in docs, and what they are called in the site."""

API = {
    "hitrate": "hitrate",
    "hitrate.langgraph": "langgraph",
    "hitrate.langchain": "langchain",
    "hitrate.serde": "serde",
    "hitrate.inspect": "inspect",
    "hitrate.metrics": "metrics",
    "hitrate.testing": "testing",
}
"""Public packages, and their pages: all names of ``__all__``."""

ELSEWHERE = {
    "redis": ("hitrate.redis", ["RedisCache"]),
    "postgres": ("hitrate.postgres", ["PostgresCache"]),
    "store": (
        "hitrate.stores.base",
        [
            "Store",
            "Found",
            "Changes",
            "Usage",
            "Listed",
            "Page",
            "Amounts",
            "Problem",
            "LookedAt",
            "Listener",
            "Channel",
            "Capability",
        ],
    ),
}
"""Pages of modules that have no ``__all__``."""

WITH_INHERITED = {"ComputingCache"}
"""Classes shown with what they inherit: all caches have these methods, which are documented once."""

_LINK = re.compile(r"(\]\()([^)#\s:]+)(#[^)]*)?\)")
_LOADED_FROM = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)
_IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs."""
    for name, page in AT_THE_ROOT.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_relinked(text, name, page)))
    for package, page in API.items():
        names = sorted(import_module(package).__all__, key=str.lower)
        files.append(File.generated(config, f"api/{page}.md", content=_reference(package, names)))
    for page, (module, names) in ELSEWHERE.items():
        files.append(File.generated(config, f"api/{page}.md", content=_reference(module, names)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Draw a page's diagrams, and have links of a page in docs lead to where the pages at the root are in the site."""
    try:
        markdown = drawn(markdown)
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    if page.file.generated_by is not None:
        return markdown
    return _relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def on_post_build(config: Any) -> None:
    """Fail if a page has anything loaded from elsewhere."""
    site = Path(config.site_dir)
    found = [
        f"{path.relative_to(site)}: {url}"
        for pattern, look_for in (("*.html", _LOADED_FROM), ("*.css", _IN_STYLES))
        for path in sorted(site.rglob(pattern))
        for url in look_for.findall(path.read_text(encoding="utf-8"))
    ]
    if found:
        raise PluginError("pages load what is not theirs: " + ", ".join(found[:10]))


def _relinked(text: str, source: str, page: str) -> str:
    """Return a page with its links between files of the project as links between pages of the site.

    Args:
        text: the page.
        source: where it is in the project.
        page: where it is in the site.
    """

    def relinked(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        at = AT_THE_ROOT.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if at is None:
            return link[0]
        return f"{link[1]}{posixpath.relpath(at, posixpath.dirname(page) or '.')}{link[3] or ''})"

    return _LINK.sub(relinked, text)


def _reference(module: str, names: list[str]) -> str:
    """Return the page of some names of a module."""
    hidden = "\n".join(f"      {option}: false" for option in ("members", "show_root_heading", "show_root_toc_entry"))
    parts = [f"# {module}", f"::: {module}\n    options:\n{hidden}"]
    for name in names:
        options = "\n    options:\n      inherited_members: true" if name in WITH_INHERITED else ""
        parts.append(f"::: {module}.{name}{options}")
    return "\n\n".join(parts) + "\n"
