"""What mmst trained opens in plain OpenMMLab, with upstream's config and upstream's functions."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mmst.checkpoints import load_checkpoint
from mmst.config import set_data_root

CHOICES = (1, 2, 2, 1)


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


def stimulative_model(cfg):
    """The model of a config with the entry of stimulative training, with statistics of its own."""
    model = copy.deepcopy(cfg.model)
    model.backbone.update(type='mmst.STBackbone', wraps=model.backbone.type, choices=CHOICES)
    model.backbone.init_cfg = None
    if 'pretrained' in model:
        model.pretrained = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        built = MODELS.build(model)
    for name, buffer in built.named_buffers():
        if name.endswith('running_var'):
            buffer.uniform_(0.1, 1.5)
    return built.eval()


def outputs(model, cfg):
    """What the network makes of the first test image, before anything is decoded."""
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
def saved(tiny, tmp_path):
    """Upstream's config at tiny width, a stimulative model of it, and its training checkpoint."""
    config, data = tiny
    cfg = set_data_root(Config.fromfile(config), data)
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    model = stimulative_model(cfg)
    hub = MessageHub('works-backwards')
    hub.update_scalar('train/loss', 1.0)
    meta = {'dataset_meta': {'classes': ('one', 'two')}, 'epoch': 1, 'iter': 2, 'seed': 0}
    state = {'meta': meta, 'state_dict': model.state_dict(), 'message_hub': hub.state_dict()}
    checkpoint = tmp_path / 'epoch_1.pth'
    torch.save(state, checkpoint)
    return cfg, checkpoint, model


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
    assert process.stdout.splitlines()[-1] == "False ('one', 'two')"
    assert 'refused' in process.stdout.splitlines()
    model.cfg, model.dataset_meta = cfg, {'classes': ('one', 'two')}
    wanted, got = inference_detector(model, str(image)).pred_instances, torch.load(results)
    assert len(wanted) > 0
    assert torch.equal(got['bboxes'], wanted.bboxes)
    assert torch.equal(got['scores'], wanted.scores)
