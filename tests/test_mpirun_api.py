"""A Python program on several ranks: the same weights, and an end for all when it fails."""

from pathlib import Path

import pytest

from tests.mpirun import mpirun
from tests.runs import Finished, difference, finished
from tests.test_api import by_file, example, place

__all__ = ["by_file", "place"]
pytestmark = pytest.mark.mpi_skip


def test_two_ranks_and_the_run_file_in_one_program(
    place: Path, by_file: Finished, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from mpiedge.__main__ import main\n"
        "from tests.test_api import run\n"
        "place, out = map(Path, sys.argv[1:])\n"
        "made = run(place, out / 'first').train()\n"
        "assert made.ranks == 2\n"
        "words = ['train', str(place / 'run.toml'), '--output-dir', str(out / 'second')]\n"
        "print('ended', made.rank, main(words), min(made.scores))\n",
        encoding="utf-8",
    )
    done = mpirun(2, program, str(place), str(tmp_path), limit=120)
    assert done.returncode == 0, done.stderr
    ended = sorted(line for line in done.stdout.splitlines() if line.startswith("ended"))
    assert ended == ["ended 0 0 accuracy", "ended 1 0 accuracy"]
    first, second = (finished(tmp_path / name) for name in ("first", "second"))
    assert difference(first, second) == 0
    assert first.losses == second.losses
    assert difference(by_file, first) < 1e-5


def test_the_example_of_the_page_runs_on_two_ranks(place: Path, tmp_path: Path) -> None:
    (tmp_path / "train_reviews.py").write_text(example(place), encoding="utf-8")
    program = tmp_path / "there.py"
    program.write_text(
        "import os, runpy, sys\n"
        "os.chdir(sys.argv[1])\n"
        "os.environ['XDG_CACHE_HOME'] = sys.argv[1]\n"
        "runpy.run_path('train_reviews.py', run_name='__main__')\n",
        encoding="utf-8",
    )
    done = mpirun(2, program, str(tmp_path), limit=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("after 27 updates: {'accuracy'") == 1
    assert done.stdout.count("on 2 ranks") == 1


def test_what_a_function_raises_ends_all_ranks(place: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.test_api import run\n"
        "def step(at):\n"
        "    raise RuntimeError('the disk of the callback is full')\n"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), on_step=step).train()\n",
        encoding="utf-8",
    )
    done = mpirun(2, program, str(place), str(tmp_path / "out"), limit=60)
    assert done.returncode == 1
    assert done.stderr.count("RuntimeError: the disk of the callback is full") == 1
    assert "rank 0 of 2" in done.stderr
