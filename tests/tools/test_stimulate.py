"""--stimulate makes a plain config a stimulated one, and what is written trains to the same."""

import json

import pytest
import torch
from mmengine.config import Config

from mmst.checkpoints import load_checkpoint

OPTIONS = ('--max-iters', 2, '--seed', 0, '--no-validate', '--weights', 'none')


def states_of(work_dir):
    return load_checkpoint(work_dir / 'iter_2.pth')['state_dict']


@pytest.mark.parametrize(
    'tiny',
    [
        'mmdet',
        'mmpretrain',
        pytest.param('mmseg', marks=pytest.mark.slow),
        pytest.param('mmpose', marks=pytest.mark.slow),
    ],
    indirect=True,
)
def test_a_written_config_trains_to_what_the_option_trains_to(tiny, run_tool, tmp_path):
    config, data = tiny
    settings = ('--stimulate', 'num_subnets=2', 'min_ratio=0.5')
    runs = {}
    out = tmp_path / 'mine.py'
    run_tool('print_config', config, *settings, '--data-root', data, '-o', out)
    for name, arguments in (('option', (config, *settings, '--data-root', data)), ('file', (out,))):
        work_dir = tmp_path / name
        run_tool('train', *arguments, '--work-dir', work_dir, *OPTIONS)
        (log,) = work_dir.glob('*/vis_data/scalars.json')
        values = [json.loads(line) for line in log.read_text().splitlines()]
        assert all(line['subnet/loss'] > 0 for line in values)
        runs[name] = states_of(work_dir)
    assert runs['option'].keys() == runs['file'].keys()
    for name, value in runs['option'].items():
        assert torch.equal(value, runs['file'][name]), name
    hook = Config.fromfile(out).default_hooks.stimulative
    assert (hook.num_subnets, hook.inputs.min_ratio) == (2, 0.5)
    assert out.read_text().startswith(f'# {config} and all that it builds on, with --stimulate num')


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_keys_may_have_dots(tiny, run_tool, tmp_path, capsys):
    config, _ = tiny
    run_tool('print_config', config, '--stimulate', 'loss.type=mmst.KLMinusLoss')
    printed = Config.fromstring(capsys.readouterr().out.partition('\n')[2], '.py')
    supervision = printed.default_hooks.stimulative.supervision
    assert supervision == {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLMinusLoss'}}


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_the_work_dir_is_not_that_of_a_plain_run(tiny, run_tool, tmp_path, monkeypatch):
    config, data = tiny
    monkeypatch.chdir(tmp_path)
    run_tool('train', config, '--stimulate', '--data-root', data, *OPTIONS)
    assert [path.name for path in (tmp_path / 'work_dirs').iterdir()] == [f'{config.stem}_st']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('CONFIG', '--stimulate', 'num_subnet=2'), "unknown option 'num_subnet'; did you mean"),
        (('CONFIG', '--stimulate', 'weight=-1'), 'weight must be a finite number'),
        (('mmdet::retinanet/retinanet_r50_fpn_1x_coc.py',), "there is 'retinanet_r50_fpn_1x_coco"),
        (('mmnone::a.py',), "is one of 'mmnone', which is not installed"),
        (('CONFIG', '-o', 'a.txt'), 'must be a new file that ends in .py'),
    ],
)
def test_what_is_wrong_is_one_line(run_tool, tmp_path, arguments, message):
    (tmp_path / 'a.py').write_text("_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'")
    arguments = [str(tmp_path / 'a.py') if name == 'CONFIG' else name for name in arguments]
    with pytest.raises(SystemExit, match=message):
        run_tool('print_config', *arguments)


def test_a_config_after_the_option_is_told_from_a_setting(run_tool, capsys):
    with pytest.raises(SystemExit):
        run_tool('train', '--stimulate', 'configs/faster_rcnn_r50.py')
    assert "takes KEY=VALUE, got 'configs/faster_rcnn_r50.py'" in capsys.readouterr().err
