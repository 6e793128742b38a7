"""Importing the package costs what it uses, and families of optional libraries wait for the program to import them."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "pydantic", "langchain_core", "langgraph", "cryptography", "backports.zstd", "ormsgpack")


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_no_codec() -> None:
    assert run(f"import sys, hitrate.serde; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_using_the_serializer_imports_no_optional_library() -> None:
    program = (
        "import sys; from hitrate.serde import default_serializer as d, copier; s = d();"
        "copier(s.loads_typed(s.dumps_typed([1, (2,), {3: 4}])));"
        f"print([m for m in {HEAVY[:-1]} if m in sys.modules])"
    )
    assert run(program) == "[]"


def test_a_family_is_there_once_its_library_is() -> None:
    program = (
        "from hitrate.serde import default_serializer as d; s = d();"
        "import numpy as np; print(s.loads_typed(s.dumps_typed([np.arange(3)]))[0].tolist())"
    )
    assert run(program) == "[0, 1, 2]"


def test_the_default_serializer_is_one() -> None:
    assert run("from hitrate.serde import default_serializer as d; print(d() is d())") == "True"


def test_every_public_name_is_there() -> None:
    import hitrate.serde

    assert all(getattr(hitrate.serde, name) is not None for name in hitrate.serde.__all__)
    assert set(hitrate.serde.__all__) <= set(dir(hitrate.serde))
