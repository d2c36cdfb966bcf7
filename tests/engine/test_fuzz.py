"""Whole subnet passes on odd images, ground truth and settings, searched for counterexamples."""

import copy
import importlib
import random
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from fuzzing import examples, own_error
from hypothesis import assume, event, given
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import nn
from torch.utils.data import Dataset

from mmst.core import DepthSpace, Draw, resize_batch, sample_images, scale_size, weight_factor
from mmst.core.resize import stack_size
from mmst.core.schedule import WEIGHT_SCHEDULES
from mmst.core.skip import Skip
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.subnet_pass import SubnetPass, SubnetTrainer
from mmst.engine.supervision import GroundTruthSupervision

pytest.importorskip('mmdet', reason='the batches are detections')
DetDataPreprocessor = importlib.import_module('mmdet.models').DetDataPreprocessor
DetDataSample = importlib.import_module('mmdet.structures').DetDataSample
boxes_of_mmdet = importlib.import_module('mmdet.structures.bbox')
pytestmark = pytest.mark.usefixtures('mmdet_scope')

SEED = 7  # of make_runner
WHOLE_BLOCKS = ('ordered', 'stochastic')  # ResNets have no raw subnets


# Images and their ground truth

sides = st.integers(1, 12) | st.integers(20, 80)
sizes = st.tuples(sides, sides) | st.sampled_from([(1, 150), (150, 2), (33, 97), (64, 64)])
common = st.integers(24, 80)
mostly_common = st.sampled_from([st.tuples(common, common)] * 4 + [sizes]).flatmap(lambda one: one)
tenths = st.integers(0, 10).map(lambda tenth: tenth / 10)


@st.composite
def boxes(draw, size_hw, degenerate):
    """Corners: anywhere, at the border or beyond it, of up to the image's size or next to none."""
    height, width = size_hw
    extent = st.sampled_from([0.3, 0.999, 1, 1.5, 2.3] + [0, -1] * degenerate)
    x, y = draw(tenths) * width, draw(tenths) * height
    w = draw(extent | tenths.map(lambda tenth: (tenth + 0.1) * width))
    h = draw(extent | tenths.map(lambda tenth: (tenth + 0.1) * height))
    dx, dy = draw(st.sampled_from([(0, 0), (-x, -y), (width - x - w, height - y - h), (-x - 1, 0)]))
    return [x + dx, y + dy, x + dx + w, y + dy + h]


@dataclass(frozen=True)
class Image:
    """A training image, short enough to be read in a counterexample."""

    size_hw: tuple[int, int]
    boxes: list[list[float]]
    ignored_boxes: list[list[float]] | None
    has_scale_factor: bool

    def pack(self, index):
        """One sample as mmdet's pipeline packs it."""
        pixels = np.random.default_rng(index).integers(0, 256, (3, *self.size_hw), dtype=np.uint8)
        sample = DetDataSample(metainfo={'img_shape': self.size_hw, 'img_id': index})
        if self.has_scale_factor:
            sample.set_metainfo({'scale_factor': (0.5, 2.0)})
        sample.gt_instances = instances(self.boxes)
        if self.ignored_boxes is not None:
            sample.ignored_instances = instances(self.ignored_boxes)
        return {'inputs': torch.from_numpy(pixels), 'data_samples': sample}


def instances(corners):
    bboxes = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
    return InstanceData(bboxes=bboxes, labels=torch.arange(len(corners)))


@st.composite
def images(draw, degenerate=True, allowed_sizes=sizes):
    size_hw = draw(allowed_sizes)
    some_boxes = st.lists(boxes(size_hw, degenerate), max_size=4)
    return Image(size_hw, draw(some_boxes), draw(st.none() | some_boxes), draw(st.booleans()))


def pack(images):
    return [image.pack(index) for index, image in enumerate(images)]


def preprocessor(divisor, pad_value=0, **options):
    return DetDataPreprocessor(
        mean=[127.0] * 3, std=[60.0] * 3, pad_size_divisor=divisor, pad_value=pad_value, **options
    )


def assert_same_ground_truth(samples, others):
    for sample, other in zip(samples, others, strict=True):
        assert sample.metainfo == other.metainfo
        assert sorted(sample.keys()) == sorted(other.keys())
        for name in sample.keys():  # noqa: SIM118 - not a dict
            for field in ('bboxes', 'labels'):
                ours, theirs = sample.get(name)[field], other.get(name)[field]
                assert torch.equal(
                    boxes_of_mmdet.get_box_tensor(ours), boxes_of_mmdet.get_box_tensor(theirs)
                ), (name, field)


