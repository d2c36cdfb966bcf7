"""The pictures show the very batches that a training with the same seed gives its networks."""

import re

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from mmst.browse import batches
from mmst.browse.batches import browse, prepare_browse, training_batches, view_batch
from mmst.engine import HOOKS
from mmst.engine.subnet_pass import SubnetTrainer

SIZES = [(64, 96), (72, 64)]


class RandomImages(Dataset):
    """Six images of two sizes, whose pixels are drawn whenever they are loaded."""

    metainfo = {'classes': list('abcde'), 'palette': [(255, 0, 0)] * 5}

    def __len__(self):
        return 6

    def __getitem__(self, index):
        height, width = SIZES[index % 2]
        sample = DetDataSample(metainfo={'img_shape': (height, width), 'img_id': index})
        boxes = torch.tensor([[5.0, 6.0, 40.0, 44.0], [20.0, 10.0, 60.0, 60.0]])
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([0, 3]))
        image = np.random.randint(0, 256, (3, height, width), dtype=np.uint8)
        return {'inputs': torch.from_numpy(image), 'data_samples': sample}


@pytest.fixture
def make_random_runner(make_runner):
    """Builds a Runner as ``tools/train.py`` does, on random images."""

    def make(num_workers=0, **settings):
        loader = {
            'dataset': RandomImages(),
            'batch_size': 2,
            'num_workers': num_workers,
            'sampler': {'type': 'DefaultSampler', 'shuffle': True},
            'collate_fn': {'type': 'pseudo_collate'},
        }
        random_state = [{'type': 'mmst.RandomStateHook'}]
        return make_runner(train_dataloader=loader, custom_hooks=random_state, **settings)

    return make


def contents(batch):
    """Returns what a network reads of a batch."""
    boxes = [sample.gt_instances.bboxes.clone() for sample in batch.data_samples]
    sizes = [tuple(sample.img_shape) for sample in batch.data_samples]
    return batch.inputs.clone(), boxes, sizes


@pytest.fixture
def trained(monkeypatch):
    """Subnet and contents of its batch, of each subnet pass of a training."""
    passes, run = [], SubnetTrainer.run

    def spy(trainer, subnet_pass, batch, *args):
        passes.append((subnet_pass.subnet, contents(batch)))
        run(trainer, subnet_pass, batch, *args)

    monkeypatch.setattr(SubnetTrainer, 'run', spy)
    return passes


@pytest.mark.parametrize(
    ('changes', 'length'),
    [
        ({'num_subnets': 2}, {'max_iters': 3}),
        ({'batch_fraction': 0.5, 'seed': 3}, {'max_iters': 3}),
        ({'inputs': None}, {'max_iters': 3}),
        ({}, {'max_iters': 2, 'num_workers': 1}),
        ({}, {'epochs': 1}),
    ],
)
def test_subnets_see_what_they_see_in_training(
    make_random_runner, hook_config, trained, changes, length
):
    settings = hook_config(**changes)
    make_random_runner(hook=settings, **length).train()
    runner = make_random_runner(hook=None, **length)
    hook = HOOKS.build(settings)
    # In an epoch, without workers, losses draw from the state that the data are drawn from.
    count = length.get('max_iters', 1)
    seed = hook.seed or 7
    shown = []
    for step, data in enumerate(training_batches(runner, count)):
        views = view_batch(runner.model, *data, hook, seed, step)
        assert views.step == step
        shown += [(subnet, contents(batch)) for subnet, batch in views.subnets]
    assert len(shown) == count * hook.num_subnets
    for (subnet, own), (other_subnet, other) in zip(shown, trained, strict=False):
        assert subnet == other_subnet
        assert torch.equal(own[0], other[0])
        assert all(map(torch.equal, own[1], other[1])) and len(own[1]) == len(other[1]) > 0
        assert own[2] == other[2]
    sizes = {size_hw for _, (_, _, sizes) in shown for size_hw in sizes}
    assert sizes <= set(SIZES) if hook.inputs is None else sizes - set(SIZES)


def test_the_main_networks_batch_is_the_preprocessors(make_random_runner, hook_config):
    runner = make_random_runner(hook=None)
    hook = HOOKS.build(hook_config())
    ((inputs, samples),) = training_batches(runner, 1)
    views = view_batch(runner.model, inputs, samples, hook, 7, 0)
    assert torch.equal(views.main.inputs, inputs)
    assert list(views.main.sizes_hw) == [tuple(sample.img_shape) for sample in samples]
    assert views.main.data_samples[0] is not samples[0]
    ((_, small),) = views.subnets
    ratio = min(small.image_hw) / min(views.main.image_hw)
    assert small.inputs.shape[-1] < inputs.shape[-1]
    for size_hw, main_hw in zip(small.sizes_hw, views.main.sizes_hw, strict=True):
        assert size_hw == pytest.approx([side * ratio for side in main_hw], abs=1.0)


@pytest.fixture
def sheets(monkeypatch):
    """Columns, enlargement and picture of every sheet that is made."""
    made, compose = [], batches.compose_sheet

    def spy(columns, zoom):
        made.append((columns, zoom, compose(columns, zoom)))
        return made[-1][-1]

    monkeypatch.setattr(batches, 'compose_sheet', spy)
    return made


