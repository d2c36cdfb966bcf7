"""Losses of :mod:`mmst.core` for configs."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mmst.core import kl_div_loss, kl_minus_loss, normalize_logits
from mmst.core.losses import check_normalization, check_temperature
from mmst.engine.registry import MODELS

__all__ = ['KLDivLoss', 'KLMinusLoss', 'LogitNormCrossEntropyLoss']


@MODELS.register_module()
class KLDivLoss(nn.Module):
    """:func:`mmst.core.kl_div_loss` for :class:`mmst.LogitSupervision`.

    Args:
        temperature: Divides the logits; the loss is multiplied by its square.
        loss_weight: Factor of the loss.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(self, temperature: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Takes raw logits of shape (N, C) twice; returns a scalar."""
        return self.loss_weight * kl_div_loss(student, teacher, self.temperature)

    def extra_repr(self) -> str:
        """Returns the settings, for ``print(loss)``."""
        return f'temperature={self.temperature:g}{_weight_text(self.loss_weight)}'


@MODELS.register_module()
class KLMinusLoss(nn.Module):
    """:func:`mmst.core.kl_minus_loss` for :class:`mmst.LogitSupervision`.

    Args:
        normalize: ``'layer_norm'`` or ``'l2'``, see :func:`mmst.core.normalize_logits`.
        amplitude: Factor of the normalised logits.
        temperature: Divides the logits; the loss is multiplied by its square.
        loss_weight: Factor of the loss.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(
        self,
        normalize: str = 'layer_norm',
        amplitude: float = 1.0,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_normalization(normalize, amplitude)
        check_temperature(temperature)
        self.normalize = normalize
        self.amplitude = amplitude
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Takes raw logits of shape (N, C) twice; returns a scalar."""
        settings = (self.normalize, self.amplitude, self.temperature)
        return self.loss_weight * kl_minus_loss(student, teacher, *settings)

    def extra_repr(self) -> str:
        """Returns the settings, for ``print(loss)``."""
        return (
            f'normalize={self.normalize!r}, amplitude={self.amplitude:g}, '
            f'temperature={self.temperature:g}{_weight_text(self.loss_weight)}'
        )


@MODELS.register_module()
class LogitNormCrossEntropyLoss(nn.Module):
    """Cross entropy of normalised logits, for the ``loss`` of a classification head.

    The main network's loss in the authors' recipes with KL-. Only training sees normalised logits;
    predictions are not changed by it, because their order is the same.

    Args:
        normalize: ``'layer_norm'`` or ``'l2'``, see :func:`mmst.core.normalize_logits`.
        amplitude: Factor of the normalised logits.
        label_smoothing: Part of the target spread over all classes, in [0, 1).
        loss_weight: Factor of the loss.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(
        self,
        normalize: str = 'layer_norm',
        amplitude: float = 1.0,
        label_smoothing: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_normalization(normalize, amplitude)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'label_smoothing must lie in [0, 1), got {label_smoothing!r}')
        self.normalize = normalize
        self.amplitude = amplitude
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
    ) -> Tensor:
        """Computes the loss as the losses of mmpretrain do.

        Args:
            cls_score: Raw logits of shape (N, C).
            label: Classes of shape (N,), or probabilities of shape (N, C).
            weight: Weights of the images, of shape (N,).
            avg_factor: Divides the sum of the images' losses. Defaults to N.

        Returns:
            A scalar.
        """
        logits = normalize_logits(cls_score, self.normalize, self.amplitude)
        loss = F.cross_entropy(
            logits, label, reduction='none', label_smoothing=self.label_smoothing
        )
        if weight is not None:
            loss = loss * weight
        return self.loss_weight * loss.sum() / (len(logits) if avg_factor is None else avg_factor)

    def extra_repr(self) -> str:
        """Returns the settings, for ``print(loss)``."""
        return (
            f'normalize={self.normalize!r}, amplitude={self.amplitude:g}, '
            f'label_smoothing={self.label_smoothing:g}{_weight_text(self.loss_weight)}'
        )


def _weight_text(weight: float) -> str:
    return '' if weight == 1 else f', loss_weight={weight:g}'