def assert_boxes_follow(instances, main, from_hw, to_hw, keep_one):
    """Boxes are scaled, in their order; those of less than one pixel are gone, or all but one."""
    factor = torch.tensor([to_hw[1] / from_hw[1], to_hw[0] / from_hw[0]] * 2)
    scaled = boxes_of_mmdet.get_box_tensor(main.bboxes) * factor
    extent = (scaled[:, 2:] - scaled[:, :2]).amin(dim=-1)
    kept = dict(
        zip(instances.labels.tolist(), boxes_of_mmdet.get_box_tensor(instances.bboxes), strict=True)
    )
    assert list(kept) == sorted(kept)
    frame = torch.tensor([to_hw[1], to_hw[0]] * 2) + 1e-3
    lone = extent.argmax().item() if keep_one and len(extent) and extent.max() < 1 else None
    for label, box, side in zip(main.labels.tolist(), scaled, extent, strict=True):
        if lone is not None and extent.max() < 1 - 1e-4:
            assert (label in kept) == (label == lone)
        elif abs(side - 1) > 1e-4:
            assert (label in kept) == (side > 1)
        if label in kept:
            torch.testing.assert_close(kept[label], box)
            if (boxes_of_mmdet.get_box_tensor(main.bboxes)[label] >= 0).all() and (
                box <= frame
            ).all():
                assert (kept[label] >= 0).all() and (kept[label] <= frame).all()


def assert_fits(model, inputs, samples, main_inputs, main_samples, image_hw):
    """A subnet's batch is the main network's at another size (None: the same), image by image."""
    preprocessor = model.data_preprocessor
    main_hw = stack_size([sample.img_shape for sample in main_samples])
    if image_hw in (None, main_hw):
        assert torch.equal(inputs, main_inputs)
        assert_same_ground_truth(samples, main_samples)
        return
    ratio = min(image_hw) / min(main_hw)
    padded_hw = tuple(inputs.shape[-2:])
    assert stack_size([sample.img_shape for sample in samples]) == image_hw
    divisor = preprocessor.pad_size_divisor

    def padded(size_hw):
        """The next sides with the main input's remainder by the divisor or a power of two."""
        result = []
        for main, side in zip(main_inputs.shape[-2:], size_hw, strict=True):
            powers = [power for power in (1, 2, 4, 8, 16, 32) if main % power <= 1]
            step = divisor if divisor > 1 else powers[-1]
            result.append(next(s for s in range(side, side + step) if s % step == main % step))
        return tuple(result)

    assert padded_hw == padded(image_hw)
    for image, sample, main_image, main in zip(
        inputs, samples, main_inputs, main_samples, strict=True
    ):
        from_hw, to_hw = main.img_shape, sample.img_shape
        assert to_hw == scale_size(from_hw, ratio)
        assert all(1 <= new <= old for new, old in zip(to_hw, from_hw, strict=True))
        assert sample.pad_shape == padded(to_hw)
        assert sample.batch_input_shape == padded_hw
        (height, width), (new_height, new_width) = from_hw, to_hw
        alone = resize_batch(main_image[None, :, :height, :width], to_hw)[0]
        torch.testing.assert_close(image[:, :new_height, :new_width], alone)
        assert (image[:, new_height:] == preprocessor.pad_value).all()
        assert (image[:, :, new_width:] == preprocessor.pad_value).all()
        assert sample.img_id == main.img_id
        if 'scale_factor' in main:
            expected = [0.5 * new_width / width, 2.0 * new_height / height]
            assert sample.scale_factor == pytest.approx(expected)
        for name in main.keys():  # noqa: SIM118 - not a dict
            keep_one = name == 'gt_instances'
            assert_boxes_follow(sample.get(name), main.get(name), from_hw, to_hw, keep_one)


class Preprocessing(nn.Module):
    """Just what the resize needs of a model."""

    def __init__(self, **options):
        super().__init__()
        self.data_preprocessor = preprocessor(**options)


rules = st.builds(
    RandomSmallerInput,
    st.sampled_from([0.05, 0.43, 0.5, 0.9, 1]),
    st.sampled_from([1, 1, 1, 2, 16]),
)


