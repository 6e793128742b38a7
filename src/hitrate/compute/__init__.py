"""Computing what a cache does not hold: once for all who ask at the same time, and ahead of its expiry.

``cache.py`` is what caches gain, ``function.py`` the decorator; both are about ``computing.py``, which asks the cache,
boards a flight (``flights.py``) and, if it is the one to, leads it (``leading.py``) or leaves that to the background
(``refreshing.py``).
"""
