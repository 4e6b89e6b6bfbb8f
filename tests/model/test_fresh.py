"""First values depend on the seed and the name, and on nothing else."""

import torch

from mpiedge.model.fresh import fresh

SHAPE = torch.Size([40, 50])


def test_weights_are_normal_and_biases_zero() -> None:
    weight = fresh("classifier.weight", SHAPE, 0, 0.02)
    assert 0.018 < float(weight.std()) < 0.022
    assert abs(float(weight.mean())) < 0.002
    assert torch.equal(fresh("classifier.bias", torch.Size([3]), 0, 0.02), torch.zeros(3))


def test_seed_and_name_make_the_values() -> None:
    first = fresh("score.weight", SHAPE, 1, 0.02)
    torch.manual_seed(5)
    assert torch.equal(fresh("score.weight", SHAPE, 1, 0.02), first)
    assert not torch.equal(fresh("score.weight", SHAPE, 2, 0.02), first)
    assert not torch.equal(fresh("classifier.weight", SHAPE, 1, 0.02), first)


def test_drawing_leaves_torchs_generator_alone() -> None:
    state = torch.get_rng_state()
    fresh("score.weight", SHAPE, 1, 0.02)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_adapter_begins_as_adapters_do() -> None:
    name = "bert.encoder.layer.0.attention.self.query.lora_B.default.weight"
    assert torch.equal(fresh(name, SHAPE, 0, 0.02), torch.zeros(SHAPE))
