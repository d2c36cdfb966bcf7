"""The main network teaches real classifiers: soft labels, convolutional and transformer heads."""

import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from mmpretrain.structures import DataSample
from mmpretrain.utils import register_all_modules
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from mmst.core import DepthSpace, Subnet, kl_minus_loss, resize_batch
from mmst.engine.inputs import RandomSmallerInput

VIT = {
    'arch': {'embed_dims': 16, 'num_layers': 4, 'num_heads': 2, 'feedforward_channels': 32},
    'img_size': 64,
    'patch_size': 8,
}
HEADS = {
    'linear': (
        'mmpretrain::resnet/resnet18_8xb32_in1k.py',
        {'wraps': 'ResNet'},
        {'topk': (1,)},
        (1, 2, 1, 2),
    ),
    'transformer': (
        'mmpretrain::deit/deit-tiny_4xb256_in1k.py',
        {'wraps': 'VisionTransformer', **VIT},
        {'in_channels': 16, 'hidden_dim': 8},
        (2,),
    ),
}
AUGMENTS = {
    'mixup': [{'type': 'Mixup', 'alpha': 0.8}],
    'cutmix': [{'type': 'CutMix', 'alpha': 1.0}],
    'hard': None,
}
HOOK = {
    'type': 'mmst.StimulativeHook',
    'num_subnets': 2,
    'supervision': {
        'type': 'mmst.LogitSupervision',
        'loss': {'type': 'mmst.KLMinusLoss'},
        'ground_truth_weight': 0.5,
    },
    'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.5},
}


class Images(Dataset):
    """Random images of 64 x 64 pixels of five classes."""

    metainfo = {'classes': list('abcde')}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, 64, 64), generator=generator, dtype=torch.uint8)
        return {'inputs': image, 'data_samples': DataSample().set_gt_label(index)}


@pytest.fixture
def classifier_runner(mmdet_scope, make_runner):
    """A Runner of an mmpretrain classifier for one iteration of four images."""

    def make(head, augments, hook=HOOK):
        config, backbone, changes, _ = HEADS[head]
        model = get_config(config).model
        model.backbone.update(type='mmst.STBackbone', **backbone)
        model.head.update(num_classes=5, **changes)
        model.head.loss = {'type': 'CrossEntropyLoss', 'loss_weight': 1.0}
        if augments:
            model.head.loss.update(use_soft=True)
        preprocessor = {'mean': [127.0] * 3, 'std': [60.0] * 3, 'num_classes': 5}
        model.update(data_preprocessor=preprocessor, train_cfg={'augments': augments})
        torch.manual_seed(0)
        loader = {
            'dataset': Images(),
            'batch_size': 4,
            'num_workers': 0,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'collate_fn': {'type': 'default_collate'},
        }
        runner = make_runner(
            hook,
            model=model,
            max_iters=1,
            lr=0.0,
            train_dataloader=loader,
            default_scope='mmpretrain',
        )
        runner.model.init_weights()
        for parameter in runner.model.head.parameters():
            torch.nn.init.normal_(parameter)  # upstream starts heads of transformers with zeros
        return runner

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield make


@MMPRETRAIN_MODELS.register_module(force=True)
class SquaredDistance(nn.Module):
    """A loss in the registry of the config's library."""

    def forward(self, student, teacher):
        return (student - teacher).square().mean()


@MMPRETRAIN_MODELS.register_module(force=True)
class LearntDistance(SquaredDistance):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


def with_loss(name):
    return {**HOOK, 'supervision': {'type': 'mmst.LogitSupervision', 'loss': {'type': name}}}


def test_loss_is_looked_up_in_the_library_of_the_config(classifier_runner):
    runner = classifier_runner('linear', None, with_loss('SquaredDistance'))
    logits = []
    runner.model.head.register_forward_hook(lambda *call: logits.append(call[2].detach()))
    runner.train()
    teacher, *students = logits
    distances = [(student - teacher).square().mean().item() for student in students]
    assert runner.record.subnet[0]['loss'][0] == pytest.approx(sum(distances) / 2)


def test_loss_with_parameters_is_refused(classifier_runner):
    with pytest.raises(ValueError, match='must have no parameters to train, got LearntDistance'):
        classifier_runner('linear', None, with_loss('LearntDistance'))


@pytest.mark.parametrize('augment', AUGMENTS)
@pytest.mark.parametrize('head', HEADS)
def test_subnets_learn_from_the_logits_of_the_same_mixed_images(
    classifier_runner, monkeypatch, head, augment
):
    monkeypatch.setattr(DepthSpace, 'sample', lambda self, **draw: Subnet(HEADS[head][-1]))
    monkeypatch.setattr(RandomSmallerInput, 'sizes', lambda self, size_hw, draw: [(32, 32)])
    runner = classifier_runner(head, AUGMENTS[augment])
    images, logits, samples = [], [], []
    model = runner.model
    model.backbone.register_forward_pre_hook(lambda _, args: images.append(args[0]))
    monkeypatch.setattr('mmst.engine.stimulative_hook.count_depth_cost', lambda *args: None)
    model.head.register_forward_hook(lambda _, args, output: logits.append(output.detach()))
    loss = model.head.loss
    model.head.loss = lambda *args, **kw: (samples.append(args[1]), loss(*args, **kw))[1]
    runner.train()
    assert len(images) == len(logits) == len(samples) == 3
    assert torch.equal(images[1], resize_batch(images[0], (32, 32)))
    if augment == 'hard':
        labels = torch.arange(4)
    else:
        labels = torch.stack([sample.gt_score for sample in samples[0]])
        assert ((labels > 0).sum(1) == 2).any(), 'no image was mixed'
    teacher, students = logits[0], logits[1:]
    divergence = [kl_minus_loss(student, teacher) for student in students]
    truth = [F.cross_entropy(student, labels) for student in students]
    logged = {name: value for name, (value, _) in runner.record.subnet[0].items()}
    assert all(value > 0 for value in divergence)
    assert logged['loss_logits'] == pytest.approx(sum(divergence).item() / 2, rel=1e-5)
    assert logged['loss_ground_truth'] == pytest.approx(sum(truth).item() / 2, rel=1e-5)
    assert logged['loss'] == pytest.approx(
        (sum(divergence) + 0.5 * sum(truth)).item() / 2, rel=1e-5
    )
    main = F.cross_entropy(teacher, labels).item()
    assert runner.record.outputs[0]['loss'] == pytest.approx(main, rel=1e-5)
