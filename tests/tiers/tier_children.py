"""What other processes do to the tiers of a test, told by lines: ``python -c ... function path``."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = str(Path(__file__).parent)


def edit(path, tiered):
    """Do what each line says, a method and its arguments, and say ``done``."""
    from hitrate import InMemoryCache, SqliteCache, TieredCache

    cache = SqliteCache(path=path)
    if tiered:
        cache = TieredCache(InMemoryCache(), cache)
    print("ready", flush=True)
    for line in sys.stdin:
        do, argument = json.loads(line)
        if do == "set":
            cache.set({((name,), key): (value, None) for name, key, value in argument})
        elif do == "delete":
            cache.delete([((name,), key) for name, key in argument])
        elif do == "clear":
            cache.clear(argument and [(name,) for name in argument])
        elif do == "clear under":
            cache.clear_under(tuple(argument))
        print("done", flush=True)
    cache.close()


class Editor:
    """Another process that writes when it is told to, and has written when the call returns."""

    def __init__(self, path, tiered):
        code = f"import tier_children; tier_children.edit({str(path)!r}, {tiered!r})"
        command = [sys.executable, "-W", "error", "-c", code]
        self._process = subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdout.readline() == "ready\n"

    def tell(self, do, argument):
        self._process.stdin.write(json.dumps([do, argument]) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def end(self):
        self._process.communicate(timeout=60)


@contextmanager
def editor(path, *, tiered):
    """Have another process that uses the file, by a cache of its own."""
    process = Editor(path, tiered)
    try:
        yield process
    finally:
        process.end()
