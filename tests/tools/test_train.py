"""tools/train.py and tools/test.py run configs of all four libraries, and say what is wrong."""

import json
import pickle

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmst.checkpoints import load_checkpoint

USUAL_METRICS = {
    'mmdet': 'coco/bbox_mAP',
    'mmseg': 'mIoU',
    'mmpose': 'coco/AP',
    'mmpretrain': 'accuracy/top1',
}


def test_a_config_of_each_library_trains_resumes_and_is_tested(tiny, run_tool, tmp_path):
    config, data = tiny
    work_dir = tmp_path / 'run'
    common = ('--data-root', data, '--work-dir', work_dir)
    watched = ('--eval-subnets', 1, '--cfg-options', 'default_hooks.subnet_eval.recalibrate=2')
    run_tool('train', config, *common, '--weights', 'none', '--max-iters', 2, '--seed', 3, *watched)
    first = load_checkpoint(work_dir / 'iter_2.pth')
    assert first['meta']['iter'] == 2
    assert first['meta']['seed'] == 3
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (subnet,) = [line for line in lines if any(name.startswith('subnet_') for name in line)]
    names = {name.partition('/')[2] for name in subnet} - {''}
    metric = USUAL_METRICS[Config.fromfile(config).default_scope]
    assert {metric, f'gap/{metric}'} <= names
    assert all(name.startswith('subnet_1_1_1_1/') or name == 'step' for name in subnet)
    (whole,) = [line for line in lines if metric in line]
    gap = whole[metric] - subnet[f'subnet_1_1_1_1/{metric}']
    assert subnet[f'subnet_1_1_1_1/gap/{metric}'] == pytest.approx(gap)
    assert subnet['step'] == whole['step']

    run_tool('train', config, *common, '--weights', 'none', '--max-iters', 3, '--resume')
    second = load_checkpoint(work_dir / 'iter_3.pth')
    assert second['meta']['iter'] == 3

    out = tmp_path / 'metrics.json'
    run_tool('test', config, work_dir / 'iter_3.pth', *common, '--out', out)
    assert json.loads(out.read_text())


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_a_subnet_is_tested_with_statistics_of_its_own(tiny, run_tool, tmp_path):
    config, data = tiny
    work_dir = tmp_path / 'run'
    common = ('--data-root', data, '--work-dir', work_dir)
    run_tool('train', config, *common, '--max-iters', 2)

    def predictions(*arguments):
        file = tmp_path / 'predictions.pkl'
        run_tool('test', config, work_dir / 'iter_2.pth', *common, '--dump', file, *arguments)
        return torch.stack([sample['pred_score'] for sample in pickle.loads(file.read_bytes())])

    whole = predictions()
    assert len(whole) == 12
    assert torch.equal(predictions('--depths', '2,2,2,2'), whole)
    shallow = predictions('--depths', '1,1,1,1', '--recalibrate', 0)
    assert not torch.allclose(shallow, whole)
    recalibrated = predictions('--depths', '1,1,1,1')
    assert not torch.allclose(recalibrated, shallow)
    assert torch.equal(predictions('--depths', '1,1,1,1', '--recalibrate', 100), recalibrated)


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--data-root', 'gone'], r"--data-root must be an existing folder, got 'gone'"),
        (
            ['--data-root', '.'],
            r'ann_file of train_dataloader \(CocoDataset\).*instances_train2017',
        ),
        ([], r'ann_file of train_dataloader \(CocoDataset\).*data/coco/annotations.*--mini'),
        (['--max-iters', '0'], r'--max-iters must be at least 1, got 0'),
        (['--weights', 'gone.pth'], r"--weights needs the file 'gone\.pth'.*one of base"),
        (['--resume', 'gone.pth'], r"--resume needs an existing checkpoint, got 'gone\.pth'"),
        (['--launcher', 'pytorch'], r'started by torchrun'),
        (['--seed', '-1'], r'--seed must be at least 0'),
        (['--eval-subnets', '0'], r'--eval-subnets must be at least 1, got 0'),
        (['--eval-subnets', '--no-validate'], r'--eval-subnets needs a validation, got none'),
        (['--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None'], r'--auto-scale-lr needs'),
        (['--cfg-options', 'default_scope=mmyolo'], r'default_scope must be one of'),
    ],
)
def test_what_is_wrong_is_said_before_training(tiny, run_tool, tmp_path, arguments, message):
    config, data = tiny
    if arguments and '--data-root' not in arguments:
        arguments = ['--data-root', data, *arguments]
    with pytest.raises(SystemExit, match=message):
        run_tool('train', config, '--work-dir', tmp_path / 'run', *arguments)
    assert not (tmp_path / 'run').exists()


