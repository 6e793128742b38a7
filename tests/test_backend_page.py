"""The backend of docs/backend.md and its test file are green at the first run, outside the package."""

import re
import subprocess
import sys
from pathlib import Path

# Of the two with random operations the one with TTLs does all that the other does; thousands are the same steps.
CASES = "not thousand and not test_a_cache_does_as_a_dict_would"
PAGE = (Path(__file__).parent.parent / "docs" / "backend.md").read_text(encoding="utf-8")


def test_the_backend_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (test,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "folder_cache.py").write_text(code.partition("\n\n\nwith FolderCache")[0])
    (tmp_path / "test_folder_cache.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CASES]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500)
    assert run.returncode == 0, run.stdout[-3000:]
    assert re.search(r"^\d{3} passed, \d+ skipped", run.stdout.splitlines()[-1])
