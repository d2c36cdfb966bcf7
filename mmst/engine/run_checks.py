"""Checks before a stimulated run starts."""

from __future__ import annotations

import typing
from collections.abc import Iterator

from mmengine.model import BaseAveragedModel, MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import ApexOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from mmst.core import DepthSpace, residual_stages
from mmst.core.norm import learning_norm_layers

from .inputs import RandomSmallerInput

__all__ = [
    'check_epochs',
    'check_image_sizes',
    'check_inputs',
    'check_model',
    'check_run',
    'check_step',
    'learns_from_images',
]

BRANCHED_PREPROCESSORS = ('MultiBranchDataPreprocessor', 'TwoNormDataPreprocessor')
"""Data preprocessors of mmdet and mmpretrain that make several batches of one."""

SELF_SUPERVISORS = ('BaseSelfSupervisor',)
"""Models of mmpretrain whose targets are the images: those of one view reconstruct them."""


def check_epochs(runner: Runner) -> None:
    """Raises ValueError unless the training loop counts epochs."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        raise ValueError(
            'by_epoch must be False in an iteration-based loop, got True with '
            f'{type(runner.train_loop).__name__}; give begin in iterations'
        )


def check_run(
    runner: Runner, space: DepthSpace, inputs: RandomSmallerInput | None, any_pass: bool
) -> None:
    """Checks that this run trains subnets, and that they differ from the main network.

    Args:
        runner: The run, before its first iteration.
        space: The space that subnets are drawn from.
        inputs: The rule of their input size.
        any_pass: Whether some iteration of the run trains subnets, by begin, interval and schedule.

    Raises:
        ValueError: Subnets could only repeat the main pass, or would never be trained.
    """
    check_subnets(space, inputs)
    if not any_pass:
        raise ValueError(
            'begin, interval and weight_schedule must leave an iteration in which subnets are '
            f'trained, got none in the {runner.max_iters} iterations of this run; begin earlier '
            'or shorten the interval'
        )


def check_subnets(space: DepthSpace, inputs: RandomSmallerInput | None) -> None:
    """Raises ValueError if subnets could only repeat the main pass."""
    repeats = space.size == 1 and space.rule != 'raw'
    if repeats and (inputs is None or not inputs.changes_images):
        raise ValueError(
            f'choices must leave a subnet besides the full network when inputs are not made '
            f'smaller, got choices={space.choices}: a subnet pass would only repeat the main pass. '
            "Enlarge choices or set inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43)"
        )


def check_model(model: nn.Module, backbone: nn.Module) -> None:
    """Checks that subnet passes can run through a model and leave the rest of it as it is.

    Args:
        model: The model, without distributed wrapper.
        backbone: Its stimulated backbone.

    Raises:
        ValueError: It is trained on several batches at a time, or averages or hides a part of
            itself, or a compiled part of it holds blocks that are skipped.
    """
    check_inputs(type(model), type(getattr(model, 'data_preprocessor', None)))
    name = type(model).__name__
    for path, module in model.named_modules():
        if isinstance(module, BaseAveragedModel):
            raise ValueError(
                f'model must not average weights in its forward, got {name} with the '
                f'{type(module).__name__} {path}: every subnet pass would update it once more. '
                'Train its backbone in a model without a momentum encoder'
            )
    model.train()  # as the loop does; hidden parts follow if the model lets them
    for owner, attribute, hidden in _hidden_modules(model):
        if any(layer.training for layer in learning_norm_layers(hidden)):
            raise ValueError(
                f'model must register the parts of it that have norm layers in training mode, got '
                f'{type(owner).__name__} with an unregistered {attribute}, whose statistics a '
                'subnet pass would change. Set eval_teacher=True, if it is the teacher of a '
                'distillation'
            )
    _check_compiled(model, backbone)


def check_inputs(model_type: type, preprocessor: type) -> None:
    """Raises ValueError if models are trained on several batches at a time: branches or views.

    Args:
        model_type: Class of the models.
        preprocessor: Class of their data preprocessors.
    """
    kinds = [
        kind.__name__ for kind in preprocessor.__mro__ if kind.__name__ in BRANCHED_PREPROCESSORS
    ]
    taken = kinds[0] if kinds else _container_of_batches(model_type)
    if taken:
        raise ValueError(
            f'model must be trained on one batch of images at a time, got {model_type.__name__}, '
            f'whose loss takes several ({taken}): semi-supervised, multi-view and multi-branch '
            'models cannot train subnets. Train the network alone with subnets, and start this '
            'model from its weights'
        )


def learns_from_images(model_type: type) -> bool:
    """Tells whether the targets of models of a class are the images themselves."""
    return any(kind.__name__ in SELF_SUPERVISORS for kind in model_type.__mro__)


def check_image_sizes(model_type: type, inputs: RandomSmallerInput | None) -> None:
    """Raises ValueError if subnets get images of another size where these are the targets.

    Position embeddings, decoders and masks are made for one size of the images, and a network that
    reconstructs the padding around smaller ones learns nothing from it.

    Args:
        model_type: Class of the models.
        inputs: The rule of the subnets' input size.
    """
    if learns_from_images(model_type) and inputs is not None and inputs.changes_size:
        raise ValueError(
            'inputs must leave images at their size (inputs=None, or min_ratio=1 and max_ratio=1) '
            f'for a model that reconstructs them, got {inputs} for {model_type.__name__}: its '
            'position embeddings, masks and decoder are made for one size'
        )


def _container_of_batches(model_type: type) -> str:
    """``'list'`` or ``'dict'`` if a model's loss says that it takes one instead of a tensor."""
    try:
        hints = typing.get_type_hints(getattr(model_type, 'loss', None))
    except (NameError, TypeError):  # no loss, or hints that do not resolve
        return ''
    first = next((hint for name, hint in hints.items() if name != 'return'), None)
    origin = typing.get_origin(first)
    return origin.__name__ if origin in (list, dict, tuple) else ''


