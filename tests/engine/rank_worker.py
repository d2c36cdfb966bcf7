"""One process of a distributed run, or the same run alone; started by test_two_ranks.py."""

import os

import pytest
import torch
import toy_detector  # noqa: F401 - registers it
from detections import Detections
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.registry import MODELS
from mmengine.runner import Runner
from recorded_run import HOOK, NO_PAUSE, Record, loader
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm
from toy_classifier import Images, Sample

from mmst.cli.launch import set_launcher
from mmst.engine.registry import SUPERVISIONS
from mmst.engine.supervision import GroundTruthSupervision


@MODELS.register_module()
class CpuSyncBN(_BatchNorm):
    """Synchronises statistics as torch's SyncBatchNorm, which refuses tensors of a CPU.

    Ranks have batches of equal size. As in torch, ``track_running_stats`` decides on recording.
    """

    def _check_input_dim(self, x):
        pass

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        moments = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
        if torch.distributed.is_initialized():
            moments = all_reduce(moments) / torch.distributed.get_world_size()
        mean, square = moments
        variance = square - mean.square()
        if self.track_running_stats:
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
        x = (x - mean[:, None, None]) * (variance[:, None, None] + self.eps).rsqrt()
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def detector(settings):
    """It draws nothing: what it would draw in a subnet pass depends on the rank."""
    torch.manual_seed(0)
    return {
        'type': 'ToyDetector',
        'noise': False,
        'norm_eval': settings['norm_eval'],
        'with_cp': settings['with_cp'],
    }


def faster_rcnn(settings):
    from small_detector import make_detector_config

    return make_detector_config(
        choices=(2, 2, 2, 2), norm_eval=settings['norm_eval'], with_cp=settings['with_cp']
    )


def classifier(settings):
    torch.manual_seed(0)
    return {
        'type': 'ToyClassifier',
        'dropout': settings['dropout'],
        'norm_cfg': {'type': 'CpuSyncBN', 'requires_grad': True},
    }


class ChosenImages(Images):
    def __init__(self, indices):
        super().__init__(len(indices))
        self.indices = indices

    def __getitem__(self, index):
        return super().__getitem__(self.indices[index])


def dataset(settings):
    if settings['model'] == 'classifier':
        return ChosenImages(settings['indices'])
    kind = Sample
    if settings['model'] == 'faster_rcnn':
        from mmdet.structures import DetDataSample as kind
    data = Detections(kind)
    data.samples = [data.samples[index] for index in settings['indices']]
    return data


def train(out, rank, ranks, settings):
    """Trains and saves parameters, buffers, last momentum and draws."""
    torch.set_num_threads(1)
    pytest.MonkeyPatch().setattr(*NO_PAUSE)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks))
    distributed = ranks > 1
    if distributed:
        store = f'file://{out.parent}/{settings["name"]}-store'
        torch.distributed.init_process_group('gloo', store, rank=rank, world_size=ranks)
    record = Record()
    runner = Runner(
        model=globals()[settings['model']](settings),
        work_dir=str(out.parent / f'{out.stem}-work'),
        train_dataloader=loader(dataset(settings), settings['batch_size'], shuffle=False),
        train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': settings['max_iters']},
        optim_wrapper={
            'type': 'OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': settings['lr'], 'momentum': 0.9},
            'accumulative_counts': settings['accumulative_counts'],
        },
        default_hooks={
            'checkpoint': None,
            'logger': None,
            **({'stimulative': {**HOOK, **settings['hook']}} if settings['hook'] else {}),
        },
        launcher='pytorch' if distributed else 'none',
        cfg=distributed_config(settings, rank) if distributed else {},
        custom_hooks=[record],
        randomness={'seed': 7, 'diff_rank_seed': settings['diff_rank_seed']},
        default_scope='mmdet' if settings['model'] == 'faster_rcnn' else 'mmengine',
        log_level='ERROR',
        experiment_name=out.stem,
    )
    error = None
    try:
        runner.train()
    except FloatingPointError as stop:
        assert settings['stops']
        error = str(stop)
    model = runner.model.module if distributed else runner.model
    state = runner.optim_wrapper.optimizer.state
    samples = getattr(runner.train_dataloader.dataset, 'samples', [])[rank::ranks]
    draws = [
        [values[name][0] for name in ('size', *(f'depth_{i}' for i in (1, 2, 3, 4)))]
        for values in record.subnet
        if values
    ]
    torch.save(
        {
            'parameters': dict(model.named_parameters()),
            'buffers': dict(model.named_buffers()),
            'gradients': {
                n: state[p]['momentum_buffer'] for n, p in model.named_parameters() if p in state
            },
            'draws': draws,
            'losses': [values['loss'][0] for values in record.subnet if values],
            'seed': runner.seed,
            'error': error,
            'skipped': [v['skipped'][0] for v in record.subnet if 'skipped' in v],
            'objects': [len(sample['data_samples'].gt_instances) for sample in samples],
        },
        out,
    )


def distributed_config(settings, rank):
    """Config of a rank, as tools/train.py makes it."""
    cfg = Config({'find_unused_parameters': settings['find_unused_parameters']})
    return set_launcher(cfg, 'pytorch', rank)


@SUPERVISIONS.register_module()
class SpoiledSupervision(GroundTruthSupervision):
    """Ground truth whose loss is not a number in one pass on one rank."""

    def __init__(self, rank, at):
        self.rank, self.at, self.passes = rank, at, 0

    def losses(self, *args):
        loss, values = super().losses(*args)
        self.passes += 1
        spoiled = (get_rank(), self.passes) == (self.rank, self.at)
        return loss * (float('nan') if spoiled else 1), values
