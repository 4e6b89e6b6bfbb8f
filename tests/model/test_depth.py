"""Adapters from a block on: below, the model is bare, and what is saved says so."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel

from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject
from mpiedge.model.depth import bare
from mpiedge.model.export import origin_of, save_adapter
from mpiedge.model.purpose import Purpose
from mpiedge.model.restore import load_adapter, read_adapter
from mpiedge.model.settings import AdapterSettings
from tests.model.adapted import adapt, disturb, heads_of, logits, plain
from tests.models import FAMILIES, save_tiny, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
@pytest.mark.parametrize("family", FAMILIES)
def test_only_blocks_from_the_lowest_on_have_adapters(family: str, kind: str) -> None:
    every, some = (
        adapt(tiny_model(family, 3), AdapterSettings(kind=kind, lowest=k), family, Purpose.LANGUAGE)
        for k in (0, 3)
    )
    left_out = bare(tiny_model(family, 3), family, 3)
    assert len(left_out) == 2
    assert {n for n in every if not n.startswith(tuple(f"{b}." for b in left_out))} == set(some)
    assert 0 < len(some) < len(every)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_peft_loads_what_has_adapters_above_only(family: str, tmp_path: Path) -> None:
    purpose = Purpose.SEQ2SEQ if family in ("t5", "bart") else Purpose.CLASSIFICATION
    base = save_tiny(family, tmp_path / family, blocks=3)
    settings, model = AdapterSettings(r=4, lowest=3), plain(base, purpose)
    tuned = adapt(model, settings, family, purpose)
    disturb(tuned)
    origin = origin_of(model, str(base), purpose, heads_of(family, purpose))
    save_adapter(tmp_path / "adapter", settings, tuned, origin)
    loaded = PeftModel.from_pretrained(plain(base, purpose, seed=1), tmp_path / "adapter").eval()
    assert torch.equal(logits(loaded, family, purpose), logits(model, family, purpose))
    again = load_adapter(plain(base, purpose, seed=2), tmp_path / "adapter").eval()
    assert torch.equal(logits(again, family, purpose), logits(model, family, purpose))


def test_a_bottleneck_remembers_where_it_begins(tmp_path: Path) -> None:
    base, purpose = save_tiny("bert", tmp_path / "bert", blocks=3), Purpose.CLASSIFICATION
    model, found = plain(base, purpose), []
    for lowest in (0, 2):
        settings = AdapterSettings(kind="bottleneck", bottleneck=4, lowest=lowest)
        model = plain(base, purpose)
        tuned = adapt(model, settings, "bert", purpose)
        disturb(tuned)
        folder = tmp_path / f"from-{lowest}"
        save_adapter(folder, settings, tuned, origin_of(model, str(base), purpose, ("classifier",)))
        found.append(read_adapter(folder).settings.lowest)
        again = load_adapter(plain(base, purpose, seed=1), folder).eval()
        assert torch.equal(logits(again, "bert", purpose), logits(model, "bert", purpose))
    assert found == [0, 2]


def test_no_block_is_as_high() -> None:
    with pytest.raises(BadInput, match="adapter.lowest 4 is above the model's last block, 3"):
        inject(tiny_model("bert", 3), AdapterSettings(lowest=4), "bert", ())


@pytest.mark.parametrize("kind", ["parallel", "full"])
def test_only_adapters_inside_blocks_have_a_lowest(kind: str) -> None:
    with pytest.raises(BadInput, match=f"adapter.lowest 2 .* adapter.kind is {kind}"):
        inject(tiny_model("bert", 3), AdapterSettings(kind=kind, lowest=2), "bert", ())
