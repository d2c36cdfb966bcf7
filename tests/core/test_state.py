"""A forward in training mode leaves no state behind within the context."""

import pytest
import torch
from torch import nn

from mmst.core import isolated_state, register_state
from mmst.core.state import registered_state
from mmst.core.state_guard import record_state, record_value


class Assigner:
    """No module, as the assigners of detectors."""

    def __init__(self):
        self.threshold = 0.5


class Stateful(nn.Module):
    """State of every kind that the task libraries have."""

    def __init__(self):
        super().__init__()
        self.register_buffer('in_place', torch.zeros(2))
        self.register_buffer('rebound', torch.zeros(2))
        self.register_buffer('empty', None)
        self.history, self.nested, self.counter = [1], {'values': [1]}, 0
        self.tensor, self.bank = torch.zeros(2), [torch.zeros(2)]
        self.assigner, self.assigners = Assigner(), [Assigner(), Assigner()]
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x):
        with torch.no_grad():
            self.in_place += 1
            self.rebound = self.rebound + 1
            self.empty = torch.ones(1)
            if not hasattr(self, 'late'):
                self.register_buffer('late', torch.ones(1))
            self.tensor += 1
            self.bank[0] += 1
        self.history.append(2)
        self.nested['values'].append(2)
        self.nested['new'] = 3
        self.counter += 1
        for assigner in (self.assigner, *self.assigners):
            assigner.threshold += 0.1
        self.last = x * self.weight
        return self.last + self.in_place


@pytest.fixture
def stateful(monkeypatch):
    names = ['history', 'nested', 'counter', 'tensor', 'bank', 'last']
    names += ['assigner.threshold', 'assigners.threshold']
    monkeypatch.setattr('mmst.core.state._attributes', {})
    monkeypatch.setattr('mmst.core.state._found', {})
    register_state(Stateful, *names)
    return Stateful()


def state(model):
    """Values of all that is no parameter, and which objects hold them."""
    values = {
        **vars(model),
        **model._buffers,
        'thresholds': [a.threshold for a in (model.assigner, *model.assigners)],
    }
    ignored = ('_buffers', '_parameters')
    return {n: (id(v), str(v)) for n, v in values.items() if n not in ignored and n != 'thresholds'}


def test_everything_is_back(stateful):
    before, thresholds = state(stateful), [a.threshold for a in stateful.assigners]
    with isolated_state(stateful):
        stateful(torch.ones(2)).sum().backward()
        assert stateful.counter == 1 and stateful.history == [1, 2] and stateful.in_place[0] == 1
        assert state(stateful) != before
    assert state(stateful) == before
    assert [a.threshold for a in stateful.assigners] == thresholds
    assert stateful.assigner.threshold == 0.5
    assert not hasattr(stateful, 'late') and not hasattr(stateful, 'last')
    assert stateful.weight.grad.tolist() == [1, 1]


def test_everything_is_back_after_an_exception(stateful):
    before = state(stateful)
    with pytest.raises(RuntimeError, match='inside'), isolated_state(stateful):
        stateful(torch.ones(2))
        raise RuntimeError('inside')
    assert state(stateful) == before


def test_shared_buffers_stay_shared_within(stateful):
    """As the tables of a tied module."""
    model = nn.ModuleList([stateful, Stateful()])
    model[1].in_place = stateful.in_place
    with isolated_state(model):
        stateful(torch.ones(2))
        assert model[1].in_place[0] == 1
    assert model[1].in_place is stateful.in_place and stateful.in_place[0] == 0


def test_graph_of_an_earlier_forward_stays_valid():
    """Of the main network, whose backward follows the subnets that learn from its logits."""
    model = nn.utils.spectral_norm(nn.Linear(3, 3))
    alone = model(torch.ones(1, 3)).sum()
    expected = torch.autograd.grad(alone, model.weight_orig, retain_graph=True)[0]
    u = model.weight_u.clone()
    with isolated_state(model):
        model(torch.rand(2, 3)).sum().backward()
    assert torch.equal(model.weight_u, u)
    assert torch.equal(torch.autograd.grad(alone, model.weight_orig)[0], expected)


