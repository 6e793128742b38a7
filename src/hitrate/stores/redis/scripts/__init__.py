"""What the server does in one step: scripts in Lua, put together from parts.

When it is out of memory the server refuses the first command of a script that needs some, and so the whole script,
unless that has changed something before: what needs memory comes first where it can.

==================  ====================================================================================================
``parts.py``        what the scripts are put together from
``plain.py``        writing, removing and tidying up
``leasing.py``      leases are taken and settled
``registering.py``  clearing namespaces, and looking through the register of them
==================  ====================================================================================================
"""

from __future__ import annotations

from hitrate.stores.redis.scripts.leasing import LEASE, SETTLE
from hitrate.stores.redis.scripts.parts import Script
from hitrate.stores.redis.scripts.plain import EXPIRE, KEEP, REMOVE, SWEEP, UNMARK
from hitrate.stores.redis.scripts.registering import CLEAR, GLANCE, PAGE, TIDY

__all__ = [
    "CLEAR",
    "EXPIRE",
    "GLANCE",
    "KEEP",
    "LEASE",
    "PAGE",
    "REMOVE",
    "SETTLE",
    "SWEEP",
    "TIDY",
    "UNMARK",
    "Script",
]
