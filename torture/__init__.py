"""The worst of days, for some minutes: ``python -m torture``, or ``make torture``."""
