"""The checkpoint that ``tools/test.py`` evaluates and ``tools/export_subnet.py`` takes apart."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmst.checkpoints import (
    CONVERT_SCHEME,
    ConvertedCheckpoint,
    check_namesake,
    convert_source,
    load_checkpoint,
    read_source,
)

from .fit import build_backbone, check_kind, missing_tensors, read_by_mmengine
from .library import library_of
from .named_weights import NAMED_WEIGHTS, check_plain_resnet50
from .subnet_eval import inner_model
from .walk import type_name

__all__ = ['check_parameters', 'set_checkpoint']


def set_checkpoint(cfg: Config, checkpoint: str) -> Config:
    """Chooses the weights of the whole model, in place.

    Args:
        cfg: Config of any model.
        checkpoint: A file or URL with a checkpoint of that model. For a classifier also a name of
            :data:`~mmst.config.NAMED_WEIGHTS`, or a file with a linear layer that
            :func:`mmst.checkpoints.convert_checkpoint` converts, which is done in memory.

    Returns:
        ``cfg``.

    Raises:
        FileNotFoundError: The file of a name is missing.
        ValueError: The file has no weights of the model's backbone, or does not fit it.
    """
    cfg.load_from, cfg.resume = checkpoint, False
    backbone = (cfg.get('model') or {}).get('backbone')
    named = NAMED_WEIGHTS.get(checkpoint)
    if named is not None:
        _check_classifier(cfg, f'{checkpoint!r} names a classifier')
        check_plain_resnet50(backbone, checkpoint)
        cfg.load_from = named.source
        if not named.is_file:
            cfg.load_from = f'{CONVERT_SCHEME}{named.source}'
            return cfg
        if not Path(named.source).is_file():
            raise FileNotFoundError(
                f'CHECKPOINT {checkpoint!r} is the file {named.source!r}, which does not exist; '
                f'{named.remedy}'
            )
    file = cfg.load_from
    if backbone is None or not Path(file).is_file():
        return cfg
    direct = read_by_mmengine(file)
    if direct is None or not direct[1]:  # not a whole model of OpenMMLab
        _check_converted(cfg, file)
        cfg.load_from = f'{CONVERT_SCHEME}{file}'
    return cfg


def check_parameters(runner: Runner) -> None:
    """Checks that a local checkpoint has every parameter that the model trains.

    mmengine would only print what is missing, and leave it random. Frozen parameters may be
    missing: some models load theirs from elsewhere.

    Args:
        runner: A runner whose ``load_from`` is set, before it loads.

    Raises:
        ValueError: Parameters are missing, or have another shape.
    """
    file = runner.cfg.load_from
    if '://' in file:
        return
    content = load_checkpoint(file)
    state_dict = content.get('state_dict', content) if isinstance(content, dict) else {}
    found = {name.removeprefix('module.'): value for name, value in state_dict.items()}
    trained = {n: p for n, p in inner_model(runner).named_parameters() if p.requires_grad}
    missing = [
        name
        for name, parameter in trained.items()
        if getattr(found.get(name), 'shape', None) != parameter.shape
    ]
    if missing:
        raise ValueError(
            f'CHECKPOINT {file!r} must have the parameters of {type(inner_model(runner)).__name__}'
            f', got none, or one of another shape, for {len(missing)} of {len(trained)} (first: '
            f'{missing[0]}); give the config that it was trained with'
        )


def _check_classifier(cfg: Config, what: str) -> ConfigDict:
    head = (cfg.get('model') or {}).get('head')
    if library_of(cfg).scope != 'mmpretrain' or not head:
        raise ValueError(
            f"CHECKPOINT must be a checkpoint of the config's {type_name(cfg.model)}, and "
            f'{what}; train one that starts from it: tools/train.py CONFIG --weights ...'
        )
    return head


def _check_converted(cfg: Config, file: str) -> None:
    source = read_source(file)
    check_namesake(source)
    try:
        converted = convert_source(source, to='mmpretrain')
    except ValueError as error:
        raise ValueError(
            f"CHECKPOINT must be a checkpoint of the config's {type_name(cfg.model)} or a "
            f'classifier that can be converted, got {file!r} without weights of a backbone '
            f'(backbone.*); as a classifier: {error}'
        ) from None
    head = _check_classifier(cfg, f'{file!r} holds a {converted.architecture.name} classifier')
    backbone = build_backbone(cfg, cfg.model.backbone)
    check_kind(backbone, converted, 'CHECKPOINT', file)
    problems = missing_tensors(backbone, _backbone_of(converted))
    classes = len(converted.state_dict['head.fc.weight'])
    if head.get('num_classes') not in (None, classes):
        problems.append(f'it has {classes} classes, and the config {head.num_classes}')
    if problems:
        raise ValueError(
            f'CHECKPOINT {file!r} does not fit the model: it holds a {converted.architecture.name} '
            f'in the layout of {converted.layout}; {problems[0]}; give the config of that network'
        )


def _backbone_of(converted: ConvertedCheckpoint) -> dict:
    return {
        name.removeprefix('backbone.'): value
        for name, value in converted.state_dict.items()
        if name.startswith('backbone.')
    }
