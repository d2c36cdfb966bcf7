"""An iteration with the main network as the teacher, against autograd on the sum."""

import pytest
import torch
import toy_resnet
from torch.nn import functional as F

from mmst.core import (
    active_subnet,
    backward_with_subnets,
    isolated_norm,
    kl_div_loss,
    kl_minus_loss,
    normalize_logits,
    resize_batch,
)

PASSES = [((1, 2, 1, 2), (48, 48)), ((2, 1, 1, 1), (32, 32))]


@pytest.fixture
def classifier():
    return toy_resnet.classifier((2, 2, 2, 2))


def minus(student, teacher):
    return kl_minus_loss(student, teacher, 'l2', 10.0, 2.0)


@pytest.mark.parametrize('subnet_loss', [kl_div_loss, kl_minus_loss, minus])
def test_gradient_is_that_of_the_sum(classifier, subnet_loss):
    inputs = torch.randn(3, 3, 48, 48, dtype=torch.float64)
    labels = torch.tensor([0, 3, 6])

    def main_loss(logits):
        return F.cross_entropy(normalize_logits(logits), labels)

    statistics = {name: value.clone() for name, value in classifier.named_buffers()}
    logits = classifier(inputs)
    total = main_loss(logits)
    expected = [total.item()]
    for depths, size_hw in PASSES:
        with active_subnet(classifier.backbone, depths), isolated_norm(classifier):
            loss = subnet_loss(classifier(resize_batch(inputs, size_hw)), logits.detach())
        total = total + 0.5 * loss
        expected.append(loss.item())
    parameters = dict(classifier.named_parameters())
    gradients = torch.autograd.grad(total, parameters.values())
    for name, value in classifier.named_buffers():
        value.copy_(statistics[name])

    losses = backward_with_subnets(
        classifier,
        classifier.backbone,
        inputs,
        PASSES,
        main_loss=main_loss,
        subnet_loss=subnet_loss,
        weight=0.5,
    )
    assert [losses.main.item(), *(loss.item() for loss in losses.subnets)] == expected
    assert not losses.main.requires_grad
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-8, atol=1e-12, msg=name)
    assert classifier.backbone.bn1.num_batches_tracked == 1
