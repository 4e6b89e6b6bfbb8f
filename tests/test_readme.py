"""The README names every file with one line: the first sentence of what the file says of itself."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- files -->", "<!-- end of files -->"


def _sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    words = " ".join(text.split("\n\n")[0].split()).replace("``", "`")
    return re.split(r"(?<=\.)\s", words)[0].rstrip(".:;")


def _listing() -> str:
    lines = []
    for folder in sorted({path.parent for path in (ROOT / "mpiedge").rglob("*.py")}):
        name = folder.relative_to(ROOT)
        lines += ["", f"**{name}/** {_sentence(folder / '__init__.py')}", ""]
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                lines.append(f"- `{path.name}` {_sentence(path)}")
    return "\n".join([*lines[1:], ""])


def test_every_file_is_listed() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = readme.partition(BEGIN)[2].partition(END)[0]
    assert listed.strip() == _listing().strip(), f"README.md should list:\n{_listing()}"


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    top = {line.partition("/")[0] for line in done.stdout.splitlines()}
    folders = {"mpiedge", "launch", "hostfiles", "tests", "data", "docs", ".ci"}
    assert top == folders | {"pyproject.toml", "README.md", "LICENSE", ".gitignore"}


def test_no_page_was_left_unfinished() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"@[A-Z]+@|TODO|FIXME", page.read_text(encoding="utf-8")), page.name
