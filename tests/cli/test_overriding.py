"""Options as settings."""

from pathlib import Path

import pytest

from mpiedge.cli.overriding import with_cluster, with_strategy
from mpiedge.config import read


@pytest.mark.parametrize("name", ["a.toml", "my cluster 🚀.toml", 'a "b" \\c.toml'])
def test_a_path_of_any_letters_arrives(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run.toml"
    sections = ('model]\nname = "bert"', 'task]\nname = "mrpc"', 'strategy]\nname = "pipeline"')
    run.write_text("".join(f"[{section}\n" for section in sections), encoding="utf-8")
    settings = read(run, with_strategy(with_cluster(["training.epochs=2"], name), "ring"))
    assert settings.strategy.cluster == name
    assert settings.strategy.name == "ring"
    assert settings.training.epochs == 2


def test_what_is_left_out_changes_nothing() -> None:
    assert with_strategy(with_cluster(["a"], ""), "") == ["a"]
