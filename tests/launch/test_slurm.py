"""The batch script for Slurm, with programs in place of Slurm's own that say what they are told."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "launch" / "slurm.sbatch"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the script, and srun and scontrol on the path."""
    (tmp_path / "launch").mkdir()
    shutil.copy(SCRIPT, tmp_path / "launch")
    for name in ("srun", "scontrol"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{name} $*"\nexit ${{{name}_code:-0}}\n')
        program.chmod(0o755)
    return tmp_path


def ran(clone: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    path = f"{clone / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "launch/slurm.sbatch", *words],
        cwd=clone,
        env={"PATH": path, "srun_code": str(code), "SLURM_JOB_ID": "77"},
        capture_output=True,
        text=True,
        check=False,
    )


TRAIN = "srun --mpi=pmix .venv/bin/python -m mpiedge train mine/run.toml --output-dir runs/run"


def test_a_run_begins_with_what_it_is_given(clone: Path) -> None:
    done = ran(clone, "mine/run.toml", "--set", "training.epochs=2")
    assert (done.returncode, done.stdout) == (0, f"{TRAIN} --set training.epochs=2\n")


def test_it_goes_on_from_a_checkpoint_until_there_is_a_result(clone: Path) -> None:
    folder = clone / "runs" / "run" / "checkpoints"
    folder.mkdir(parents=True)
    assert ran(clone, "mine/run.toml").stdout == f"{TRAIN}\n"
    (folder / "update-00000004.0-of-1.0123456789abcdef.safetensors").touch()
    assert ran(clone, "mine/run.toml").stdout == f"{TRAIN} --resume latest\n"
    (clone / "runs" / "run" / "result.json").touch()
    assert ran(clone, "mine/run.toml").stdout == f"{TRAIN}\n"


def test_at_its_times_end_it_goes_back_into_the_queue(clone: Path) -> None:
    done = ran(clone, "mine/run.toml", code=143)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "scontrol requeue 77"


@pytest.mark.parametrize("code", [1, 2, 137])
def test_another_end_is_the_jobs_own(code: int, clone: Path) -> None:
    done = ran(clone, "mine/run.toml", code=code)
    assert done.returncode == code
    assert "scontrol" not in done.stdout


def test_without_a_run_file_it_says_so(clone: Path) -> None:
    done = ran(clone)
    assert done.returncode != 0
    assert "name a run file" in done.stderr
