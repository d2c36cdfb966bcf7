"""Weights that a model gets from a file."""

import math

import pytest
import torch
from torch import nn

from mmst.checkpoints.tensor_fit import compare_tensors, try_loading


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_missing_reshaped_and_unexpected_tensors_are_told_apart():
    state_dict = network().state_dict()
    assert try_loading(network(), state_dict).unfilled == {}
    wrapped = {f'module.{name}': value for name, value in state_dict.items()}
    assert try_loading(network(), wrapped) == try_loading(network(), state_dict)
    del state_dict['0.weight'], state_dict['1.running_var']
    state_dict |= {'0.bias': torch.ones(5), '2.weight': torch.ones(1), '2.steps': torch.tensor(1)}
    fit = try_loading(network(), {'state_dict': state_dict})
    assert fit.missing == ['0.weight', '1.running_var']
    assert fit.reshaped == ['0.bias']
    assert fit.unexpected == ('2.weight',)  # a counter is no weight
    assert fit.described('0.bias') == '0.bias is (5,), needed (3,)'
    assert fit.described('0.weight') == '0.weight is missing, needed (3, 2)'
    assert fit.share(fit.missing) == pytest.approx((6 + 3) / (6 + 3 + 4 * 3))
    names = compare_tensors(fit.needed, {k: v for k, v in state_dict.items() if v.ndim})
    assert (names.unfilled, names.unexpected) == (fit.unfilled, ('2.weight',))


def test_the_model_gets_the_weights_of_the_file_and_nothing_of_its_own():
    model, source = network(), network().state_dict()
    weight = source.pop('0.weight')
    try_loading(model, source)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in source.items())
    assert model[0].weight.isnan().all() and model[0].weight.shape == weight.shape
    assert not model._load_state_dict_post_hooks


def test_a_file_of_not_a_number_was_loaded():
    """Its training diverged, which is no matter of names and shapes."""
    source = {
        name: torch.full_like(v, math.nan) for name, v in nn.Linear(2, 3).state_dict().items()
    }
    assert try_loading(nn.Linear(2, 3), source).unfilled == {}


class Renamed(nn.Linear):
    """A layer whose first version called its weight 'kernel'."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *others):
        if local_metadata.get('version', 1) < 2:
            state_dict[f'{prefix}weight'] = state_dict.pop(f'{prefix}kernel')
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


def test_layers_are_told_the_version_of_a_file():
    new = nn.Sequential(Renamed(2, 3)).state_dict()
    old = {'0.kernel': new['0.weight'], '0.bias': new['0.bias']}
    for state_dict in (new, old):
        fit = try_loading(nn.Sequential(Renamed(2, 3)), {'state_dict': state_dict})
        assert (fit.unfilled, fit.unexpected) == ({}, ())
