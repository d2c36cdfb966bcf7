"""An iteration of pre-training against formulas written out: nothing of mmst is in the oracle."""

from functools import partial

import pytest
import torch
import toy_resnet
from torch.nn import functional as F

from mmst.core import backward_with_subnets, kl_div_loss, kl_minus_loss, normalize_logits

FULL = (3, 4, 6, 3)
PASSES = [((3, 3, 4, 3), (64, 64)), ((2, 4, 3, 1), (40, 40))]
LABELS = torch.tensor([3, 0, 6])


@pytest.fixture
def classifier():
    """A narrow ResNet-50 in float64 with random norm layers."""
    return toy_resnet.classifier(FULL)


def batch_norm(x, weights, name):
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    scale, shift = (weights[f'{name}.{part}'][:, None, None] for part in ('weight', 'bias'))
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def resnet50(x, weights, depths):
    """Logits of a ResNet-50 that keeps the first blocks of each stage."""

    def conv(x, name, **settings):
        return F.conv2d(x, weights[f'backbone.{name}.weight'], **settings)

    def norm(x, name):
        return batch_norm(x, weights, f'backbone.{name}')

    x = norm(conv(x, 'conv1', stride=2, padding=3), 'bn1').relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            name, stride = f'layer{stage}.{block}', 2 if stage > 1 and block == 0 else 1
            y = norm(conv(x, f'{name}.conv1'), f'{name}.bn1').relu()
            y = norm(conv(y, f'{name}.conv2', stride=stride, padding=1), f'{name}.bn2').relu()
            y = norm(conv(y, f'{name}.conv3'), f'{name}.bn3')
            if block == 0:
                x = conv(x, f'{name}.downsample.0', stride=stride)
                x = norm(x, f'{name}.downsample.1')
            x = (x + y).relu()
    return x.mean((2, 3)) @ weights['head.weight'].T + weights['head.bias']


def without_magnitude(z, method, amplitude):
    if method == 'layer_norm':
        centred = z - z.mean(1, keepdim=True)
        return amplitude * centred / (centred.square().mean(1, keepdim=True) + 1e-7).sqrt()
    return amplitude * z / z.square().sum(1, keepdim=True).sqrt() if method == 'l2' else z


def log_softmax(z):
    return z - z.exp().sum(1, keepdim=True).log()


@pytest.mark.parametrize(
    ('method', 'amplitude', 'temperature'), [(None, 1, 1), ('layer_norm', 1, 1), ('l2', 10, 2)]
)
def test_losses_and_gradients_are_those_of_the_formulas(classifier, method, amplitude, temperature):
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    weights = {n: p.detach().clone().requires_grad_() for n, p in classifier.named_parameters()}

    logits = without_magnitude(resnet50(images, weights, FULL), method, amplitude)
    expected = [-log_softmax(logits)[torch.arange(3), LABELS].mean()]
    teacher = log_softmax(logits.detach() / temperature)
    for depths, size_hw in PASSES:
        smaller = F.interpolate(images, size_hw, mode='bilinear', align_corners=False)
        student = without_magnitude(resnet50(smaller, weights, depths), method, amplitude)
        difference = teacher - log_softmax(student / temperature)
        divergence = (teacher.exp() * difference).sum(1).mean()
        expected.append(temperature**2 * divergence)
    sum(expected).backward()

    if method is None:
        main_loss, subnet_loss = partial(F.cross_entropy, target=LABELS), kl_div_loss
    else:
        subnet_loss = partial(
            kl_minus_loss, normalize=method, amplitude=amplitude, temperature=temperature
        )

        def main_loss(logits):
            return F.cross_entropy(normalize_logits(logits, method, amplitude), LABELS)

    losses = backward_with_subnets(
        classifier,
        classifier.backbone,
        images,
        PASSES,
        main_loss=main_loss,
        subnet_loss=subnet_loss,
    )
    for loss, wanted in zip((losses.main, *losses.subnets), expected, strict=True):
        torch.testing.assert_close(loss, wanted.detach(), rtol=1e-8, atol=0)
    for name, parameter in classifier.named_parameters():
        wanted = weights[name].grad
        assert wanted.any()
        assert (parameter.grad - wanted).norm() <= 1e-8 * wanted.norm() + 1e-13, name
