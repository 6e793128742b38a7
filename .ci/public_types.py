"""Fail if a public name of hitrate, or anything that shows through it, has no known type (pyright --verifytypes)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module

PUBLIC = ("hitrate", "hitrate.langchain", "hitrate.langgraph", "hitrate.metrics", "hitrate.serde", "hitrate.testing")


def public_names() -> tuple[str, ...]:
    """Return where the public names are defined, as pyright calls them."""
    names = []
    for package in PUBLIC:
        module = import_module(package)
        for name in module.__all__:
            found = getattr(module, name)
            home = getattr(found, "__module__", package)
            names.append(f"{home if home.startswith('hitrate') else package}.{name}")
    return tuple(names)


def main() -> int:
    """Check them; return the exit code."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "hitrate", "--ignoreexternal", "--outputjson"]
    # It looks for the package where the `python` of PATH does.
    environment = {**os.environ, "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    public = public_names()
    known = unknown = 0
    for symbol in report["typeCompleteness"]["symbols"]:
        if not any(symbol["name"] == name or symbol["name"].startswith(f"{name}.") for name in public):
            continue
        if symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]:
            known += 1
            continue
        unknown += 1
        for problem in symbol["diagnostics"]:
            print(f"{symbol['name']}: {problem['message']}")
    print(f"{known} public symbols have a known type, {unknown} have not")
    return 1 if unknown or not known else 0


if __name__ == "__main__":
    sys.exit(main())
