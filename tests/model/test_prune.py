"""First values of side networks: what is kept of each weight, in every family."""

import re
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file

from mpiedge.model.anatomy import TWIN
from mpiedge.model.load import load, open_checkpoint
from mpiedge.model.prune import magnitude, pruned
from mpiedge.model.purpose import Purpose
from tests.model.adapted import EVERY
from tests.model.prune_parts import beside, copies, purpose_of
from tests.models import FAMILIES, save_tiny

# Heads of width 8, of which 2 rows stay; Llama has 4 heads of queries and 2 of keys.
HEADS = {"bert": (4, 4), "roberta": (4, 4), "llama": (4, 2), "t5": (4, 4), "bart": (4, 4)}
QUERIES = re.compile(r"(self\.query|q_proj|Attention\.q)\.(weight|bias)$")
KEYS = re.compile(r"(self\.(key|value)|[kv]_proj|Attention\.[kv])\.(weight|bias)$")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: save_tiny(family, folder / family) for family in FAMILIES}


def original(blueprint, name):
    """The backbone's weight that a copy was cut out of, as the checkpoint has it."""
    checkpoint = open_checkpoint(blueprint)
    key = checkpoint.locate(blueprint.anatomy.names(blueprint.anatomy.original(name)))
    ((_, tensor),) = checkpoint.read([key])
    return tensor


def late_first(name, weight):
    """An importance that grows along both sides of a weight, so that the last are kept."""
    grown = 1 + torch.arange(weight.shape[-1]) / 100
    if weight.dim() > 1:
        grown = grown + torch.arange(len(weight)).unsqueeze(1)
    return grown.expand(weight.shape)


