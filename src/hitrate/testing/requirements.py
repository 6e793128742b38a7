"""What must be installed to run the contracts, asked for in one place."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = ("pytest", "hypothesis")


def missing() -> str | None:
    """Return what to install for the contracts to run, as a sentence; None if nothing is missing."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    return f"hitrate.testing needs {' and '.join(absent)}: pip install {' '.join(absent)}" if absent else None


def register_contract() -> None:
    """Let pytest explain the assertions of the contract; call it before the contract is imported.

    Raises:
        ModuleNotFoundError: pytest or hypothesis is not installed.
    """
    if needed := missing():
        raise ModuleNotFoundError(needed)
    import pytest

    pytest.register_assert_rewrite("hitrate.testing.contract", "hitrate.testing.lease_contract")