@pytest.mark.parametrize('norm', [True, False])
def test_norm_statistics_are_isolated_on_demand(norm):
    model = nn.Sequential(nn.BatchNorm1d(2), nn.InstanceNorm1d(2, track_running_stats=True))
    model.register_buffer('count', torch.zeros(1))
    model.register_forward_hook(lambda model, *_: model.count.add_(1))
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with isolated_state(model, norm=norm):
        model(torch.rand(4, 2, 5))
    changed = [n for n, b in model.named_buffers() if not torch.equal(b, before[n])]
    assert ('count' not in changed) and bool(changed) == (not norm)
    assert norm or {'0.running_mean', '0.num_batches_tracked', '1.running_var'} <= set(changed)


def test_subclasses_inherit_registered_attributes(stateful):
    class Heir(Stateful):
        pass

    register_state(Heir, 'extra')
    assert registered_state(Heir) == ('extra', *registered_state(Stateful))


def test_registered_attributes_are_added(stateful):
    """The guard advises one registration for each."""
    before = registered_state(Stateful)
    register_state(Stateful, 'extra', 'counter')
    assert registered_state(Stateful) == (*before, 'extra')


def test_guard_looks_at_what_is_not_registered_beside_it(monkeypatch):
    monkeypatch.setattr('mmst.core.state._attributes', {})
    monkeypatch.setattr('mmst.core.state._found', {})
    register_state(Stateful, 'assigner.threshold', 'counter')
    model = Stateful()
    before = record_state(model)
    model.assigner.threshold, model.counter = 1.0, 1
    assert not before.changed_attributes(record_state(model))
    model.assigner.other = 1
    del model.history
    model.bank[0] += torch.tensor([1.0, 0])
    rolled = record_state(model)
    names = {name for _, name in before.changed_attributes(rolled)}
    assert names == {'assigner', 'history', 'bank'}
    model.bank[0] = model.bank[0].roll(1)
    assert [n for _, n in rolled.changed_attributes(record_state(model))] == ['bank']


def test_buffers_that_are_taken_out_are_back_in_their_place():
    model = nn.Module()
    for name in ('first', 'second'):
        model.register_buffer(name, torch.zeros(1))
    before = model.first
    with isolated_state(model):
        del model.first
        model.register_buffer('third', torch.ones(1))
    assert list(model.state_dict()) == ['first', 'second'] and model.first is before


@pytest.mark.parametrize(
    'value',
    [torch.tensor(3).expand(1), torch.arange(6).reshape(2, 3).t(), torch.ones(2).bfloat16()],
    ids=['expanded', 'transposed', 'bfloat16'],
)
def test_any_tensor_is_recorded_by_its_values(value):
    assert record_value([value]) == record_value([value.clone()])
    assert record_value([value]) != record_value([value + 1])
    assert record_value([value]) != record_value([value[:0]])


def test_registration_without_names_is_an_error():
    with pytest.raises(ValueError, match='attributes must name what .*Stateful.* changes'):
        register_state(Stateful)


def test_guard_finds_what_nobody_registered(monkeypatch):
    monkeypatch.setattr('mmst.core.state._attributes', {})
    monkeypatch.setattr('mmst.core.state._found', {})
    model = nn.Sequential(Stateful(), nn.BatchNorm1d(2))
    before = record_state(model)
    assert not before.changed_attributes(record_state(model))
    with isolated_state(model):
        model(torch.ones(4, 2)).sum().backward()
    after = record_state(model)
    names = {name for _, name in before.changed_attributes(after)}
    # Not `last`, which belongs to a graph.
    assert names == {'history', 'nested', 'counter', 'tensor', 'bank', 'assigner', 'assigners'}
    assert before.changed_parameters(after) == []
    with torch.no_grad():
        model[0].weight.data.lerp_(torch.zeros(2), 0.1)
    assert before.changed_parameters(record_state(model)) == ['0.weight']