@examples(150)
@given(
    st.lists(images(), min_size=1, max_size=4),
    st.sampled_from([1, 7, 32]),
    st.sampled_from([0, 114.5]),
    st.booleans(),
    rules,
    st.sampled_from([1, 0.5, 0.1]),
    st.integers(0, 10**6),
)
def test_batch_of_a_subnet_is_the_main_batch_at_another_size(
    images, divisor, pad_value, as_tensor, rule, fraction, step
):
    raw = pack(images)
    model = Preprocessing(divisor=divisor, pad_value=pad_value, boxtype2tensor=as_tensor)
    if not as_tensor:
        for ground_truth in (one['data_samples'].gt_instances for one in raw):
            ground_truth.bboxes = boxes_of_mmdet.HorizontalBoxes(ground_truth.bboxes)
    data = model.data_preprocessor(pseudo_collate(raw), training=True)
    inputs, samples = data['inputs'].clone(), copy.deepcopy(data['data_samples'])
    places = sample_images(len(raw), fraction, seed=0, step=step)
    chosen = [samples[place] for place in places]

    def list_sizes(size_hw):
        assert size_hw == stack_size([sample.img_shape for sample in chosen])
        return rule.sizes(size_hw, Draw(0, step))

    try:
        batch = subnet_batch(model, **data, list_sizes=list_sizes, images=places)
        new_hw = batch.image_hw
    except ValueError as error:
        assert own_error(error)
        event('refused')
        batch = subnet_batch(model, **data, list_sizes=None, images=places)
        new_hw = None
    assert_fits(model, batch.inputs, batch.data_samples, inputs[list(places)], chosen, new_hw)
    for sample in batch.data_samples:  # as some heads do
        boxes_of_mmdet.get_box_tensor(sample.gt_instances.bboxes).mul_(0)
        sample.gt_instances.labels.add_(1)
    assert torch.equal(data['inputs'], inputs)
    assert_same_ground_truth(data['data_samples'], samples)


# Whole runs


@MODELS.register_module(force=True)
class CarelessNet(BaseModel):
    """Uses all random states, spoils its ground truth and keeps what it was given.

    The gradient of ``probe`` is the weight of a pass.
    """

    def __init__(self, divisor, **backbone):
        super().__init__(preprocessor(divisor))
        self.backbone = MODELS.build(
            {'type': 'mmst.STBackbone', 'wraps': 'mmdet.ResNet', 'init_cfg': None, **backbone}
        )
        width = 4 * 2 ** (backbone['num_stages'] - 1)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(width, 4))
        self.probe = nn.Parameter(torch.zeros(()))
        self.weights, self.passes = [], []
        self.probe.register_hook(lambda gradient: self.weights.append(gradient.item()))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        outputs = self.head(self.backbone(inputs)[-1].mean((2, 3)))
        if mode != 'loss':
            return outputs
        kept = tuple(
            tuple(i for i, block in enumerate(stage) if not isinstance(block, Skip))
            for stage in (getattr(self.backbone, name) for name in self.backbone.res_layers)
        )
        self.passes.append((kept, inputs.clone(), copy.deepcopy(data_samples)))
        loss = outputs.square().mean() * (1 + random.random() + np.random.rand())
        for sample, output in zip(data_samples, outputs, strict=True):
            bboxes = sample.gt_instances.bboxes
            loss = loss + (bboxes / max(sample.img_shape) - output).abs().sum()
            bboxes.mul_(0)
            sample.gt_instances.labels.add_(1)
        return {'loss': loss + self.probe}


class Items(Dataset):
    metainfo = {'classes': list('abcde')}

    def __init__(self, raw):
        self.raw = raw

    def __len__(self):
        return len(self.raw)

    def __getitem__(self, index):
        return copy.deepcopy(self.raw[index])


@st.composite
def backbones(draw):
    """ResNets four channels wide: any number of stages, of blocks, of frozen stages."""
    stages = draw(st.sampled_from([4, 4, 3, 2, 1]))
    depth, full = draw(st.sampled_from([(18, (2, 2, 2, 2)), (34, (3, 4, 6, 3))]))
    depths = [draw(st.integers(1, blocks)) for blocks in full[:stages]]
    depths = draw(st.sampled_from([full[:stages], depths]))
    choices = [draw(st.integers(1, blocks)) for blocks in depths]
    return {
        'depth': depth,
        'num_stages': stages,
        'strides': (1, 2, 2, 2)[:stages],
        'dilations': (1, 1, 1, 1)[:stages],
        'out_indices': (stages - 1,),
        'base_channels': 4,
        'stem_channels': 4,
        'zero_init_residual': False,
        'depths': depths,
        'choices': draw(st.sampled_from([None, None, choices])),
        'rule': draw(st.sampled_from(WHOLE_BLOCKS)),
        'frozen_stages': draw(st.integers(-1, stages)),
        'norm_eval': draw(st.sampled_from([False, False, True])),
        'norm_cfg': draw(st.sampled_from([{'type': 'BN'}] * 2 + [{'type': 'GN', 'num_groups': 2}])),
        'with_cp': draw(st.booleans()),
    }


