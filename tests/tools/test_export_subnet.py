"""tools/export_subnet.py takes subnets out that are what tools/test.py --depths measures."""

import csv
import hashlib
import json
import pickle

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from pictures import labelled, points

from mmst.checkpoints import load_checkpoint

DEPTHS = '2,1,2,1'
COMMON = ('--recalibrate', 2)

# Each with live norm layers that the tiny config of its library leaves frozen.
STIMULATIVE = """
_base_ = './{base}.py'
custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(
    type='mmst.STBackbone', wraps='{wraps}', choices=(1, 2, 1, 2), norm_eval=False,
    frozen_stages=-1))
st_hook = dict(
    type='mmst.StimulativeHook', supervision=dict(type='mmst.GroundTruthSupervision'))
default_hooks = dict(stimulative=st_hook)
"""


@pytest.fixture
def source(tiny, tmp_path):
    """A stimulative config, the folder of its data, and a checkpoint of its model."""
    plain, data = tiny
    config = plain.with_name(f'st_{plain.name}')
    wraps = Config.fromfile(plain).model.backbone.type
    config.write_text(STIMULATIVE.format(base=plain.stem, wraps=wraps))
    cfg = Config.fromfile(config)
    if 'pretrained' in cfg.model:
        cfg.model.pretrained = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    checkpoint = tmp_path / 'epoch_1.pth'
    meta = {'dataset_meta': {'classes': ('one', 'two')}}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, checkpoint)
    return config, data, checkpoint


@pytest.fixture
def results(run_tool, tmp_path):
    """Runs tools/test.py; returns its metrics and predictions."""

    def test(*arguments):
        metrics, dump = tmp_path / 'metrics.json', tmp_path / 'predictions.pkl'
        out = ('--out', metrics, '--out-item', 'metrics', '--dump', dump)
        run_tool('test', *arguments, '--work-dir', tmp_path / 'tested', *out)
        return json.loads(metrics.read_text()), pickle.loads(dump.read_bytes())

    return test


def numbers(value):
    """All tensors and numbers of a prediction, in order."""
    if isinstance(value, dict):
        return [part for name in sorted(value) for part in numbers(value[name])]
    if isinstance(value, (list, tuple)):
        return [part for entry in value for part in numbers(entry)]
    return [torch.as_tensor(value)] if not isinstance(value, (str, type(None))) else []


def same(one, other):
    one, other = numbers(one), numbers(other)
    assert len(one) == len(other) > 0
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    'tiny',
    [
        'mmpretrain',
        pytest.param('mmdet', marks=pytest.mark.slow),
        pytest.param('mmseg', marks=pytest.mark.slow),
        pytest.param('mmpose', marks=pytest.mark.slow),
    ],
    indirect=True,
)
def test_an_exported_subnet_is_the_tested_one_and_trains_on(
    source, run_tool, results, tmp_path, monkeypatch
):
    config, data, checkpoint = source
    common = ('--data-root', data)
    options = ('--depths', DEPTHS, *COMMON, *common)
    run_tool('export_subnet', config, checkpoint, tmp_path / 'out', '--repeats', 1, *options)
    name = f'{config.stem}_2-1-2-1'
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        f'{name}.py',
        f'{name}.pth',
        'log',
    }
    moved = tmp_path / 'elsewhere'
    (tmp_path / 'out').rename(moved)
    monkeypatch.chdir(moved.parent.parent)
    exported, weights = moved / f'{name}.py', moved / f'{name}.pth'

    metrics, predictions = results(config, checkpoint, *options)
    exported_metrics, exported_predictions = results(exported, weights)
    assert metrics and exported_metrics == metrics
    assert same(exported_predictions, predictions)

    work_dir = tmp_path / 'trained'
    still = ('--cfg-options', 'optim_wrapper.optimizer.lr=0.0')
    run = ('--work-dir', work_dir, '--max-iters', 1, '--no-validate')
    run_tool('train', exported, *run, *still)
    before, after = (load_checkpoint(f)['state_dict'] for f in (weights, work_dir / 'iter_1.pth'))
    assert before.keys() == after.keys()
    layers = [name for name in before if name.endswith('.weight')]
    assert len(layers) > 10
    assert all(torch.equal(before[name], after[name]) for name in layers)


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize('recalibrate', [0, 1])
def test_the_checkpoint_says_where_it_comes_from(source, run_tool, tmp_path, recalibrate):
    config, data, checkpoint = source
    out = tmp_path / 'out'
    run_tool(
        'export_subnet', config, checkpoint, out, '--depths', DEPTHS, '--recalibrate', recalibrate,
        '--data-root', data, '--repeats', 1,
    )  # fmt: skip
    written = load_checkpoint(out / f'{config.stem}_2-1-2-1.pth')
    assert written['meta']['subnet'] == {
        'source': 'epoch_1.pth',
        'source_sha256': hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        'depths': [2, 1, 2, 1],
        'recalibrate': recalibrate,
    }
    assert written['meta']['dataset_meta'] == {'classes': ('one', 'two')}
    assert written['meta']['time'].startswith('20')
    whole = load_checkpoint(checkpoint)['state_dict']
    removed = whole.keys() - written['state_dict'].keys()
    assert {name.rsplit('.', 2)[0].split('.')[1:3][0] for name in removed} == {'layer2', 'layer4'}
    changed = {k for k, v in written['state_dict'].items() if not torch.equal(v, whole[k])}
    assert bool(changed) == bool(recalibrate)
    assert all('running_' in name or 'num_batches' in name for name in changed)