def test_a_missing_config_is_named(run_tool):
    with pytest.raises(SystemExit, match=r"config must be an existing file, got 'gone\.py'"):
        run_tool('train', 'gone.py')


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
def test_an_untrusted_checkpoint_is_refused_before_it_is_tested(tiny, run_tool, tmp_path):
    config, data = tiny
    torch.save({'state_dict': print}, tmp_path / 'evil.pth')
    with pytest.raises(SystemExit, match=r'UntrustedCheckpointError.*evil\.pth.*print'):
        run_tool('test', config, tmp_path / 'evil.pth', '--data-root', data)


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--depths', '2,a'], r'--depths must be positive integers'),
        (['--recalibrate', '3'], r'--recalibrate needs --depths'),
        (['--out', 'a.txt'], r"--out must end in .*got 'a\.txt'"),
    ],
)
def test_what_is_wrong_is_said_before_testing(tiny, run_tool, arguments, message):
    config, data = tiny
    with pytest.raises(SystemExit, match=message):
        run_tool('test', config, 'https://example.org/x.pth', '--data-root', data, *arguments)


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
@pytest.mark.parametrize(
    ('state_dict', 'message'),
    [
        ({}, 'without tensors'),
        ({'backbone.conv1.weight': torch.zeros(8, 3, 7, 7)}, 'does not fit the FasterRCNN'),
    ],
)
def test_random_weights_are_not_evaluated(tiny, run_tool, tmp_path, state_dict, message):
    config, data = tiny
    torch.save({'state_dict': state_dict}, tmp_path / 'a.pth')
    options = ('--data-root', data, '--work-dir', tmp_path / 'run')
    with pytest.raises(SystemExit, match=message):
        run_tool('test', config, tmp_path / 'a.pth', *options)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('tiny', ['mmdet', 'mmseg', 'mmpretrain'], indirect=True)
def test_time_augmentation_and_drawing_run(tiny, run_tool, tmp_path):
    config, data = tiny
    cfg = Config.fromfile(config)
    if 'pretrained' in cfg.model:
        cfg.model.pretrained = None
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        state_dict = MODELS.build(cfg.model).state_dict()
    checkpoint = tmp_path / 'random.pth'
    torch.save({'state_dict': state_dict, 'meta': {}}, checkpoint)
    common = ('--data-root', data, '--work-dir', tmp_path / 'run')
    # mmpretrain's hook cannot draw augmented batches.
    drawn = ('--show-dir', tmp_path / 'drawn') if 'mmdet' in config.stem else ()
    run_tool('test', config, checkpoint, *common, '--tta', *drawn, '--dump', tmp_path / 'out.pkl')
    assert len(pickle.loads((tmp_path / 'out.pkl').read_bytes())) >= 6
    assert not drawn or list(tmp_path.rglob('drawn/**/*.png'))


@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
def test_weights_of_another_backbone_are_not_trained_on(tiny, run_tool, tmp_path):
    config, data = tiny
    torch.save({'features.0.0.weight': torch.zeros(8, 3, 7, 7)}, tmp_path / 'a.pth')
    weights = f"dict(type='Pretrained', checkpoint={str(tmp_path / 'a.pth')!r})"
    config.write_text(config.read_text().replace('init_cfg=None', f'init_cfg={weights}'))
    options = ('--data-root', data, '--work-dir', tmp_path / 'run', '--max-iters', 1)
    with pytest.raises(SystemExit, match=r"init_cfg names '.*a\.pth', which would leave 99%"):
        run_tool('train', config, *options)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('tiny', ['mmseg'], indirect=True)
def test_weights_of_another_model_are_not_trained_on(tiny, run_tool, tmp_path):
    config, data = tiny
    torch.save(
        {'state_dict': {'backbone.conv1.weight': torch.zeros(8, 3, 7, 7)}}, tmp_path / 'a.pth'
    )
    config.write_text(f'{config.read_text()}\nload_from = {str(tmp_path / "a.pth")!r}')
    options = ('--data-root', data, '--work-dir', tmp_path / 'run', '--max-iters', 1)
    with pytest.raises(SystemExit, match=r"load_from '.*a\.pth' is of another model"):
        run_tool('train', config, *options)
    assert not (tmp_path / 'run').exists()


def test_a_config_of_plain_mmengine_trains(train_plain):
    train_plain('pass', '--max-iters', 3)
    assert load_checkpoint('work_dirs/plain/iter_3.pth')['meta']['iter'] == 3
