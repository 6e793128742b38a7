"""The releases of libraries that the tests run with: the lowest that are allowed lack some of what is tested."""

from __future__ import annotations

from importlib.metadata import version

from packaging.version import Version

LANGGRAPH = Version(version("langgraph"))
POOL = Version(version("psycopg-pool"))

POOL_FUNCTIONS = Version("3.3")

OVERWRITE = Version("1.0.2")
HITS_STREAMED_ONCE = Version("1.0.9")
"""Before it ``astream`` tells the hit of a task twice, with any cache."""
TIMEOUTS = Version("1.2")
RESPONSE_SCHEMA = Version("1.2.12")
INTERRUPTED_WITH_CACHE = Version("1.2.15")
"""Before it ``invoke`` fails to resume a node that has a cache policy and interrupts, with any cache: an IndexError."""
