"""--max-iters: the learning rate that every iteration of a shortened run really has.

The reference is upstream's own curve: the config's schedulers as they are, stepped through a whole
run; only smooth decays that are counted in epochs take mmengine's own form of them that is counted
in iterations. A run of N iterations must follow it at its own resolution. With a run's length as 1:

* No iteration has more than the largest rate of upstream's curve.
* Some iteration has 9/10 of the largest rate or more, so that a run is never one of the warm-up
  alone: a cosine seen at N points need not be sampled at its very top.
* From iteration N // 10 on (before that a warm-up may still run, which keeps its length in
  iterations but takes at most a tenth) the rate of iteration i is one that upstream has between the
  times (i - 1) / N and (i + 1) / N: nothing is decayed too early, too late or not at all.
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner

from mmst.config import set_max_iters
from mmst.config.mini import MINI_SETTINGS, layout_of

CONFIGS = Path(__file__).parents[2] / 'configs'
SHIPPED = sorted(file for file in CONFIGS.rglob('*.py') if file.parent.name != '_base_')
LENGTHS = range(1, 61)
WHOLE = 8400  # iterations of a run of epochs; a warm-up of 500 takes 6% of them

SMOOTH = ('CosineAnnealing', 'Poly', 'Linear')

EPOCHS = {'type': 'EpochBasedTrainLoop', 'max_epochs': 12}
ITERS = {'type': 'IterBasedTrainLoop', 'max_iters': 8400}


def listed(entries):
    return entries if isinstance(entries, (list, tuple)) else [entries]


def stepped(entries, length, value='lr', per_epoch=None):
    """The value of a real optimiser in every iteration, its schedulers built as Runner builds them.

    Args:
        entries: Configs of the schedulers.
        length: Iterations of the run.
        value: Which of the optimiser's values, 1.0 at the start.
        per_epoch: Iterations per epoch in an epoch-based run.
    """
    start = {'lr': 1.0, 'momentum': 1.0 if value == 'momentum' else 0.0}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], **start)
    built = []
    for entry in listed(entries):
        by_epoch = entry.get('by_epoch', True)
        end = length // per_epoch if by_epoch and per_epoch else length
        arguments = {'optimizer': optimizer, 'epoch_length': per_epoch}
        built.append(PARAM_SCHEDULERS.build({'end': end, **entry}, default_args=arguments))
    values = []
    for iteration in range(1, length + 1):
        values.append(optimizer.param_groups[0][value])
        if iteration == 1:  # mmengine looks for it then, and there are no gradients
            optimizer.step()
        for one in built:
            if not one.by_epoch or iteration % per_epoch == 0:
                one.step()
    return values


def upstream_curve(cfg, value='lr'):
    epochs = cfg.train_cfg.get('max_epochs')
    if not epochs:
        return stepped(cfg.param_scheduler, cfg.train_cfg.max_iters, value)
    entries = [
        {**entry, 'convert_to_iter_based': True}
        if entry.get('by_epoch', True) and any(kind in entry['type'] for kind in SMOOTH)
        else entry
        for entry in listed(cfg.param_scheduler)
    ]
    per_epoch = WHOLE // epochs
    return stepped(entries, epochs * per_epoch, value, per_epoch)


def check_short_runs(cfg, lengths, value='lr', first=None):
    """Checks the rule of this module's docstring for runs of several lengths.

    Args:
        cfg: A config with a schedule.
        lengths: Iterations of the runs.
        value: What the schedule changes.
        first: Length to which the schedule is brought before, as ``--mini`` does.
    """
    curve = torch.tensor(upstream_curve(cfg, value), dtype=torch.float64)
    assert curve.min() < 0.5 * curve.max(), 'a constant curve would prove nothing'
    for length in lengths:
        short = Config(cfg.to_dict())
        for iterations in (first, length) if first else (length,):
            set_max_iters(short, iterations)
        rates = stepped(short.param_scheduler, length, value)
        assert len(rates) == length
        assert max(rates) <= curve.max() * (1 + 1e-6), (length, rates)
        assert max(rates) >= 0.9 * curve.max(), (length, rates)
        for i in range(length // 10, length):
            start, stop = ((i + side) * len(curve) // length for side in (-1, 1))
            window = curve[max(0, start) : stop]
            low, high = window.min() * 0.99 - 1e-5, window.max() * 1.01 + 1e-5
            assert low <= rates[i] <= high, (length, i, rates[i], float(low), float(high), rates)


def schedule_of(file):
    """The schedule of a config for an optimiser whose rate is 1."""
    cfg = Config.fromfile(file)
    schedule = Config({'train_cfg': cfg.train_cfg, 'param_scheduler': cfg.param_scheduler})
    for entry in listed(schedule.param_scheduler):
        if entry.get('eta_min'):
            entry.eta_min /= cfg.optim_wrapper.optimizer.lr
    return schedule, MINI_SETTINGS[layout_of(cfg)].max_iters


@pytest.mark.parametrize(
    'name',
    [
        'faster_rcnn_r50_st.py',
        'fcos_r50_st.py',
        'fpn_cityscapes_r50_st.py',
        'simple_baseline_pose_r50_st.py',
        'pretrain/resnet50_st.py',
        'pretrain/vit_small_st.py',
    ],
)
def test_short_runs_of_a_shipped_config_follow_upstreams_curve(name):
    schedule, mini = schedule_of(CONFIGS / name)
    check_short_runs(schedule, [*LENGTHS, mini])
    check_short_runs(schedule, range(1, 61, 3), first=mini)


@pytest.mark.slow
def test_short_runs_of_all_shipped_configs_follow_upstreams_curve():
    assert len(SHIPPED) > 50
    checked = set()
    for file in SHIPPED:
        schedule, mini = schedule_of(file)
        if schedule.pretty_text not in checked:
            check_short_runs(schedule, [*LENGTHS, mini])
            check_short_runs(schedule, LENGTHS, first=mini)
        checked.add(schedule.pretty_text)
    assert len(checked) >= 8


class Toy(BaseModel):
    """One parameter."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, mode='tensor'):
        return {'loss': self.layer(torch.stack(x)).mean()}