def _hidden_modules(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yields modules that others have as plain attributes, so that ``modules()`` lacks them.

    They may also be in a list, tuple or dict there.
    """
    registered, of_torch = set(model.modules()), set(vars(nn.Module()))
    for owner in model.modules():
        for name, value in vars(owner).items():
            if name in of_torch:
                continue
            values = value.values() if isinstance(value, dict) else value
            for part in values if isinstance(value, (list, tuple, dict)) else [value]:
                if isinstance(part, nn.Module) and part not in registered:
                    yield owner, name, part


def _check_compiled(model: nn.Module, backbone: nn.Module) -> None:
    blocks = {block.module for stage in residual_stages(backbone) for block in stage}
    for path, module in model.named_modules():
        if _is_compiled(module) and blocks & (set(module.modules()) - {module}):
            raise ValueError(
                f'model must not be compiled around the blocks that are skipped, got '
                f'{path or type(model).__name__} compiled: it would be compiled again for every '
                'subnet and input size, until torch gives up. Compile single blocks, or remove it'
            )


def _is_compiled(module: nn.Module) -> bool:
    """Tells whether ``torch.compile`` or ``module.compile()`` makes a graph of a forward."""
    return (
        '_orig_mod' in dict(module.named_children())
        or getattr(module, '_compiled_call_impl', None) is not None
        or hasattr(vars(module).get('forward'), '_torchdynamo_orig_callable')
    )


def check_step(runner: Runner) -> None:
    """Checks that the training step is one whose gradients subnet passes can add to.

    Args:
        runner: The run, before its first iteration.

    Raises:
        TypeError: The kind of optimiser wrapper or model wrapper is not supported.
        ValueError: The step is compiled, or the distributed wrapper records its graph once.
    """
    if runner.cfg.get('compile'):
        raise ValueError(
            f'compile must be off in a stimulated run, got {runner.cfg.compile!r}: every subnet '
            'and every input size would be compiled again, far slower than without; remove it'
        )
    wrapper = runner.optim_wrapper
    shares_scale = isinstance(wrapper, OptimWrapper)
    if not shares_scale or isinstance(wrapper, (OptimWrapperDict, ApexOptimWrapper)):
        raise TypeError(
            'optim_wrapper must be a single OptimWrapper or AmpOptimWrapper, got '
            f'{type(wrapper).__name__}, whose loss scale a subnet pass cannot share'
        )
    if not is_model_wrapper(runner.model):
        return
    if not isinstance(runner.model, MMDistributedDataParallel):
        raise TypeError(
            'model_wrapper_cfg must be MMDistributedDataParallel (the default), got '
            f'{type(runner.model).__name__}: its gradients cannot be accumulated by subnet passes'
        )
    if runner.model.static_graph:
        raise ValueError(
            'model_wrapper_cfg.static_graph must be False, got True: the number of times a '
            'parameter is used differs between iterations; remove it'
        )
