"""Export of a network as an ONNX file, compared with onnxruntime."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmst.checkpoints.write import write_whole
from mmst.config.library import library_of
from mmst.engine.model_parts import find_backbone

__all__ = ['check_onnx_installed', 'exported_part', 'write_onnx']

PACKAGES = ('onnx', 'onnxruntime', 'onnxscript')
TOLERANCE = 1e-3
"""Largest difference to torch's outputs, in relation to the largest absolute value of each."""


class _Classifier(nn.Module):
    """Images to scores before softmax."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.model(inputs, mode='tensor')))


class _Features(nn.Module):
    """Images to the feature maps of backbone and neck."""

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.model.extract_feat(inputs)))


class _Backbone(nn.Module):
    """Images to the feature maps of the backbone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone = find_backbone(model)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.backbone(inputs)))


def check_onnx_installed() -> None:
    """Raises ImportError unless the packages that write ONNX files are installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f'--onnx needs {", ".join(missing)}, which is not installed: '
            f'pip install {" ".join(missing)}'
        )


def exported_part(model: nn.Module, cfg: Config) -> tuple[nn.Module, str]:
    """Returns the exported part of a model, and its name.

    A classifier is exported whole. What detectors, segmenters and pose estimators do after
    backbone and neck depends on the data, or is decoded outside the network.
    """
    if library_of(cfg).scope == 'mmpretrain' and hasattr(model, 'head'):
        return _Classifier(model).eval(), 'classifier'
    if hasattr(model, 'extract_feat'):
        neck = ' and neck' if getattr(model, 'with_neck', False) else ''
        return _Features(model).eval(), f'backbone{neck}'
    return _Backbone(model).eval(), 'backbone'


def write_onnx(part: nn.Module, inputs: Tensor, file: Path) -> float:
    """Writes a network as ONNX, for inputs of one shape, and compares its outputs.

    Args:
        part: Network in evaluation mode on the CPU, see :func:`exported_part`.
        inputs: Image to compare on, float32 of shape (1, 3, H, W), preprocessed.
        file: File to write; it is not written where outputs differ.

    Returns:
        The largest absolute difference to torch's outputs.

    Raises:
        ImportError: A package is missing.
        RuntimeError: Outputs differ by more than :data:`TOLERANCE`.
    """
    check_onnx_installed()
    with torch.no_grad():
        expected = part(inputs)
    differences: list[float] = []

    def write(partial: Path) -> None:
        torch.onnx.export(
            part,
            (inputs,),
            partial,
            input_names=['inputs'],
            output_names=[f'output{number}' for number in range(len(expected))],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        differences.extend(_compare(partial, inputs, expected))

    write_whole(file, write)
    return max(differences)


def _compare(file: Path, inputs: Tensor, expected: tuple[Tensor, ...]) -> Iterator[float]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    outputs = session.run(None, {'inputs': inputs.numpy()})
    for number, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
        difference = (torch.from_numpy(output) - wanted).abs().max().item()
        allowed = TOLERANCE * wanted.abs().max().item()
        if not difference <= allowed:
            raise RuntimeError(
                f'outputs of onnxruntime must differ from those of torch by at most {TOLERANCE} of '
                f'the largest value, got {difference:.3g} in output {number}, where {allowed:.3g} '
                'is allowed; leave --onnx out, or try another version of torch and onnxscript'
            )
        yield difference


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for part in value:
            yield from _tensors(part)
