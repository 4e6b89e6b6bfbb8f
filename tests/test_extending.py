"""The worked examples of docs/extending.md, typed into a copy of the code as they stand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mpirun import environment

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
WRITTEN = re.compile(r"`((?:mpiedge|tests)/\S+\.py)`:\n\n```python\n(.*?)```", re.S)
CHANGED = re.compile(r"```diff\n(.*?)```", re.S)
SHOWN = re.compile(r"^\$ python (-m pytest .*)$", re.M)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code and its tests, to be changed."""
    for name in ("mpiedge", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def section(title: str) -> str:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def typed(text: str, copy: Path) -> None:
    """Write the files of a section, and change those that it changes."""
    for name, content in WRITTEN.findall(text):
        assert not (copy / name).exists()
        (copy / name).write_text(content, encoding="utf-8")
    for block in CHANGED.findall(text):
        for part in block.split("+++ ")[1:]:
            name, _, hunks = part.partition("\n")
            for hunk in hunks.split("@@\n"):
                change(copy / name, hunk.splitlines(keepends=True))


def change(path: Path, lines: list[str]) -> None:
    before = "".join(line[1:] for line in lines if line[0] != "+")
    after = "".join(line[1:] for line in lines if line[0] != "-")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} should have this once:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize(("title", "tests"), [("A strategy", 2), ("A family", 8), ("A task", 2)])
def test_an_example_runs_as_it_stands(title: str, tests: int, copy: Path) -> None:
    text = section(title)
    typed(text, copy)
    (shown,) = SHOWN.findall(text)
    done = subprocess.run(
        (sys.executable, *shown.split(), "-q"),
        cwd=copy,
        env={**environment(), "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= tests, done.stdout
