"""The documentation is built without a warning, and nothing in it is older than what it shows."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_every_page_is_built_without_a_warning(tmp_path: Path) -> None:
    for name in ("sphinx", "furo", "myst_parser", "sphinx_click"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'mpiedge[docs]'")
    words = (sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(DOCS), str(tmp_path))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in DOCS.glob("*.md")}
    assert pages <= {path.stem for path in tmp_path.glob("*.html")}
    assert "mpiedge testbed fault" in (tmp_path / "commands.html").read_text(encoding="utf-8")
    assert "output_dir" in (tmp_path / "api.html").read_text(encoding="utf-8")


def test_results_show_every_benchmark() -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    shown = {line.split("/")[3] for line in page.splitlines() if "{include}" in line}
    assert shown == {path.parent.name for path in ROOT.glob("launch/bench/*/README.md")}


def test_pictures_are_as_they_are_drawn(tmp_path: Path) -> None:
    program = tmp_path / "draw.py"
    program.write_text((DOCS / "pictures" / "draw.py").read_text("utf-8"), encoding="utf-8")
    subprocess.run((sys.executable, str(program)), check=True)
    for path in tmp_path.glob("*.svg"):
        assert path.read_bytes() == (DOCS / "pictures" / path.name).read_bytes()
    assert len(list(tmp_path.glob("*.svg"))) == len(list(DOCS.glob("pictures/*.svg")))
