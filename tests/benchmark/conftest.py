"""A network whose FLOPs can be written down, trained by mmengine's Runner."""

import gc

import pytest
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

from mmst.core import DepthSpace, register_residual_stages
from mmst.core.stages import Block
from mmst.ground_truth import Task, register_task

SIDE = 40


class Residual(nn.Conv2d):
    def forward(self, x):
        return x + super().forward(x)


class Backbone(nn.Module):
    """A stem and one stage of three blocks, all at the resolution of the image."""

    def __init__(self):
        super().__init__()
        self.depth_space = DepthSpace((3,), (3,))
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.stage = nn.Sequential(*(Residual(4, 4, 3, padding=1, bias=False) for _ in range(3)))

    def forward(self, x):
        return self.stage(self.stem(x))


@register_residual_stages(Backbone)
def _stages(backbone):
    return [[Block(backbone.stage, name) for name, _ in backbone.stage.named_children()]]


class Sample(BaseDataElement):
    """A data sample without ground truth."""


@register_task(Sample)
class SampleTask(Task):
    """Images fill the batch, of whatever size."""

    def divisor_hw(self, model, main_hw):
        return 1, 1


class Preprocessor(BaseDataPreprocessor):
    def forward(self, data, training=False):
        return {'inputs': torch.stack(data['inputs']), 'data_samples': data['data_samples']}


class Toy(BaseModel):
    def __init__(self):
        super().__init__(data_preprocessor=Preprocessor())
        self.backbone = Backbone()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return {'loss': self.backbone(inputs).square().mean()}


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {'inputs': torch.randn(1, SIDE, SIDE, generator=generator), 'data_samples': Sample()}


@pytest.fixture
def flops():
    """FLOPs of forward and backward of two images: the stem needs no gradient of its input."""

    def count(depth: int, side: int = SIDE) -> int:
        per_filter = 2 * 9 * 4 * 2 * side * side
        return per_filter * (2 * 1 + 3 * 4 * depth)

    return count


@pytest.fixture
def measure(tmp_path):
    """Measures the toy on images of 40 x 40 pixels with seed 7; returns the loop."""

    def run(hook, num_subnets=(0, 1, 2), iters=3, custom_hooks=(), **settings):
        gc.collect()  # what other tests left would be freed while memory is measured
        runner = Runner(
            model=Toy(),
            work_dir=str(tmp_path),
            train_dataloader={
                'dataset': Images(),
                'batch_size': 2,
                'num_workers': 0,
                'sampler': {'type': 'InfiniteSampler', 'shuffle': False},
                'collate_fn': {'type': 'pseudo_collate'},
            },
            train_cfg={
                'type': 'StepBenchmarkLoop',
                'hook': hook,
                'num_subnets': num_subnets,
                'iters': iters,
                'warmup': 1,
                **settings,
            },
            optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}},
            default_hooks={
                'timer': None,
                'sampler_seed': None,
                'logger': None,
                'param_scheduler': None,
                'checkpoint': None,
            },
            custom_hooks=list(custom_hooks),
            randomness={'seed': 7},
            experiment_name=tmp_path.name,
            log_level='ERROR',
        )
        before = {name: value.clone() for name, value in runner.model.state_dict().items()}
        runner.train()
        for name, value in runner.model.state_dict().items():
            assert torch.equal(value, before[name]), name
        return runner.train_loop

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Networks this small are faster so.
    yield run
    torch.set_num_threads(threads)