rule_configs = st.fixed_dictionaries(
    {
        'type': st.just('mmst.RandomSmallerInput'),
        'min_ratio': st.sampled_from([0.43, 0.5, 0.9, 0.1, 1]),
        'size_divisor': st.sampled_from([1, 1, 1, 2, 16]),
    }
)


@st.composite
def schedules(draw):
    """Settings of the hook and of the loop, most of which fit together."""
    in_epochs = draw(st.booleans())
    hook = {
        'inputs': draw(rule_configs) if draw(st.sampled_from([1, 1, 1, 0])) else None,
        'num_subnets': draw(st.sampled_from([2, 1, 3])),
        'weight': draw(st.sampled_from([3, 0.5, 1.0, 2.5, 0])),
        'begin': draw(st.sampled_from([0, 0, 0, 0, 1, 2])),
        'by_epoch': draw(st.sampled_from([in_epochs] * 4 + [False, True])),
        'interval': draw(st.sampled_from([1, 1, 1, 2, 3])),
        'batch_fraction': draw(st.sampled_from([1, 0.5, 0.5, 0.1])),
        'weight_schedule': draw(st.sampled_from(['constant', 'falling', *WEIGHT_SCHEDULES])),
        'norm': draw(st.sampled_from(['isolated', 'shared'])),
        'on_nonfinite': draw(st.sampled_from(['stop', 'skip'])),
    }
    loop = {'epochs': draw(st.sampled_from([2, 1]))}
    if not in_epochs:
        loop = {'max_iters': draw(st.sampled_from([3, 4, 5, 2, 1]))}
    return hook, loop


def modes(model):
    """All of a model but its values: modules, parameters, flags, hooks."""
    return [
        (
            name,
            id(module),
            module.training,
            getattr(module, 'track_running_stats', None),
            len(module._forward_hooks) + len(module._forward_pre_hooks),
            [(id(parameter), parameter.requires_grad) for parameter in module.parameters(False)],
        )
        for name, module in model.named_modules()
    ]


