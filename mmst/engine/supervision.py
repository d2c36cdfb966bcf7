"""What a subnet learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from .registry import SUPERVISIONS

__all__ = ['GroundTruthSupervision']


@SUPERVISIONS.register_module()
class GroundTruthSupervision:
    """The task's own loss on the ground truth that belongs to the subnet's input.

    This is ST*, the fine-tuning of every downstream task (ST++ section 4.2.2).
    """

    def losses(
        self, model: BaseModel, inputs: Tensor, data_samples: Sequence[BaseDataElement]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Computes the loss of the subnet that is active in ``model``.

        Args:
            model: The model whose backbone runs as the subnet.
            inputs: Preprocessed images of shape (B, C, H, W).
            data_samples: B samples with the ground truth at that size.

        Returns:
            The sum to be minimised, a scalar with graph, and all values to be logged, ``'loss'``
            among them.
        """
        # Not model(...): that would run the forward hooks, and this method is called by one.
        return model.parse_losses(model.forward(inputs, data_samples, mode='loss'))

    def __repr__(self) -> str:
        return 'ground truth'
