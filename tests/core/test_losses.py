"""KL, KL- and the normalisation of logits, against formulas written out and known values."""

import math

import pytest
import torch

from mmst.core import kl_div_loss, kl_minus_loss, normalize_logits

torch.manual_seed(0)
STUDENT = torch.randn(4, 10, dtype=torch.float64) * 3
TEACHER = torch.randn(4, 10, dtype=torch.float64) * 5 + 1


def kl(student, teacher, temperature=1.0):
    """Eq. 2 and 3, image by image."""
    total = 0.0
    for z, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p = [math.exp(value / temperature) for value in t]
        q = [math.exp(value / temperature) for value in z]
        p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


def test_layer_norm_has_mean_0_and_variance_amplitude_squared():
    normal = normalize_logits(STUDENT, amplitude=3.0)
    torch.testing.assert_close(normal.mean(1), torch.zeros(4, dtype=torch.float64))
    expected = torch.full((4,), 9.0, dtype=torch.float64)
    torch.testing.assert_close(normal.var(1, unbiased=False), expected, rtol=1e-6, atol=0)
    by_hand = (STUDENT[0] - STUDENT[0].mean()) / STUDENT[0].var(unbiased=False).add(1e-7).sqrt()
    torch.testing.assert_close(normal[0], 3 * by_hand)


def test_l2_has_norm_amplitude():
    normal = normalize_logits(STUDENT, 'l2', amplitude=10.0)
    torch.testing.assert_close(normal, 10 * STUDENT / STUDENT.square().sum(1, keepdim=True).sqrt())


@pytest.mark.parametrize('method', ['layer_norm', 'l2'])
def test_magnitude_is_gone_and_the_order_is_kept(method):
    normal = normalize_logits(STUDENT, method)
    torch.testing.assert_close(normalize_logits(7 * STUDENT, method), normal, rtol=1e-6, atol=1e-6)
    assert torch.equal(normal.argsort(1), STUDENT.argsort(1))
    assert torch.isfinite(normalize_logits(torch.zeros(2, 5), method)).all()


@pytest.mark.parametrize('temperature', [1.0, 2.0])
def test_kl_is_the_papers(temperature):
    loss = kl_div_loss(STUDENT, TEACHER, temperature)
    assert loss.item() == pytest.approx(kl(STUDENT, TEACHER, temperature), rel=1e-10)
    assert kl_div_loss(TEACHER, TEACHER, temperature).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ('method', 'amplitude', 'temperature'), [('layer_norm', 1.0, 1.0), ('l2', 10.0, 2.0)]
)
def test_kl_minus_is_kl_of_normalised_logits(method, amplitude, temperature):
    loss = kl_minus_loss(STUDENT, TEACHER, method, amplitude, temperature)
    normal = [normalize_logits(logits, method, amplitude) for logits in (STUDENT, TEACHER)]
    assert loss.item() == pytest.approx(kl(*normal, temperature), rel=1e-10)


@pytest.mark.parametrize('loss', [kl_div_loss, kl_minus_loss])
def test_only_the_student_learns(loss):
    student, teacher = (
        logits.clone().requires_grad_() for logits in (STUDENT.float(), TEACHER.float())
    )
    loss(student, teacher).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_left_behind(dtype):
    student, teacher = STUDENT.to(dtype), TEACHER.to(dtype)
    for loss in (kl_div_loss, kl_minus_loss):
        value = loss(student, teacher)
        assert value.dtype == torch.float32
        expected = loss(student.double(), teacher.double()).item()
        assert value.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: normalize_logits(STUDENT, 'norm'), r"method must be one of .*, got 'norm'"),
        (lambda: normalize_logits(STUDENT, amplitude=0), 'amplitude must be positive, got 0'),
        (lambda: kl_div_loss(STUDENT, TEACHER, -1), 'temperature must be positive, got -1'),
        (lambda: kl_div_loss(STUDENT, TEACHER[:2]), r'same shape .*\(4, 10\) and \(2, 10\)'),
        (lambda: kl_minus_loss(STUDENT, TEACHER, 'l3'), r"method must be one of .*, got 'l3'"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
