"""Losses of a subnet against its teacher.

Shapes: N images, C classes. All functions compute in at least single precision.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ['kl_div_loss', 'kl_minus_loss', 'normalize_logits']

NORMALIZATIONS = ('layer_norm', 'l2')


def normalize_logits(
    logits: Tensor, method: str = 'layer_norm', amplitude: float = 1.0, eps: float = 1e-7
) -> Tensor:
    """Removes the magnitude of logits (ST++ section 3.2.3, eq. 4 and 5).

    Args:
        logits: Of shape (N, C).
        method: ``'layer_norm'`` subtracts the mean over the classes and divides by the standard
            deviation (the authors' code), ``'l2'`` divides by the Euclidean norm (the paper).
        amplitude: Factor of the result.
        eps: Added to the variance, or least norm.

    Returns:
        A new tensor of shape (N, C), of at least single precision.

    Raises:
        ValueError: The method is unknown, or amplitude or eps is not positive.
    """
    check_normalization(method, amplitude, eps)
    logits = _precise(logits)
    if method == 'layer_norm':
        return amplitude * F.layer_norm(logits, logits.shape[-1:], eps=eps)
    return amplitude * F.normalize(logits, dim=-1, eps=eps)


def check_normalization(method: str, amplitude: float, eps: float = 1e-7) -> None:
    """Raises ValueError for settings that :func:`normalize_logits` does not take."""
    if method not in NORMALIZATIONS:
        raise ValueError(f'method must be one of {NORMALIZATIONS}, got {method!r}')
    for name, value in (('amplitude', amplitude), ('eps', eps)):
        if not value > 0:
            raise ValueError(f'{name} must be positive, got {value!r}')


def kl_div_loss(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    r"""Kullback-Leibler divergence of a subnet's prediction from its teacher's (ST++ eq. 2, 3).

    .. math:: T^2 \cdot KL(softmax(t / T) \,\|\, softmax(z / T))

    Args:
        student: Logits z of shape (N, C).
        teacher: Logits t of shape (N, C); no gradient flows into them.
        temperature: T.

    Returns:
        The mean over the images, a scalar.

    Raises:
        ValueError: The shapes differ, or the temperature is not positive.
    """
    check_temperature(temperature)
    if student.ndim != 2 or student.shape != teacher.shape:
        raise ValueError(
            'student and teacher must be logits of the same shape (N, C), got '
            f'{tuple(student.shape)} and {tuple(teacher.shape)}'
        )
    log_student = F.log_softmax(_precise(student) / temperature, dim=1)
    log_teacher = F.log_softmax(_precise(teacher.detach()) / temperature, dim=1)
    divergence = F.kl_div(log_student, log_teacher, reduction='batchmean', log_target=True)
    return divergence * temperature**2


def check_temperature(temperature: float) -> None:
    """Raises ValueError unless the temperature is positive."""
    if not temperature > 0:
        raise ValueError(f'temperature must be positive, got {temperature!r}; the paper uses 1.0')


def kl_minus_loss(
    student: Tensor,
    teacher: Tensor,
    normalize: str = 'layer_norm',
    amplitude: float = 1.0,
    temperature: float = 1.0,
) -> Tensor:
    """KL-: the divergence of predictions whose logits lost their magnitude (ST++ eq. 4 to 6).

    A subnet that follows the teacher's logits with plain KL also follows their growing magnitude,
    which it can do by confidence instead of accuracy.

    Args:
        student: Raw logits of shape (N, C).
        teacher: Raw logits of shape (N, C); no gradient flows into them.
        normalize: Method of :func:`normalize_logits`.
        amplitude: Its factor.
        temperature: That of :func:`kl_div_loss`.

    Returns:
        The mean over the images, a scalar.

    Raises:
        ValueError: The shapes differ, or a setting is out of range.
    """
    student, teacher = (
        normalize_logits(logits, normalize, amplitude) for logits in (student, teacher)
    )
    return kl_div_loss(student, teacher, temperature)


def _precise(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
