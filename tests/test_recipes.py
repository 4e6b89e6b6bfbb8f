"""Every recipe is trained as it stands, but for a tiny model, few texts and a short time."""

from pathlib import Path

import pytest

from mpiedge.config import read
from mpiedge.launch import hostfile
from mpiedge.strategy.registry import STRATEGIES
from mpiedge.testbed import cluster
from tests.models import save_tiny
from tests.runs import run

RECIPES = Path(__file__).parent.parent / "launch" / "recipes"
FAMILIES = {"llama-on-my-notes": "llama"}
RANKS = {
    "classify-my-texts": 2,
    "llama-on-my-notes": 3,
    "data-stays-home": 3,
    "slow-wifi": 4,
    "one-strong-three-weak": 4,
    "one-board": 1,
    "equal-boards": 2,
    "average-adapters": 4,
    "boards-train-too": 4,
}
SHORT = (
    "task.max_length=16",
    "training.epochs=2",
    "training.batch_size=4",
    "training.micro_batch_size=2",
    "training.threads=1",
)


def rows(count: int) -> str:
    texts = ("the parcel never came", "thanks, all is well", "where is my parcel", "well done")
    lines = [f'"{texts[i % 4]} {i}",{("complaint", "praise")[i % 2]}' for i in range(count)]
    return "\n".join(["text,label", *lines, ""])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the recipes name."""
    (tmp_path / "my-texts.csv").write_text(rows(20), encoding="utf-8")
    (tmp_path / "my-notes.txt").write_text("today I read a book\n" * 20, encoding="utf-8")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "validation.csv").write_text(rows(8), encoding="utf-8")
    for client in range(3):
        (tmp_path / "home" / f"client-{client}.csv").write_text(rows(8 + client), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_recipe_is_left_out() -> None:
    assert {path.stem for path in RECIPES.glob("*.toml")} == RANKS.keys()


@pytest.mark.parametrize("name", RANKS)
def test_a_recipe_runs(name: str, place: Path) -> None:
    model = save_tiny(FAMILIES.get(name, "bert"), place / "model", blocks=4)
    words = (f"model.name={model}", f"cache.folder={place / 'cache'}", *SHORT)
    settings = read(RECIPES / f"{name}.toml", words)
    done = run(settings, RANKS[name], place / "out")
    assert len(done.result["ranks"]) == RANKS[name]
    assert done.result["steps"] >= 2
    assert done.result["epochs"][-1]["epoch"] == 2


@pytest.mark.parametrize("name", RANKS)
def test_a_recipe_says_how_it_is_started(name: str) -> None:
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    assert f"train launch/recipes/{name}.toml" in text


def test_every_strategy_has_one() -> None:
    named = {read(path).strategy.name for path in RECIPES.glob("*.toml")}
    assert named == STRATEGIES.keys() - {"auto"}


@pytest.mark.parametrize("path", sorted((RECIPES.parents[1] / "hostfiles").iterdir()), ids=str)
def test_every_hostfile_can_be_read(path: Path) -> None:
    if path.suffix == ".toml":
        assert cluster.read(path).members
    else:
        assert hostfile.read(path)
