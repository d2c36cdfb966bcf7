"""Losses built from configs."""

import pytest
import torch
from mmengine.registry import MODELS
from torch.nn import functional as F

from mmst.core import kl_div_loss, kl_minus_loss, normalize_logits

torch.manual_seed(0)
STUDENT, TEACHER = torch.randn(2, 6, 10) * 4
LABELS = torch.tensor([0, 3, 9, 1, 1, 5])


def build(**config):
    return MODELS.build(config)


def test_losses_are_those_of_the_core():
    loss = build(type='mmst.KLDivLoss', temperature=2.0, loss_weight=0.5)
    torch.testing.assert_close(loss(STUDENT, TEACHER), 0.5 * kl_div_loss(STUDENT, TEACHER, 2.0))
    assert str(loss) == 'KLDivLoss(temperature=2, loss_weight=0.5)'
    loss = build(
        type='mmst.KLMinusLoss', normalize='l2', amplitude=10.0, temperature=2.0, loss_weight=0.25
    )
    expected = 0.25 * kl_minus_loss(STUDENT, TEACHER, 'l2', 10.0, 2.0)
    torch.testing.assert_close(loss(STUDENT, TEACHER), expected)


@pytest.mark.parametrize('normalize', ['layer_norm', 'l2'])
def test_cross_entropy_of_normalised_logits(normalize):
    loss = build(type='mmst.LogitNormCrossEntropyLoss', normalize=normalize, amplitude=2.0)
    logits = normalize_logits(STUDENT, normalize, 2.0)
    expected = F.cross_entropy(logits, LABELS)
    torch.testing.assert_close(loss(STUDENT, LABELS), expected)
    torch.testing.assert_close(loss(STUDENT, LABELS, avg_factor=3), expected * 2)
    weight = torch.tensor([1.0, 0, 0, 0, 0, 0])
    torch.testing.assert_close(
        loss(STUDENT, LABELS, weight=weight, avg_factor=1), F.cross_entropy(logits[:1], LABELS[:1])
    )
    soft = torch.softmax(TEACHER, 1)
    torch.testing.assert_close(loss(STUDENT, soft), F.cross_entropy(logits, soft))


def test_labels_are_smoothed():
    loss = build(type='mmst.LogitNormCrossEntropyLoss', label_smoothing=0.1, loss_weight=2.0)
    expected = 2 * F.cross_entropy(normalize_logits(STUDENT), LABELS, label_smoothing=0.1)
    torch.testing.assert_close(loss(STUDENT, LABELS), expected)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'type': 'mmst.KLDivLoss', 'temperature': 0}, 'temperature must be positive, got 0'),
        ({'type': 'mmst.KLMinusLoss', 'normalize': 'x'}, "method must be one of .*, got 'x'"),
        ({'type': 'mmst.LogitNormCrossEntropyLoss', 'amplitude': -1}, 'amplitude must be positive'),
        ({'type': 'mmst.LogitNormCrossEntropyLoss', 'label_smoothing': 1}, r'in \[0, 1\), got 1'),
    ],
)
def test_bad_settings_are_refused_when_built(config, message):
    with pytest.raises(ValueError, match=message):
        build(**config)
