"""The command on a terminal: questions, bars, narrow windows, Ctrl-C, and without rich."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cli.conftest import Command
from hitrate import SqliteCache

DEADLINE = 60.0
URL = "sqlite:///c.db"
CTRL_C = "\x03"


class Terminal:
    """A window in which the command runs.

    Attributes:
        process: the command.
        text: what the window has shown.
    """

    def __init__(self, arguments: list[str], columns: int, env: dict[str, str]) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**{k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}, "TERM": "xterm", **env},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character

    def read_until(self, part: str | None) -> None:
        """Read until a text is shown, or to the end for None."""
        end = time.monotonic() + DEADLINE
        while part is None or part not in self.text:
            if not select.select([self._own], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"it shows {self.text!r}, and not {part!r}")
            try:
                read = os.read(self._own, 65536)
            except OSError:  # the other end is closed
                read = b""
            if not read:
                assert part is None, f"it shows {self.text!r}, and not {part!r}"
                return
            self.text += self._decoder.decode(read)

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def type_until_the_end(self, text: str) -> None:
        """Type it once more if the program goes on: a signal that came just before it began to read ends no wait.

        Not soon: a second signal while it ends would end it otherwise.
        """
        for _ in range(3):
            self.type(text)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE / 3)
                return

    def end(self) -> int:
        self.read_until(None)
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@contextmanager
def terminal(*arguments: str, columns: int = 80, **env: str) -> Iterator[Terminal]:
    window = Terminal(list(arguments), columns, env)
    try:
        yield window
    finally:
        window.close()


@pytest.fixture
def no_rich(tmp_path: Path) -> str:
    """A folder in which Python finds no rich."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "rich.py").write_text("raise ModuleNotFoundError(\"No module named 'rich'\", name='rich')")
    return str(folder)


def entries() -> int:
    with SqliteCache("c.db", read_only=True) as cache:
        return cache.stats().entries


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [
        ("y\n", 0, 0),
        ("YES\n", 0, 0),
        ("n\n", 1, 7),
        ("\n", 1, 7),
        ("yesterday\n", 1, 7),
        ("\x04", 1, 7),
        (CTRL_C, 130, 7),
    ],
    ids=["y", "yes", "n", "enter", "yesterday", "end", "Ctrl-C"],
)
def test_a_question_is_answered(filled: str, typed: str, code: int, left: int) -> None:
    with terminal("-m", "hitrate", "clear", filled, "--all") as window:
        window.read_until("[y/N]: ")
        if typed == CTRL_C:
            window.type_until_the_end(typed)
        else:
            window.type(typed)
        assert window.end() == code
        assert "Traceback" not in window.text
    assert entries() == left


def test_an_import_that_is_interrupted_leaves_its_batches_and_is_carried_on(hitrate: Command) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("a",), f"k{i}"): ("x" * 100, None) for i in range(1200)})
    assert hitrate("export", URL, "x.export").code == 0
    os.mkfifo("pipe")
    with terminal("-m", "hitrate", "import", "sqlite:///new.db", "pipe") as window, Path("pipe").open("wb") as pipe:
        whole = Path("x.export").read_bytes()
        pipe.write(whole[: len(whole) * 2 // 3])  # more than one batch, less than two
        pipe.flush()
        end = time.monotonic() + DEADLINE
        while hitrate("stats", "sqlite:///new.db", "--json").out.find('"entries": 500') < 0:
            assert time.monotonic() < end
        window.process.send_signal(signal.SIGINT)
        assert window.end() == 130
        assert "Traceback" not in window.text
    assert hitrate("check", "sqlite:///new.db").out == "500 entries, all in order\n"
    assert hitrate("import", "sqlite:///new.db", "x.export", "--json").json["stored"] == 700


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "no rich"])
@pytest.mark.parametrize(
    "arguments",
    [["ls"], ["keys", "deep/er"], ["keys", "a/0"], ["--help"], ["clear", "--help"]],
    ids=" ".join,
)
def test_a_window_of_40_columns_is_kept_to(filled: str, no_rich: str, arguments: list[str], rich: bool) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("deep", "er"), "a key that is far longer than forty columns are wide"): (1, 60)})
    command, *rest = arguments
    url = [] if arguments[-1] == "--help" else [filled]
    with terminal(
        "-m", "hitrate", command, *url, *rest, columns=40, **({} if rich else {"PYTHONPATH": no_rich})
    ) as one:
        assert one.end() == 0
        lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", one.text).splitlines()
        assert max(map(len, lines)) <= 40, one.text


@pytest.mark.parametrize("rich", [True, False])
def test_names_can_be_read_in_a_narrow_window(no_rich: str, rich: bool) -> None:
    with SqliteCache("c.db") as cache:
        cache.set({(("answers", "a name of more than forty characters, all of which is wanted"), "k"): (1, None)})
    with terminal("-m", "hitrate", "ls", URL, columns=30, **({} if rich else {"PYTHONPATH": no_rich})) as window:
        assert window.end() == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", window.text).splitlines()
    assert [line.split() for line in lines[:2]] == [["namespace", "entries"], ["answers", "1"]]
    name = "".join(line[:21].strip() for line in lines[2:-1])
    assert name.replace(" ", "") == "anameofmorethanfortycharacters,allofwhichiswanted"
    assert len(lines) == 6
    assert lines[-1] == "no room for bytes, age, hits, saved"


LONG_WORK = """if True:
    import sys
    from hitrate.cli import progress
    from hitrate.cli.app import run
    progress._QUIET_SECONDS, progress._BETWEEN = 0.0, 1
    sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", URL, "x"], "exporting"),
        (["import", "sqlite:///new.db", "made.export"], "importing"),
        (["check", URL], "checking"),
        (["compact", URL], "compacting"),
        (["clear", URL, "--larger-than", "10", "--yes"], "removing"),
        (["clear", URL, "--expired", "--yes"], "removing"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else each,
)
def test_long_work_shows_a_bar_on_a_terminal(hitrate: Command, filled: str, arguments: list[str], says: str) -> None:
    hitrate("export", filled, "made.export")
    with terminal("-c", LONG_WORK, *arguments) as window:
        assert window.end() == 0
        assert says in window.text


def test_there_is_no_bar_without_rich_or_without_a_terminal(filled: str, no_rich: str) -> None:
    with terminal("-c", LONG_WORK, "export", filled, "x", PYTHONPATH=no_rich) as window:
        assert window.end() == 0
        assert window.text.startswith("exported 7 entries")
    command = [sys.executable, "-c", LONG_WORK, "export", filled, "y"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout[:18], done.stderr) == ("exported 7 entries", "")
