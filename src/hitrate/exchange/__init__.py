"""Moving entries: exports of a cache, and what is taken over from other libraries' caches."""
