"""The page in a real browser: no error, nothing empty, light and dark, and narrow enough."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import matplotlib.image
import pytest

from mpiedge.report.page import report
from mpiedge.report.reading import read

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)

# Runs in a copy without the policy that forbids it; what it finds stands in the document then.
_LOOK = """<script>
document.body.style.width = '360px';
const drawn = [...document.querySelectorAll('figure svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  const shapes = [...svg.querySelectorAll('path,use')].filter(one => {
    const each = one.getBoundingClientRect();
    return each.width * each.height > 4 && each.right > box.left && each.left < box.right;
  });
  return {width: box.width, height: box.height, shapes: shapes.length,
          words: svg.querySelectorAll('text').length};
});
document.body.dataset.found = JSON.stringify({drawn, wide: document.body.scrollWidth});
</script>"""


def browser(page: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")
    logged = ("--enable-logging=stderr", f"--user-data-dir={profile}")
    return subprocess.run(
        [CHROMIUM, *quiet, *logged, *flags, page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def page(pipelined: Path, cached: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    report([read(pipelined), read(cached)], path, None)
    return path


@needs_browser
def test_every_figure_shows_something_and_a_phone_is_wide_enough(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    watched = page.with_name("watched.html")
    policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    watched.write_text(policy.replace("</body>", f"{_LOOK}</body>"), encoding="utf-8")
    done = browser(watched, page.parent / "profile", "--dump-dom")
    said = re.search(r'data-found="([^"]*)"', done.stdout)
    assert said is not None
    found = json.loads(unescape(said[1]))
    assert len(found["drawn"]) == text.count("<figure>") > 8
    for each in found["drawn"]:
        assert each["width"] > 250, each
        assert each["height"] > 60, each
        assert each["shapes"] > 2, each
        assert each["words"] > 2, each
    assert found["wide"] <= 360


@needs_browser
@pytest.mark.parametrize(("scheme", "paper"), [(1, (255, 255, 255)), (0, (0x12, 0x16, 0x1C))])
def test_light_and_dark_without_an_error(
    page: Path, tmp_path: Path, scheme: int, paper: tuple[int, int, int]
) -> None:
    shot = tmp_path / "shot.png"
    flags = (f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1000,2000")
    done = browser(page, tmp_path / "profile", *flags, f"--screenshot={shot}")
    assert "CONSOLE" not in done.stderr
    pixels = (matplotlib.image.imread(shot)[..., :3] * 255).round()
    assert tuple(pixels[3, 3]) == paper
    blue = abs(pixels - [0x4C, 0x78, 0xA8]).sum(axis=2) < 6
    assert blue.sum() > 300  # the first run's colour
    ink = abs(pixels - paper).sum(axis=2) > 500
    assert ink.sum() > 2000  # text that can be told from the paper
