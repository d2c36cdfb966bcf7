"""Running statistics belong to the main network unless a subnet asks for its own."""

import pytest
import torch
from torch import nn

from mmst.core import active_subnet, isolated_norm, recalibrate_norm


def buffers(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def assert_same(model, expected):
    assert expected
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, expected[name]), name


def test_isolated_uses_batch_statistics_without_recording_them(resnet, images):
    before = buffers(resnet)
    with isolated_norm(resnet):
        isolated = resnet(images)
    assert_same(resnet, before)
    assert torch.equal(isolated, resnet(images))
    assert not torch.equal(resnet.bn1.running_mean, before['bn1.running_mean'])


def test_isolated_leaves_layers_in_evaluation_mode_alone(resnet, images):
    resnet.layer1.eval()
    before = buffers(resnet)
    inputs = torch.ones(2, 8, 8, 8)
    expected = resnet.layer1(inputs)
    with isolated_norm(resnet):
        assert torch.equal(resnet.layer1(inputs), expected)
    assert_same(resnet, before)


def test_isolated_restores_after_an_exception(resnet, images):
    before = buffers(resnet)
    with pytest.raises(RuntimeError, match='inside'), isolated_norm(resnet):
        resnet(images)
        raise RuntimeError('inside')
    assert_same(resnet, before)
    resnet(images)
    assert resnet.bn1.num_batches_tracked == before['bn1.num_batches_tracked'] + 1


class ForeignNorm(nn.Module):
    """Records statistics whatever ``track_running_stats`` says, as mmcv's SyncBatchNorm does."""

    def __init__(self):
        super().__init__()
        self.register_buffer('running_mean', torch.zeros(3))
        self.register_buffer('running_var', torch.ones(3))
        self.momentum = 0.1

    def forward(self, x):
        self.running_mean.lerp_(x.mean(0), self.momentum)
        return x - x.mean(0)


@pytest.mark.parametrize(
    ('layer', 'shape'),
    [
        (ForeignNorm(), (2, 3)),
        (nn.BatchNorm1d(3), (2, 3)),
        (nn.SyncBatchNorm(3), None),
        (nn.InstanceNorm2d(3, track_running_stats=True), (2, 3, 4, 4)),
    ],
)
def test_isolated_covers_every_kind_of_norm_layer(layer, shape):
    model = nn.Sequential(layer)
    before = buffers(model)
    with isolated_norm(model):
        if shape is None:  # torch's SyncBatchNorm runs on accelerators only
            assert not layer.track_running_stats
        else:
            model(torch.full(shape, float('nan')))
    assert_same(model, before)


def test_recalibrated_statistics_are_the_average_over_the_batches(images):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    before = buffers(model)
    batches = [images[:2], images[2:]]
    with recalibrate_norm(model, batches):
        assert not model.training and not model[0].training
        expected = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
        torch.testing.assert_close(model[0].running_mean, expected)
        variance = torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in batches])
        torch.testing.assert_close(model[0].running_var, variance.mean(0))
    assert_same(model, before)
    assert model.training and model[0].training and model[0].momentum == 0.1


def test_recalibration_averages_instance_norm_over_calls(images):
    """A layer that is used twice in a forward, as heads are on feature levels."""
    layer = nn.InstanceNorm2d(3, track_running_stats=True)
    with recalibrate_norm(nn.Sequential(layer), [images], lambda x: (layer(x), layer(x + 2))):
        torch.testing.assert_close(layer.running_mean, images.mean((0, 2, 3)) + 1)
        assert layer.momentum == 0.1
    assert layer.running_mean.tolist() == [0, 0, 0]


class StubbornNorm(nn.BatchNorm2d):
    """Stays in evaluation mode, another way to freeze statistics."""

    def train(self, mode=True):
        return super().train(False)


class FrozenNorm(nn.Module):
    """Keeps its statistics in every mode, and has no momentum."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))

    def forward(self, x):
        return (x - self.running_mean[:, None, None]) / self.running_var[:, None, None].sqrt()


@pytest.mark.parametrize('frozen', [FrozenNorm(3), StubbornNorm(3).train()])
def test_frozen_statistics_are_not_recalibrated(frozen, images):
    live, unused = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    for number, layer in enumerate((frozen, unused), start=2):
        layer.running_mean.fill_(number)
    model = nn.ModuleList([frozen, live, unused])
    before = buffers(model)
    with recalibrate_norm(model, [images], lambda batch: live(frozen(batch))):
        assert frozen.running_mean.tolist() == [2, 2, 2]
        assert unused.running_mean.tolist() == [3, 3, 3]
        torch.testing.assert_close(live.running_mean, frozen(images).mean((0, 2, 3)))
    assert_same(model, before)
    message = 'norm layer whose running statistics change in training, got none'
    with pytest.raises(ValueError, match=message), recalibrate_norm(frozen, [images]):
        pass


def test_recalibration_brings_a_subnet_to_its_own_statistics(resnet, images):
    with active_subnet(resnet, (1, 1, 1, 1)):
        resnet.train()
        with isolated_norm(resnet):
            batch_statistics = resnet(images)
        resnet.eval()
        spoilt = (resnet(images) - batch_statistics).abs().mean()
        with recalibrate_norm(resnet, [images]):
            calibrated = (resnet(images) - batch_statistics).abs().mean()
    assert calibrated < 0.1 * spoilt


@pytest.mark.parametrize(
    ('model', 'batches', 'message'),
    [
        (nn.BatchNorm2d(3), [], 'batches must hold at least one batch'),
        (nn.Linear(3, 3), [torch.ones(1, 3)], 'model must have a norm layer'),
    ],
)
def test_nothing_to_recalibrate_is_an_error(model, batches, message):
    before = buffers(model)
    with pytest.raises(ValueError, match=message), recalibrate_norm(model, batches):
        pass
    assert {k: v.tolist() for k, v in buffers(model).items()} == {
        k: v.tolist() for k, v in before.items()
    }
    assert model.training