def last_of(width, kept, parts=1, halves=1):
    """The last entries of each of some equal parts: of a part's halves, of a rotary head."""
    places = torch.arange(width).view(parts, halves, -1)
    return places[:, :, -(kept // parts // halves) :].flatten()


def kept_of(family, name, side, width, kept, merged=1):
    """The entries that are kept along one side of a weight by ``late_first``."""
    halves = 2 if family == "llama" else 1
    if family == "gpt2" and "c_attn" in name and side == "out":
        return last_of(width, kept, parts=3 * 4 // merged)
    if family == "gpt2" and "attn.c_proj" in name and side == "in":
        return last_of(width, kept, parts=4 // merged)
    if (QUERIES.search(name) and side == "out") or (
        re.search(r"(attention\.output\.dense|out_proj|o_proj|Attention\.o)\.weight$", name)
        and side == "in"
    ):
        return last_of(width, kept, HEADS[family][0] // merged, halves)
    if KEYS.search(name) and side == "out":
        return last_of(width, kept, HEADS[family][1] // merged, halves)
    return last_of(width, kept)


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_every_copy_gets_a_value_of_its_shape(family, purpose, bases):
    blueprint = beside(bases[family], purpose)
    values = pruned(blueprint)
    assert {name: each.shape for name, each in values.items()} == copies(blueprint)
    assert all(each.dtype == torch.float32 and each.is_contiguous() for each in values.values())


@pytest.mark.parametrize(
    ("family", "heads"),
    # Where heads of queries share keys, fewer heads are not neighbours only: a test of their own.
    [(name, heads) for name in FAMILIES for heads in (4, 2, 1) if heads == 4 or name != "llama"],
)
def test_what_is_kept_of_each_weight(family, heads, bases):
    blueprint = beside(bases[family], purpose_of(family), heads=heads)
    values = pruned(blueprint, late_first)
    for name, value in values.items():
        whole = original(blueprint, name)
        if "relative_attention_bias" in name:
            torch.testing.assert_close(value, whole.unflatten(1, (heads, -1)).mean(2))
            continue
        sides = ("out", "in") if family != "gpt2" or whole.dim() == 1 else ("in", "out")
        expected = whole
        for dim, side in zip(range(whole.dim()), sides, strict=False):
            kept = kept_of(family, name, side, whole.shape[dim], value.shape[dim], 4 // heads)
            expected = expected.index_select(dim, kept)
        assert torch.equal(value, expected), name


def largest(scores, count):
    return sorted(sorted(range(len(scores)), key=lambda i: -scores[i])[:count])


def bert_by_hand(weights):
    """Two blocks of BERT cut by the definition, with nothing but loops: 32 and 48 wide, 4 heads."""
    values = {}
    table = weights["bert.embeddings.word_embeddings.weight"].double().abs()
    columns = largest(table.sum(0).tolist(), 8)
    for index in range(2):
        block = f"bert.encoder.layer.{index}"

        def cut(name, rows, columns, block=block):
            values[f"{block}.{name}.weight"] = weights[f"{block}.{name}.weight"][rows][:, columns]
            values[f"{block}.{name}.bias"] = weights[f"{block}.{name}.bias"][rows]

        def norm(name, entries, block=block):
            for ending in ("weight", "bias"):
                values[f"{block}.{name}.{ending}"] = weights[f"{block}.{name}.{ending}"][entries]

        def own(name, columns, count, block=block):
            weight = weights[f"{block}.{name}.weight"][:, columns].double().abs()
            return largest(weight.sum(1).tolist(), count)

        three = [f"attention.self.{part}" for part in ("query", "key", "value")]
        together = torch.ones(32, 8, dtype=torch.float64)
        for name in three:
            together = together * weights[f"{block}.{name}.weight"][:, columns].double().abs()
        scores = together.sum(1)
        rows = [
            8 * head + row
            for head in range(4)
            for row in largest(scores[8 * head : 8 * head + 8].tolist(), 2)
        ]
        for name in three:
            cut(name, rows, columns)
        out = own("attention.output.dense", rows, 8)
        cut("attention.output.dense", out, rows)
        norm("attention.output.LayerNorm", out)
        wide = own("intermediate.dense", out, 12)
        cut("intermediate.dense", wide, out)
        columns = own("output.dense", wide, 8)
        cut("output.dense", columns, wide)
        norm("output.LayerNorm", columns)
    return values


def test_bert_by_hand(bases):
    weights = load_file(bases["bert"] / "model.safetensors")
    expected = bert_by_hand(weights)
    values = pruned(beside(bases["bert"], Purpose.CLASSIFICATION))
    found = {name.replace(TWIN, "bert."): value for name, value in values.items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_heads_of_queries_that_share_keys_keep_the_same_rows(bases):
    blueprint = beside(bases["llama"], Purpose.LANGUAGE, reduction=2)
    value = pruned(blueprint)[f"{TWIN}layers.0.self_attn.q_proj.weight"]
    weights = load_file(bases["llama"] / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    table = weights["model.embed_tokens.weight"]
    columns = torch.tensor(largest(table.double().abs().sum(0).tolist(), 16))
    rows = [
        next(row for row in range(32) if torch.equal(weights[name][row, columns], each))
        for each in value
    ]
    heads = [[row - 8 * head for row in rows[4 * head : 4 * head + 4]] for head in range(4)]
    assert heads[0] == heads[1]
    assert heads[2] == heads[3]
    assert heads[0] != heads[2]
    # What rotary positions turn together stays together.
    assert all(head[2:] == [row + 4 for row in head[:2]] for head in heads)


def places(blueprint, name, value, columns):
    """Which rows of the model's weight those of a copy are."""
    whole = original(blueprint, name)[:, columns]
    return [next(i for i, row in enumerate(whole) if torch.equal(row, each)) for each in value]


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_in_a_merged_head_a_query_goes_on_meeting_its_key(reduction, bases):
    blueprint = beside(bases["llama"], Purpose.LANGUAGE, reduction=reduction, heads=2)
    values = pruned(blueprint)
    table = load_file(bases["llama"] / "model.safetensors")["model.embed_tokens.weight"]
    columns = torch.tensor(largest(table.double().abs().sum(0).tolist(), 32 // reduction))
    block = f"{TWIN}layers.0.self_attn"
    queries, keys, value = (
        places(
            blueprint, f"{block}.{part}_proj.weight", values[f"{block}.{part}_proj.weight"], columns
        )
        for part in "qkv"
    )
    assert keys == value
    wide = 16 // reduction
    assert (len(keys), len(queries)) == (wide, 2 * wide)
    for head in range(2):
        mine = queries[wide * head : wide * (head + 1)]
        # Of the two heads of queries that share a head of keys, one each.
        assert [row // 8 for row in mine] == [2 * (row // 8) + head for row in keys]
        assert [row % 8 for row in mine] == [row % 8 for row in keys]
    # What rotary positions turn together stays together, now half of a wider head apart.
    assert keys[wide // 2 :] == [row + 4 for row in keys[: wide // 2]]
    projected = values[f"{block}.o_proj.weight"]
    whole = original(blueprint, f"{block}.o_proj.weight")[:, queries]
    assert all(any(torch.equal(row, each) for each in whole) for row in projected)


def test_a_merged_head_keeps_the_largest_rows_of_both(bases):
    blueprint = beside(bases["bert"], Purpose.CLASSIFICATION, reduction=16, heads=2)
    weights = load_file(bases["bert"] / "model.safetensors")
    columns = largest(
        weights["bert.embeddings.word_embeddings.weight"].double().abs().sum(0).tolist(), 2
    )
    together = torch.ones(32, 2, dtype=torch.float64)
    for part in ("query", "key", "value"):
        whole = weights[f"bert.encoder.layer.0.attention.self.{part}.weight"]
        together = together * whole[:, columns].double().abs()
    halves = together.sum(1).view(2, 16)
    rows = [16 * half + largest(halves[half].tolist(), 1)[0] for half in range(2)]
    name = f"{TWIN}encoder.layer.0.attention.self.query.weight"
    assert torch.equal(pruned(blueprint)[name], original(blueprint, name)[rows][:, columns])


def test_a_decoder_starts_from_the_embedding_again(bases):
    blueprint = beside(bases["t5"], Purpose.SEQ2SEQ)
    values = pruned(blueprint)
    first = {}
    for stack in ("encoder", "decoder"):
        name = f"{stack}.block.0.layer.0.layer_norm.weight"
        whole = original(blueprint, TWIN + name)
        places = [int((whole == each).nonzero()) for each in values[TWIN + name]]
        first[stack] = places
    assert first["encoder"] == first["decoder"]


def test_what_the_decoder_reads_is_what_the_encoder_left(bases):
    values = pruned(blueprint := beside(bases["t5"], Purpose.SEQ2SEQ))
    norm = f"{TWIN}encoder.final_layer_norm.weight"
    left = [int((original(blueprint, norm) == each).nonzero()) for each in values[norm]]
    for block in range(3):
        for letter in ("k", "v"):
            name = f"{TWIN}decoder.block.{block}.layer.1.EncDecAttention.{letter}.weight"
            whole = original(blueprint, name)[:, left]
            rows = [row for row in whole if any(torch.equal(row, each) for each in values[name])]
            assert torch.equal(torch.stack(rows), values[name])


@pytest.mark.parametrize("changes", [{"feed_forward_proj": "gated-gelu"}, {"n_inner": 64}])
def test_feed_forward_parts_of_other_forms(changes, tmp_path):
    family = "t5" if "feed_forward_proj" in changes else "gpt2"
    blueprint = beside(save_tiny(family, tmp_path, **changes), purpose_of(family))
    values = pruned(blueprint)
    assert {name: each.shape for name, each in values.items()} == copies(blueprint)
    if family == "t5":
        gates = [each for name, each in values.items() if re.search(r"0\.layer\.1\..*wi_", name)]
        wholes = [
            original(blueprint, name) for name in values if re.search(r"0\.layer\.1\..*wi_", name)
        ]
        assert len(gates) == 2
        # The rows of both are the same ones: any column tells which.
        found = [
            [
                next(i for i, row in enumerate(whole) if set(each.tolist()) <= set(row.tolist()))
                for each in gate
            ]
            for gate, whole in zip(gates, wholes, strict=True)
        ]
        assert found[0] == found[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rank_begins_with_them(family, bases):
    blueprint = beside(bases[family], purpose_of(family))
    values = pruned(blueprint)
    shard = load(blueprint, range(blueprint.num_layers), values=values)
    found = dict(shard.model.named_parameters())
    assert all(torch.equal(found[name], each) for name, each in values.items())


def test_importance_chooses(bases):
    blueprint = beside(bases["bert"], Purpose.CLASSIFICATION)
    small, large = (pruned(blueprint, each) for each in (lambda _, w: 1 / w.abs(), magnitude))
    name = f"{TWIN}encoder.layer.1.output.dense.weight"
    assert small[name].abs().mean() < large[name].abs().mean()


def test_of_equal_rows_the_first(tmp_path, bases):
    blueprint = beside(bases["bert"], Purpose.CLASSIFICATION)
    values = pruned(blueprint, lambda _, weight: torch.ones_like(weight))
    name = f"{TWIN}encoder.layer.0.intermediate.dense.weight"
    assert torch.equal(values[name], original(blueprint, name)[:12, :8])


def test_rows_stay_in_their_order(bases):
    blueprint = beside(bases["gpt2"], Purpose.LANGUAGE)
    name = f"{TWIN}ln_f.weight"
    whole, value = original(blueprint, name), pruned(blueprint)[name]
    places = [int((whole == each).nonzero()) for each in value]
    assert all(a < b for a, b in pairwise(places))
