"""Install hitrate with the lowest releases that pyproject.toml allows: install_lowest.py <python> <extras>.

Only what pyproject.toml names is at its lowest; what that needs in turn is the newest that goes with it, as with pip.
uv resolves it, from wheels only, with the indexes that pip is configured with, which uv does not read by itself.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

# pip's settings by their names, and uv's variables. Each of the two that hold lists separates them in a way of its own.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}


def pip_settings() -> dict[str, str]:
    """Return what pip is configured with, by its files and by the environment, which counts more."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    by_section: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in by_section:
            by_section[section][option] = ast.literal_eval(value)
    return {**by_section["global"], **by_section["install"], **by_section[":env:"]}


def environment() -> dict[str, str]:
    """Return the environment for uv."""
    settings = pip_settings()
    translated = {
        variable: separator.join(settings[option].split())
        for option, (variable, separator) in SETTINGS.items()
        if option in settings
    }
    # As pip does, take the best of all indexes, and no other Python than the one that is given.
    return {**translated, "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON_DOWNLOADS": "never", **os.environ}


def main(python: str, extras: str) -> int:
    """Install; return the exit code."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    options = ["--resolution", "lowest-direct", "--only-binary", ":all:", "--editable", f".[{extras}]"]
    return subprocess.run([*command, *options], env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