def state(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def stimulated_steps(hook, length, max_iters):
    """Weights of the subnets' losses by iteration."""
    begin = hook['begin'] * (length if hook['by_epoch'] else 1)
    return {
        step: hook['weight']
        * weight_factor(hook['weight_schedule'], (step - begin) / (max_iters - begin))
        for step in range(begin, max_iters, hook['interval'])
    }


ONE_VALUE = 'Expected more than 1 value per channel when training'


@examples(16)
@given(
    st.sampled_from([4, 5, 2, 1]).flatmap(
        lambda count: st.lists(images(allowed_sizes=mostly_common), min_size=count, max_size=count)
    ),
    st.sampled_from([2, 4, 1]),
    st.sampled_from([1, 32]),
    backbones(),
    schedules(),
    st.integers(1, 2),
)
def test_any_run(make_runner, hook_config, images, batch_size, divisor, backbone, schedule, counts):
    settings, loop = schedule

    def train(hook):
        runner = make_runner(
            hook,
            model={'type': 'CarelessNet', 'divisor': divisor, **backbone},
            **loop,
            optim_wrapper={
                'type': 'OptimWrapper',
                'optimizer': {'type': 'SGD', 'lr': 0.0},
                'accumulative_counts': counts,
            },
            train_dataloader={
                'dataset': Items(pack(images)),
                'batch_size': batch_size,
                'num_workers': 0,
                'sampler': {'type': 'DefaultSampler', 'shuffle': True},
                'collate_fn': {'type': 'pseudo_collate'},
            },
            log_level='CRITICAL',
        )
        runner.model.train()
        before, error = modes(runner.model), None
        try:
            runner.train()
        except (TypeError, ValueError) as caught:
            error = caught
        assert modes(runner.model) == before
        return runner, error

    plain, error = train(None)
    assume(error is None or ONE_VALUE not in str(error))
    assert error is None
    runner, error = train(hook_config(**settings))
    space = runner.model.backbone.depth_space
    steps = stimulated_steps(settings, -(-len(images) // batch_size), plain.max_iters)
    rule = settings['inputs'] and RandomSmallerInput(
        settings['inputs']['min_ratio'], settings['inputs']['size_divisor']
    )
    repeats = space.size == 1 and (rule is None or not rule.changes_size)
    never = settings['weight'] > 0 and not any(steps.values())
    if error is not None:
        one_value = ONE_VALUE in str(error)
        assert own_error(error)
        event(f'error: {str(error)[:30]}')
        refused = repeats or never or (settings['by_epoch'] and 'epochs' not in loop)
        assert refused or rule is not None or one_value
        assert not refused or runner.iter == 0
        return
    assert not repeats and not never
    event('run')
    assert runner.record.outputs == plain.record.outputs
    assert len(plain.model.passes) == plain.max_iters
    if settings['norm'] == 'isolated':
        assert state(runner.model) == state(plain.model)
    passes = iter(zip(runner.model.passes, runner.model.weights, strict=True))
    for step, (kept, inputs, samples) in enumerate(plain.model.passes):
        ours = [next(passes) for _ in range(settings['num_subnets'] if steps.get(step) else 0)]
        (main_kept, main_inputs, main_samples), main_weight = next(passes)
        assert main_kept == kept == space.largest.blocks
        assert torch.equal(main_inputs, inputs)
        assert_same_ground_truth(main_samples, samples)
        for index, (one_pass, weight) in enumerate(ours):
            draw = Draw(SEED, step, index)
            subnet_kept, subnet_inputs, subnet_samples = one_pass
            assert subnet_kept == space.sample(**vars(draw)).blocks
            assert weight / main_weight == pytest.approx(steps[step])
            places = sample_images(len(inputs), settings['batch_fraction'], **vars(draw))
            chosen = [samples[place] for place in places]
            size_hw = stack_size([sample.img_shape for sample in chosen])
            new_hw = rule and rule.sizes(size_hw, draw)[-1]
            assert_fits(
                runner.model, subnet_inputs, subnet_samples, inputs[list(places)], chosen, new_hw
            )
    assert next(passes, None) is None


# mmdet's Faster R-CNN

ordinary = st.sampled_from([(64, 96), (40, 40), (97, 33), (20, 160), (9, 70), (80, 3)])


def random_states():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


def test_any_detection_batch(make_detector):
    model = make_detector()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0))
    trainer = SubnetTrainer(model, model.backbone, GroundTruthSupervision(), wrapper)

    @examples(6)
    @given(
        st.lists(images(degenerate=False, allowed_sizes=ordinary), min_size=2, max_size=3),
        st.sampled_from([0.43, 0.5, 0.9]),
        st.sampled_from(WHOLE_BLOCKS),
        st.integers(0, 10**6),
    )
    def check(images, min_ratio, order, step):
        draw = Draw(0, step)
        subnet = DepthSpace((2, 2, 2, 2), rule=order).sample(**vars(draw))
        list_sizes = partial(RandomSmallerInput(min_ratio).sizes, draw=draw)
        data = model.data_preprocessor(pseudo_collate(pack(images)), training=True)
        original = copy.deepcopy(data)
        before = modes(model), random_states(), state(model)

        def train():
            model.zero_grad()
            subnet_pass = SubnetPass(draw, subnet)
            trainer.run(subnet_pass, subnet_batch(model, **data, list_sizes=list_sizes), 1.0)
            gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            return subnet_pass.values, gradients

        values, gradients = train()
        assert (modes(model), random_states(), state(model)) == before
        assert torch.equal(data['inputs'], original['inputs'])
        assert_same_ground_truth(data['data_samples'], original['data_samples'])
        skipped = [
            f'backbone.layer{stage}.1.' for stage, n in enumerate(subnet.depths, start=1) if n == 1
        ]
        names = {name for name, _ in model.named_parameters()}
        assert {n for n in names if n.startswith(tuple(skipped))} == names - set(gradients)
        assert all(torch.isfinite(value).all() for value in (*values.values(), *gradients.values()))
        torch.rand(1)
        values_again, gradients_again = train()
        assert values_again == values
        assert gradients_again.keys() == gradients.keys()
        for name, gradient in gradients_again.items():
            assert torch.equal(gradient, gradients[name]), name

    check()