def test_each_image_has_a_sheet(make_random_runner, hook_config, sheets, tmp_path):
    runner = make_random_runner(hook=None)
    hook = HOOKS.build(hook_config(num_subnets=2, batch_fraction=0.5))
    files = browse(runner, hook, 2, tmp_path / 'out')
    names = [f'batch00{b}_image0{i}.jpg' for b in (0, 1) for i in (0, 1)]
    assert [file.name for file in files] == names
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == names
    absent = 0
    for file, (columns, zoom, sheet) in zip(files, sheets, strict=True):
        picture = cv2.imread(str(file))[..., ::-1].astype(int)
        assert picture.shape == sheet.shape and abs(picture - sheet).mean() < 8  # JPEG
        main, *subnets = columns
        assert zoom == {64: 4, 96: 2}[min(main.pictures['instances'].shape[:2])]
        assert main.title[0] == f'iteration {int(file.name[5:8])}, main network'
        assert main.title[1] == 'depths 2-2-2-2' and main.title[4] == 'ratio 1.000'
        assert main.pictures['instances'].shape[0] * zoom < picture.shape[0]
        for index, column in enumerate(subnets):
            assert column.title[0] == f'{main.title[0][:11]}, subnet {index}'
            if not column.pictures:
                absent += 1
                assert column.title[2:] == ['not among its images']
                continue
            height, width = column.pictures['instances'].shape[:2]
            assert column.title[3] == f'input {height} x {width}'
            sides = [int(side) for side in re.findall(r'\d+', column.title[2])]
            assert sides[0] <= height and sides[1] <= width
            main_sides = [int(side) for side in re.findall(r'\d+', main.title[2])]
            ratio = float(column.title[4].removeprefix('ratio '))
            assert sides == pytest.approx([side * ratio for side in main_sides], abs=1)
    assert absent == 4  # each subnet sees one image of two


def test_colours_are_the_same_for_all_networks(
    make_random_runner, hook_config, monkeypatch, tmp_path
):
    drawn = []

    def draw(picture, sample):
        drawn.append(np.random.rand())
        return {'x': picture}

    monkeypatch.setattr(batches, 'truth_drawer', lambda *_: draw)
    hook = HOOKS.build(hook_config())
    runner = make_random_runner(hook=None)
    np.random.seed(0)
    browse(runner, hook, 1, tmp_path)
    assert len(drawn) == 4 and len(set(drawn)) == 1


def test_without_a_visualizer_the_images_are_drawn_and_it_is_said_once(
    make_random_runner, hook_config, sheets, monkeypatch, tmp_path
):
    monkeypatch.setattr(batches, 'truth_drawer', lambda *_: None)
    runner = make_random_runner(hook=None)
    warnings = []
    monkeypatch.setattr(runner.logger, 'warning', warnings.append)
    browse(runner, HOOKS.build(hook_config()), 2, tmp_path)
    assert [list(column.pictures) for columns, *_ in sheets for column in columns] == [
        ['input']
    ] * 8
    said = [line for line in warnings if 'DetDataSample' in line]
    assert len(said) == 1 and 'only the images are drawn' in said[0]


def test_nothing_to_draw_is_an_error(make_random_runner, hook_config, tmp_path, monkeypatch):
    hook = HOOKS.build(hook_config())
    with pytest.raises(ValueError, match='num_batches must be at least 1, got 0'):
        browse(make_random_runner(hook=None), hook, 0, tmp_path)
    monkeypatch.setattr(batches, 'training_batches', lambda *_: iter(()))
    with pytest.raises(ValueError, match='train_dataloader must yield at least one batch'):
        browse(make_random_runner(hook=None), hook, 1, tmp_path)


def test_a_model_without_stimulated_backbone_is_an_error(
    make_random_runner, detector_config, hook_config, tmp_path
):
    model = detector_config()
    model.backbone.type = model.backbone.pop('wraps')
    runner = make_random_runner(hook=None, model=model)
    with pytest.raises(ValueError, match=r'backbone built by mmst\.STBackbone, got none'):
        browse(runner, HOOKS.build(hook_config()), 1, tmp_path)


def make_config(hook_config, **changes):
    return Config(
        {
            'model': {'backbone': {'init_cfg': {'type': 'Pretrained', 'checkpoint': 'x.pth'}}},
            'train_dataloader': {'num_workers': 2},
            'train_cfg': {'max_epochs': 2},
            'optim_wrapper': {'optimizer': {'type': 'SGD'}},
            'visualizer': {'type': 'Visualizer', 'vis_backends': [{'type': 'WandbVisBackend'}]},
            'default_hooks': {'stimulative': hook_config(num_subnets=3)},
            'custom_hooks': [{'type': 'EMAHook'}],
            **changes,
        }
    )


def test_config_keeps_data_and_loses_what_surrounds_them(hook_config):
    cfg = make_config(hook_config)
    hook = prepare_browse(cfg)
    assert hook.num_subnets == 3
    assert cfg.model.backbone.init_cfg is None
    assert cfg.visualizer is None and cfg.custom_hooks == []
    assert 'stimulative' not in cfg.default_hooks
    assert cfg.train_dataloader.worker_init_fn == {'type': 'mmst.seed_worker'}
    assert cfg.train_cfg == {'max_epochs': 2}


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'default_hooks': {}}, ValueError, r'one mmst\.StimulativeHook, got 0'),
        ({'train_dataloader': None}, ValueError, 'got none of train_dataloader'),
        ({'num_subnets': 0}, ValueError, 'num_subnets must be an integer of at least 1, got 0'),
        ({'colour': 'red'}, TypeError, 'unexpected keyword argument .colour'),
    ],
)
def test_what_cannot_be_browsed_is_refused(hook_config, changes, error, message):
    cfg = make_config(hook_config)
    for name, value in changes.items():
        setattr(cfg if name in cfg else cfg.default_hooks.stimulative, name, value)
    with pytest.raises(error, match=message):
        prepare_browse(cfg)
