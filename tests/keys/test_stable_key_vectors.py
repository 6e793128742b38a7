"""Keys are the same in every process, on every run and on every Python."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import stable_key_vectors

import releases
from hitrate import stable_key

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "stable_key_vectors.json").read_text())
if releases.LANGGRAPH < releases.TIMEOUTS:  # a Send without the field ``timeout``
    EXPECTED["send"] = "66cf02dcaf67376631550638e4a70998"


def test_keys_are_the_published_ones() -> None:
    assert stable_key_vectors.keys() == EXPECTED


def test_keys_are_the_same_in_another_process_with_another_hash_seed() -> None:
    # With this one the set among the vectors has another order than the keys of its members.
    environment = {**os.environ, "PYTHONHASHSEED": "4294967295", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(HERE / "stable_key_vectors.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == EXPECTED


def test_a_key_is_what_the_documentation_says() -> None:
    """By hand: the header, the array of the positional and the map of the named arguments; no code of ours."""

    def key(document: bytes) -> str:
        return hashlib.blake2b(document, digest_size=16).hexdigest()

    assert stable_key() == key(b"\x91\x01\x92\x90\x80")
    assert stable_key(1, "a", x=None) == key(b"\x91\x01\x92\x92\x01\xa1a\x81\xa1x\xc0")
    assert stable_key(1, scope="s") == key(b"\x92\x01\xa1s\x92\x91\x01\x80")
    assert stable_key((1,), {2, 1}) == key(b"\x91\x01\x92\x92\x92\xc7\0\x02\x01\xd5\x04\x01\x02\x80")
    assert stable_key({2: "b", 1: "a"}) == key(b"\x91\x01\x92\x91\xc7\x06\x03\x01\xa1a\x02\xa1b\x80")


def test_the_example_of_the_documentation_holds() -> None:
    text = (HERE.parents[1] / "docs" / "stable-keys.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    assert "assert" in example
    exec(example, {})
