"""Checkpoints of mmst open in plain OpenMMLab, with upstream's config and functions."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mmst.checkpoints import load_checkpoint
from mmst.config import set_data_root


def open_with_upstream(library, cfg, checkpoint):
    """The model as the library's own function for users opens it."""
    cfg, checkpoint = copy.deepcopy(cfg), str(checkpoint)
    if library == 'mmdet':
        from mmdet.apis import init_detector as open_model
    elif library == 'mmseg':
        from mmseg.apis import init_model as open_model
    elif library == 'mmpose':
        from mmpose.apis import init_model as open_model
    else:
        from mmpretrain import get_model as open_model
    return open_model(cfg, checkpoint, device='cpu')


STIMULATIVE = """
_base_ = './{plain}'
custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(
    type='mmst.STBackbone', wraps='{wraps}', choices=(1, 2, 2, 1), init_cfg=None,
    norm_eval=False, frozen_stages=-1))
default_hooks = dict(stimulative=dict(
    type='mmst.StimulativeHook', supervision=dict(type='mmst.GroundTruthSupervision')))
"""


def trained_model(config, checkpoint):
    """The stimulative model of a config, with the weights of a training."""
    cfg = Config.fromfile(config)
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        built = MODELS.build(cfg.model)
    built.load_state_dict(load_checkpoint(checkpoint)['state_dict'], strict=True)
    return built.eval()


def outputs(model, cfg):
    """Outputs of the network for the first test image, before anything is decoded."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.no_grad():
        dataset = DATASETS.build(copy.deepcopy(cfg.test_dataloader.dataset))
        data = model.data_preprocessor(pseudo_collate([dataset[0]]), training=False)
        return list(tensors(model(**data, mode='tensor')))


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)


@pytest.fixture
def saved(tiny, run_tool, tmp_path):
    """Upstream's config at tiny width, a checkpoint of stimulative training, and its model."""
    plain, data = tiny
    cfg = set_data_root(Config.fromfile(plain), data)
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    config = plain.with_name(f'st_{plain.name}')
    config.write_text(STIMULATIVE.format(plain=plain.name, wraps=cfg.model.backbone.type))
    work_dir = tmp_path / 'run'
    options = ('--max-iters', 1, '--no-validate', '--seed', 0, '--weights', 'none')
    run_tool('train', config, '--data-root', data, '--work-dir', work_dir, *options)
    checkpoint = work_dir / 'iter_1.pth'
    assert {'optimizer', 'message_hub'} < load_checkpoint(checkpoint).keys()
    return cfg, checkpoint, trained_model(config, checkpoint)


def test_a_checkpoint_opens_in_the_plain_library(saved, request):
    library = request.node.callspec.params['tiny']
    cfg, checkpoint, model = saved
    assert cfg.model.backbone.type in ('ResNet', 'ResNetV1c')
    opened = open_with_upstream(library, cfg, checkpoint)
    assert not hasattr(opened.backbone, 'depth_space')
    expected = load_checkpoint(checkpoint)['state_dict']
    opened.load_state_dict(expected, strict=True)  # no key is missing, none is unexpected
    opened = open_with_upstream(library, cfg, checkpoint)
    wanted, got = outputs(model, cfg), outputs(opened, cfg)
    assert wanted and all(value.abs().sum() > 0 for value in wanted)
    assert len(got) == len(wanted)
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))


PLAIN_MMDET = """
import pickle, sys, torch
from mmdet.apis import inference_detector, init_detector
config, checkpoint, published, image, results = sys.argv[1:]
try:
    init_detector(config, checkpoint, device='cpu')
except pickle.UnpicklingError:
    print('refused')
loaded = torch.load(checkpoint, weights_only=False)
torch.save({name: loaded[name] for name in ('meta', 'state_dict')}, published)
detector = init_detector(config, published, device='cpu')
found = inference_detector(detector, image).pred_instances
torch.save({'bboxes': found.bboxes, 'scores': found.scores}, results)
print('mmst' in sys.modules, detector.dataset_meta['classes'])
"""


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
def test_a_detector_opens_where_mmst_is_not_imported(saved, tmp_path):
    """And docs/checkpoints.md says what to do about a whole training checkpoint there."""
    from mmdet.apis import inference_detector

    cfg, checkpoint, model = saved
    config = tmp_path / 'plain.py'
    cfg.dump(config)
    assert 'mmst' not in config.read_text()
    image = next((tmp_path / 'data/val2017').glob('*.png'))
    results = tmp_path / 'results.pth'
    process = subprocess.run(
        [sys.executable, '-c', PLAIN_MMDET, config, checkpoint, tmp_path / 'published.pth', image]
        + [results],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != 'PYTHONPATH'},
    )
    assert process.returncode == 0, process.stderr
    dataset_meta = load_checkpoint(checkpoint)['meta']['dataset_meta']
    assert process.stdout.splitlines()[-1] == f'False {dataset_meta["classes"]}'
    assert 'refused' in process.stdout.splitlines()
    model.cfg, model.dataset_meta = cfg, dataset_meta
    wanted, got = inference_detector(model, str(image)).pred_instances, torch.load(results)
    assert len(wanted) > 0
    assert torch.equal(got['bboxes'], wanted.bboxes)
    assert torch.equal(got['scores'], wanted.scores)