class Rates(Hook):
    """Keeps the learning rate of every iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.param_groups[0]['lr'])


@pytest.mark.parametrize('length', [1, 9, 10, 15, 19, 20, 45])
def test_a_real_run_has_these_learning_rates(length, tmp_path):
    cfg = Config.fromfile(CONFIGS / 'faster_rcnn_r50_st_sgd.py')
    cfg = set_max_iters(
        Config({'train_cfg': cfg.train_cfg, 'param_scheduler': cfg.param_scheduler}), length
    )
    record = Rates()
    runner = Runner(
        model=Toy(),
        work_dir=str(tmp_path),
        train_dataloader={
            'dataset': [{'x': torch.ones(1)}] * 4,
            'batch_size': 2,
            'sampler': {'type': 'InfiniteSampler'},
        },
        train_cfg=cfg.train_cfg,
        param_scheduler=cfg.param_scheduler,
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 1.0}},
        custom_hooks=[record],
        default_hooks={'checkpoint': None, 'logger': None},
        log_level='ERROR',
        experiment_name=f'{tmp_path.name}-{length}',
    )
    runner.train()
    assert record.rates == pytest.approx(stepped(cfg.param_scheduler, length))


DECAY = {'type': 'MultiStepLR', 'milestones': [9]}
TENTH = {'begin': 0, 'end': 800, 'by_epoch': False}
KINDS = {
    'linear warm-up in iterations': (
        {'type': 'LinearLR', 'start_factor': 0.001, **TENTH},
        DECAY,
    ),
    'constant warm-up in iterations': ({'type': 'ConstantLR', 'factor': 0.1, **TENTH}, DECAY),
    'quadratic warm-up in iterations': ({'type': 'mmdet.QuadraticWarmupLR', **TENTH}, DECAY),
    'warm-up in epochs': (
        {'type': 'LinearLR', 'start_factor': 0.001, 'end': 1, 'convert_to_iter_based': True},
        DECAY,
    ),
    'warm-up to less than all': (
        {'type': 'LinearLR', 'start_factor': 0.001, 'end_factor': 0.5, **TENTH},
        DECAY,
    ),
    'steps of one epoch': ({'type': 'StepLR', 'step_size': 1, 'gamma': 0.7},),
    'steps of five epochs': ({'type': 'StepLR', 'step_size': 5, 'gamma': 0.1},),
    'exponential decay': ({'type': 'ExponentialLR', 'gamma': 0.7},),
    'cosine': ({'type': 'CosineAnnealingLR', 'T_max': 12, 'eta_min_ratio': 0.05},),
    'cosine that comes back': ({'type': 'CosineAnnealingLR', 'T_max': 6},),
    'cosine in iterations': ({'type': 'CosineAnnealingLR', 'T_max': 8400, 'by_epoch': False},),
    'polynomial decay in iterations': (
        {'type': 'PolyLR', 'power': 0.9, 'begin': 500, 'end': 8400, 'by_epoch': False},
    ),
    'linear decay': ({'type': 'LinearLR', 'start_factor': 1.0, 'end_factor': 0.1, 'end': 12},),
    'restarts': (
        {
            'type': 'CosineRestartLR',
            'periods': [1, 2, 3, 6],
            'restart_weights': [1.0, 0.8, 0.6, 0.4],
            'eta_min': 0.0,
            'convert_to_iter_based': True,
        },
    ),
    'one cycle': ({'type': 'OneCycleLR', 'eta_max': 1.0, 'total_steps': 8400, 'by_epoch': False},),
    'one cycle with an early peak': (
        {
            'type': 'OneCycleLR',
            'eta_max': 1.0,
            'pct_start': 0.1,
            'total_steps': 8400,
            'by_epoch': False,
        },
    ),
    # A schedule that ends early must have arrived.
    'early steps': ({'type': 'MultiStepLR', 'milestones': [1], 'end': 2},),
    'early step sizes': ({'type': 'StepLR', 'step_size': 1, 'gamma': 0.5, 'end': 3},),
    'early cosine': ({'type': 'CosineAnnealingLR', 'T_max': 2, 'eta_min': 0.1, 'end': 2},),
    'early cosine of its own length': ({'type': 'CosineAnnealingLR', 'begin': 1, 'end': 4},),
    'early polynomial decay': (
        {'type': 'PolyLR', 'eta_min': 0.1, 'end': 1, 'convert_to_iter_based': True},
    ),
    'early linear decay': ({'type': 'LinearLR', 'start_factor': 1.0, 'end_factor': 0.1, 'end': 2},),
    'early exponential decay': ({'type': 'ExponentialLR', 'gamma': 0.3, 'end': 3},),
    'warm-up, cosine, plateau (YOLOX)': (
        {'type': 'LinearLR', 'start_factor': 0.01, 'end': 1, 'convert_to_iter_based': True},
        {'type': 'CosineAnnealingLR', 'begin': 1, 'T_max': 10, 'end': 11, 'eta_min': 0.05},
        {'type': 'ConstantLR', 'factor': 1, 'begin': 11, 'end': 12},
    ),
    'a factor set once (RTMO)': (
        {'type': 'CosineAnnealingLR', 'T_max': 6, 'end': 6, 'eta_min': 0.1},
        {'type': 'ConstantLR', 'factor': 0.5, 'begin': 6, 'end': 7},
    ),
}


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_scheduler_follows_its_own_curve(kind):
    schedule = Config({'train_cfg': EPOCHS, 'param_scheduler': list(KINDS[kind])})
    # Upstream decays once per epoch, a run of more iterations decays in each iteration.
    check_short_runs(schedule, range(1, 13) if 'exponential' in kind else LENGTHS)


@pytest.mark.parametrize('pct_start', [0.1, 0.3, 0.5])
def test_a_cycle_of_three_phases_reaches_its_peak(pct_start):
    """The ends of the phases are up to mmengine, which rounds them by other rules."""
    cycle = {'type': 'OneCycleLR', 'eta_max': 1.0, 'total_steps': 12, 'pct_start': pct_start}
    schedule = {'train_cfg': EPOCHS, 'param_scheduler': {**cycle, 'three_phase': True}}
    for length in LENGTHS:
        rates = stepped(set_max_iters(Config(schedule), length).param_scheduler, length)
        assert max(rates) == pytest.approx(1.0), (length, rates)


@pytest.mark.parametrize(
    'entry',
    [
        {'type': 'LinearMomentum', 'start_factor': 0.01, 'end': 1, 'convert_to_iter_based': True},
        {'type': 'ConstantMomentum', 'factor': 0.1, **TENTH},
        {'type': 'mmdet.QuadraticWarmupMomentum', **TENTH},
    ],
)
def test_a_warm_up_of_the_momentum_is_no_other(entry):
    decay = {'type': 'StepMomentum', 'step_size': 7, 'gamma': 0.2}
    schedule = Config({'train_cfg': EPOCHS, 'param_scheduler': [entry, decay]})
    check_short_runs(schedule, LENGTHS, 'momentum')


def test_schedules_of_iterations_follow_their_curve():
    warm_up = {'type': 'LinearLR', 'start_factor': 1e-6, 'begin': 0, 'end': 600, 'by_epoch': False}
    poly = {'type': 'PolyLR', 'power': 1.0, 'begin': 600, 'end': 8400, 'by_epoch': False}
    check_short_runs(Config({'train_cfg': ITERS, 'param_scheduler': [warm_up, poly]}), LENGTHS)