@pytest.mark.slow
def test_each_library_exports_to_onnx(source, run_tool, tmp_path, capsys):
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    config, data, checkpoint = source
    out = tmp_path / 'out'
    options = ('--depths', DEPTHS, '--recalibrate', 1, '--repeats', 1, '--data-root', data)
    run_tool('export_subnet', config, checkpoint, out, *options, '--onnx')
    what = {'mmdet': 'backbone and neck', 'mmpretrain': 'classifier'}
    part = what.get(config.stem.removeprefix('st_tiny_'), 'backbone')
    file = out / f'{config.stem}_2-1-2-1.onnx'
    assert f'{file}: {part}, differs by at most' in capsys.readouterr().out
    session = onnxruntime.InferenceSession(str(file))
    assert session.get_inputs()[0].shape[:2] == [1, 3]


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_the_best_subnet_within_a_limit_is_taken_and_a_rerun_goes_on(
    source, run_tool, results, tmp_path, capsys, saved_figures
):
    config, data, checkpoint = source
    out = tmp_path / 'out'
    arguments = (config, checkpoint, out, '--max-flops', '0.99', '--repeats', 1, *COMMON)
    run_tool('export_subnet', *arguments, '--data-root', data)
    first = capsys.readouterr().out
    assert '[3/3]' in first and '(from' not in first
    with open(out / 'front.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert [row['depths'] for row in rows] == ['2,1,2,1', '2,1,2,2', '2,2,2,1']
    (chosen,) = [row for row in rows if row['chosen'] == '1']
    assert chosen['accuracy/top1'] == max(row['accuracy/top1'] for row in rows)
    place = float(chosen['flops_ratio']), float(chosen['accuracy/top1'])
    drawn = labelled(next(iter(saved_figures.values())).axes[0])
    assert points(drawn['chosen']) == [pytest.approx(place, abs=1e-4)]
    assert len(drawn['subnets'].get_offsets()) == 3
    assert (out / 'front.png').is_file()
    name = f'{config.stem}_{chosen["depths"].replace(",", "-")}'
    metrics, _ = results(out / f'{name}.py', out / f'{name}.pth')
    assert metrics['accuracy/top1'] == float(chosen['accuracy/top1'])

    lines = (out / 'candidates.jsonl').read_text().splitlines()
    (out / 'candidates.jsonl').write_text('\n'.join(lines[:2]))
    run_tool('export_subnet', *arguments, '--data-root', data)
    second = capsys.readouterr().out
    assert second.count('(from') == 2
    again = [json.loads(line) for line in (out / 'candidates.jsonl').read_text().splitlines()]
    assert len(again) == 3
    assert again[2]['metrics'] == json.loads(lines[2])['metrics']


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_subnets_are_chosen_on_validation_data_anew_for_another_network(source, run_tool, tmp_path):
    config, data, checkpoint = source
    with config.open('a') as stream:
        stream.write("val_evaluator = dict(_delete_=True, type='Accuracy', prefix='validation')\n")
    state_dict = load_checkpoint(checkpoint)['state_dict']
    torch.save({'state_dict': {k: v * 2 for k, v in state_dict.items()}}, tmp_path / 'other.pth')
    smallest = ('--max-flops', 0.83, '--repeats', 1, '--data-root', data)
    changed = (checkpoint, tmp_path / 'out', *smallest, '--cfg-options', 'model.head.topk=(1,2)')
    for lines, arguments in enumerate(
        (
            (checkpoint, tmp_path / 'out', *smallest, '--recalibrate', 1),
            (tmp_path / 'other.pth', tmp_path / 'out', *smallest, '--recalibrate', 1),
            (checkpoint, tmp_path / 'out', *smallest, '--recalibrate', 0),
            (*changed, '--recalibrate', 1),
        ),
        start=1,
    ):
        run_tool('export_subnet', config, *arguments)
        text = (tmp_path / 'out' / 'candidates.jsonl').read_text()
        found = [json.loads(line)['metrics'] for line in text.splitlines()]
        assert len(found) == lines
        assert all(name.startswith('validation/') for metrics in found for name in metrics)
    run_tool('export_subnet', config, *arguments)
    assert (tmp_path / 'out' / 'candidates.jsonl').read_text() == text


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_a_checkpoint_of_another_depth_is_refused_and_nothing_is_written(
    source, run_tool, tmp_path
):
    config, data, checkpoint = source
    state_dict = load_checkpoint(checkpoint)['state_dict']
    more = {k.replace('layer1.1', 'layer1.2'): v for k, v in state_dict.items()}
    torch.save({'state_dict': {**more, **state_dict}}, tmp_path / 'deeper.pth')
    options = ('--depths', DEPTHS, '--data-root', data)
    with pytest.raises(SystemExit, match='does not fit the ImageClassifier .*layer1.2.conv1'):
        run_tool('export_subnet', config, tmp_path / 'deeper.pth', tmp_path / 'out', *options)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--depths', '2,a'], r'--depths must be positive integers'),
        (['--depths', '1,1,1,1', '--recalibrate', '-1'], r'--recalibrate must be at least 0'),
        (['--depths', '1,1,1,1', '--repeats', '0'], r'--repeats must be at least 1, got 0'),
        (['--max-flops', '0'], r'--max-flops must be positive.*got 0'),
        (['--max-latency', '-1'], r'--max-latency must be a positive ratio, got -1'),
    ],
)
def test_wrong_options_are_refused_before_anything_is_built(
    source, run_tool, tmp_path, arguments, message
):
    config, data, checkpoint = source
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match=message):
        run_tool('export_subnet', config, checkpoint, out, '--data-root', data, *arguments)
    assert not out.exists()


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--depths', '2,2,2,3'], r'stages of \(2, 2, 2, 2\) blocks'),
        (['--max-flops', '0.01'], r'--max-flops must allow the smallest subnet \(2, 1, 2, 1\)'),
        (['--max-flops', '1', '--max-candidates', '3'], r'--max-candidates 3 is less than'),
    ],
)
def test_subnets_that_the_network_has_not_are_refused(
    source, run_tool, tmp_path, arguments, message
):
    config, data, checkpoint = source
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match=message):
        run_tool('export_subnet', config, checkpoint, out, '--data-root', data, *arguments)
    assert [path.name for path in out.iterdir()] == ['log']


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_a_checkpoint_that_is_no_local_file_is_refused(tiny, run_tool, tmp_path):
    config, data = tiny
    url, options = 'https://example.org/x.pth', ('--depths', DEPTHS, '--data-root', data)
    with pytest.raises(SystemExit, match=f"checkpoint must be a local file, got '{url}'"):
        run_tool('export_subnet', config, url, tmp_path / 'out', *options)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'one of the arguments --depths --max-flops --max-latency is required'),
        (['--depths', '1', '--max-flops', '0.5'], 'not allowed with argument --depths'),
    ],
)
def test_one_way_to_name_the_subnet_is_needed(run_tool, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run_tool('export_subnet', 'config.py', 'checkpoint.pth', 'out', *arguments)
    assert message in capsys.readouterr().err
