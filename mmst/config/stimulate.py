"""Any training made a stimulated one, without a config of one's own."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Mapping
from typing import Any, cast

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from torch import nn

from mmst.checkpoints.build import build_module
from mmst.core import DepthSpace
from mmst.engine import LogitSupervision, RandomSmallerInput, StimulativeHook
from mmst.engine.registry import HOOKS
from mmst.engine.run_checks import (
    check_image_sizes,
    check_inputs,
    check_subnets,
    learns_from_images,
)
from mmst.ground_truth.task import Task, library_task
from mmst.models.input_sizes import find_size_divisor
from mmst.models.st_backbone import PAD_SMALL_MAP, STBackbone, argument_names

from .classes import class_of
from .library import library_of
from .stimulative_hook import stimulative_hook
from .trained_backbone import is_wrapped, trained_backbone
from .training import import_mmst, remove_pretrained, wrap_backbone
from .traversal import datasets, short_name, transforms, type_name, unbuilt_type

__all__ = ['stimulate']

PARTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    'hook': (StimulativeHook, ()),
    'backbone': (STBackbone, ('wraps', 'depths', 'arguments')),
    'inputs': (RandomSmallerInput, ()),
    'supervision': (LogitSupervision, ()),
}
"""Whose arguments the options are, and those that are not."""

MIN_RATIO = 0.43
"""Of the inputs in the best setting of ST++."""


def stimulate(cfg: Config, **options: Any) -> Config:
    """Makes a config one of stimulative training, in place.

    The backbone is built by :func:`mmst.STBackbone` with ``choices='inter_stage'``, and a
    :class:`mmst.StimulativeHook` is added. Subnets learn from the ground truth, those of a
    classifier with one label per image from the main network's logits
    (:class:`mmst.LogitSupervision` with ``mmst.KLDivLoss``, which leaves the classifier's own loss
    as it is). Their inputs are smaller by :class:`mmst.RandomSmallerInput`. Where the backbone or
    the head takes inputs of one size only, which is found out by building them, the images shrink
    inside such an input (``canvas='keep'``); where the model reconstructs the images, they keep
    their size (``inputs=None``). One line in the log says what was chosen, and why.

    What a config has already stays: of one that is stimulated only what ``options`` name changes.
    A second call changes nothing.

    Args:
        cfg: Config with a model.
        **options: What differs from that: any argument of :class:`mmst.StimulativeHook`
            (``num_subnets``, ``weight``, ``interval``, ...), ``choices`` and ``rule`` of
            :func:`mmst.STBackbone`, arguments of :class:`mmst.RandomSmallerInput` (``min_ratio``,
            ...) and of :class:`mmst.LogitSupervision` (``loss``, ...). ``supervision`` may also be
            ``'ground_truth'`` or ``'logits'``.

    Returns:
        ``cfg``.

    Raises:
        TypeError: An option is unknown, or mmst does not know the stages of the backbone.
        ValueError: There is no backbone to train, or several; the model is trained on several
            batches at a time; or an option has a wrong value.
    """
    given = _by_part(options)
    node, where = trained_backbone(cfg)
    _check_batches(cfg)
    backbone, network = _stimulated(cfg, node, given['backbone'])
    task = library_task(library_of(cfg).scope)
    hook, reasons = stimulative_hook(cfg), []
    if hook is None:
        head = _built_head(cfg)
        inputs, reason = _choose_inputs(cfg, task, head, backbone, network)
        hook = ConfigDict(type='mmst.StimulativeHook', num_subnets=1, weight=1.0)
        hook['supervision'] = _supervision('logits' if task.makes_logits(head) else 'ground_truth')
        hook['inputs'] = inputs
        reasons = [reason] if reason else []
    hook = _changed(hook, given)
    _check_values(cfg, hook, network, reasons)
    node.clear()
    node.update(backbone)
    _put_hook(cfg, hook)
    import_mmst(cfg)
    if hook.get('inputs'):
        _pack_keypoints(cfg)
    _say(where, network, hook, reasons)
    return cfg


def _by_part(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Sorts options by what takes them.

    Raises:
        TypeError: Nothing takes one.
    """
    takes = {
        name: part
        for part, (kind, others) in PARTS.items()
        for name in inspect.signature(kind).parameters
        if name not in others
    }
    for name in options:
        if name not in takes:
            close = difflib.get_close_matches(name, takes, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'it takes {sorted(takes)}'
            raise TypeError(f'stimulate got an unknown option {name!r}; {hint}')
    return {
        part: {name: value for name, value in options.items() if takes[name] == part}
        for part in PARTS
    }


def _check_batches(cfg: Config) -> None:
    """Raises ValueError if the model is trained on several batches at a time."""
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    check_inputs(class_of(cfg, cfg.model), class_of(cfg, preprocessor))


def _stimulated(
    cfg: Config, node: ConfigDict, options: Mapping[str, Any]
) -> tuple[ConfigDict, nn.Module]:
    """Makes the config of the stimulated backbone, and builds it without weights of a file."""
    backbone = copy.deepcopy(node)
    if not is_wrapped(backbone):
        wrap_backbone(backbone)
        backbone['choices'] = 'inter_stage'
    backbone.update(options)
    return backbone, _built(cfg, backbone)


def _built(cfg: Config, backbone: ConfigDict) -> nn.Module:
    bare = copy.deepcopy(backbone)
    remove_pretrained(bare)
    return build_module(cfg, bare)


def _built_head(cfg: Config) -> nn.Module | None:
    """Builds the head of a pose estimator or classifier, whose class and codec matter."""
    head = cfg.model.get('head')
    if not isinstance(head, dict) or library_of(cfg).scope not in ('mmpose', 'mmpretrain'):
        return None
    return build_module(cfg, head)


def _choose_inputs(
    cfg: Config, task: Task, head: nn.Module | None, backbone: ConfigDict, network: nn.Module
) -> tuple[ConfigDict | None, str]:
    """Chooses the rule of smaller inputs, None if images keep their size; and says the reason."""
    model_type = class_of(cfg, cfg.model)
    reason = task.one_image_reason(head)
    if reason is None and learns_from_images(model_type):
        reason = f'for {model_type.__name__}, which reconstructs them'
    if reason is None and _has_levels_of_heatmaps(cfg):
        reason = 'for heatmaps of several levels'
    if reason is not None:
        return None, f'images keep their size {reason}'
    reason = task.one_size_reason(head)
    if reason is not None:
        return _smaller_inputs(canvas='keep'), f'inputs keep their size {reason}'
    are_padded = library_of(cfg).scope != 'mmpretrain'
    divisor, problem = find_size_divisor(network, are_padded)
    if divisor is None and PAD_SMALL_MAP in argument_names(type(network)):
        padding = copy.deepcopy(backbone)
        padding[PAD_SMALL_MAP] = True
        divisor, _ = find_size_divisor(_built(cfg, padding), are_padded)
        if divisor is not None:
            backbone[PAD_SMALL_MAP] = True
            return _smaller_inputs(divisor), f'{PAD_SMALL_MAP}=True for smaller inputs'
    if divisor is None:
        reason = f'inputs keep their size for {type(network).__name__}: {problem}'
        return _smaller_inputs(canvas='keep'), reason
    return _smaller_inputs(divisor), ''


def _has_levels_of_heatmaps(cfg: Config) -> bool:
    return any(node.get('multilevel') for node in transforms(_train_pipelines(cfg)))


def _train_pipelines(cfg: Config) -> list[Any]:
    """Pipelines of the training data, and those that a hook replaces them by."""
    pipelines = [node.get('pipeline') for node in datasets(cfg, ('train_dataloader',))]
    hooks = cfg.get('custom_hooks') or []
    return pipelines + [hook.get('switch_pipeline') for hook in hooks if isinstance(hook, dict)]


def _supervision(name: str) -> ConfigDict:
    if name == 'ground_truth':
        return ConfigDict(type='mmst.GroundTruthSupervision')
    if name == 'logits':
        return ConfigDict(type='mmst.LogitSupervision', loss=dict(type='mmst.KLDivLoss'))
    raise ValueError(
        f"supervision must be 'ground_truth', 'logits' or a config with a type, got {name!r}"
    )


def _smaller_inputs(divisor: int = 1, canvas: str = 'fit') -> ConfigDict:
    inputs = ConfigDict(type='mmst.RandomSmallerInput', min_ratio=MIN_RATIO)
    if divisor != 1:
        inputs['size_divisor'] = divisor
    if canvas != 'fit':
        inputs['canvas'] = canvas
    return inputs


def _changed(hook: ConfigDict, given: Mapping[str, Mapping[str, Any]]) -> ConfigDict:
    """Returns the settings of the hook with all options."""
    hook = copy.deepcopy(hook)
    hook.update(given['hook'])
    if isinstance(hook['supervision'], str):
        hook['supervision'] = _supervision(hook['supervision'])
    if given['supervision']:
        if short_name(unbuilt_type(hook['supervision'])) != 'LogitSupervision':
            hook['supervision'] = _supervision('logits')
        hook['supervision'].update(given['supervision'])
    if given['inputs']:
        if hook.get('inputs') is None:
            if 'inputs' in given['hook']:
                raise ValueError(
                    f'inputs must not be None with {", ".join(given["inputs"])}; leave one out'
                )
            hook['inputs'] = _smaller_inputs()
        hook['inputs'].update(given['inputs'])
    return hook


def _check_values(cfg: Config, hook: ConfigDict, network: nn.Module, reasons: list[str]) -> None:
    """Raises ValueError for what would be an error at the start of the run."""
    rule = HOOKS.build(copy.deepcopy(hook)).input_rule
    check_image_sizes(class_of(cfg, cfg.model), rule)
    try:
        check_subnets(cast(DepthSpace, network.depth_space), rule)
    except ValueError as error:
        raise ValueError('; '.join([str(error), *reasons])) from error


def _put_hook(cfg: Config, hook: ConfigDict) -> None:
    """Puts the hook where one is, or into the default hooks."""
    found = stimulative_hook(cfg)
    if found is not None:
        found.clear()
        found.update(hook)
    elif cfg.get('default_hooks'):
        cfg.default_hooks['stimulative'] = hook
    else:
        cfg.default_hooks = dict(stimulative=hook)


def _pack_keypoints(cfg: Config) -> None:
    """Makes mmpose pack keypoints in pixels of the input, from which heatmaps are made again."""
    for node in transforms(_train_pipelines(cfg)):
        if type_name(node) == 'PackPoseInputs':
            node['pack_transformed'] = True


def _say(where: str, network: nn.Module, hook: ConfigDict, reasons: list[str]) -> None:
    space = cast(DepthSpace, network.depth_space)
    inputs = hook.get('inputs')
    ratio = inputs and f'{short_name(unbuilt_type(inputs))} of {inputs.get("min_ratio", MIN_RATIO)}'
    if inputs and inputs.get('canvas') == 'keep':
        ratio = f'{ratio} in a canvas of the old size'
    chosen = [
        f'{where} is {type(network).__name__} of {space.full} blocks',
        f'choices {space.choices}',
        f'inputs {ratio or "of full size"}',
        f'supervision {short_name(unbuilt_type(hook["supervision"]))}',
        *reasons,
    ]
    print_log(f'stimulate: {"; ".join(chosen)}', logger='current')
