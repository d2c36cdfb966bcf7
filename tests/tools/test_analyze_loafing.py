"""tools/analyze_loafing.py evaluates what tools/test.py --depths does, once, and goes on later."""

import csv
import json

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS, MODELS, DefaultScope

from mmst.subnets import search

# Live norm layers, and a space of one subnet beside the whole network.
NETWORK = """
_base_ = './{base}.py'
custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(
    type='mmst.STBackbone', wraps='{wraps}', {space}, norm_eval=False, frozen_stages=-1))
"""


# Its metric tells networks apart that have learnt nothing.
CLASSIFIER = """
val_evaluator = dict(_delete_=True, type='MeanScore')
test_evaluator = val_evaluator
"""


@METRICS.register_module(force=True)
class MeanScore(BaseMetric):
    """Mean of the largest score of an image."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results += [sample['pred_score'].max().item() for sample in data_samples]

    def compute_metrics(self, results):
        return {'score': 100 * sum(results) / len(results)}


@pytest.fixture
def networks(tiny, tmp_path):
    """Config and two checkpoints of a network, and config:checkpoint of a shallower one."""
    plain, data = tiny
    wraps = Config.fromfile(plain).model.backbone.type
    files = {}
    for name, space, seed in (
        ('ct', 'choices=(1, 2, 1, 1)', 0),
        ('st', 'choices=(1, 2, 1, 1)', 1),
        ('alone', 'depths=(2, 1, 2, 2)', 2),
    ):
        config = plain.with_name(f'{name}_{plain.name}')
        text = NETWORK.format(base=plain.stem, wraps=wraps, space=space)
        config.write_text(text + CLASSIFIER * plain.stem.endswith('mmpretrain'))
        cfg = Config.fromfile(config)
        if 'pretrained' in cfg.model:
            cfg.model.pretrained = None
        torch.manual_seed(seed)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
        files[name] = tmp_path / f'{name}.pth'
        meta = {'dataset_meta': {'classes': ('one', 'two')}}
        torch.save({'meta': meta, 'state_dict': model.state_dict()}, files[name])
        files[f'{name}_config'] = config
    return files, data


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
def test_subnets_of_each_checkpoint_are_evaluated_once_as_tools_test_does(
    networks, run_tool, tmp_path, monkeypatch, capsys
):
    files, data = networks
    out = tmp_path / 'out'
    common = ('--data-root', data, '--recalibrate', 2)
    checkpoints = (f'common={files["ct"]}', f'stimulative={files["st"]}')
    alone = ('--alone', f'small={files["alone_config"]}:{files["alone"]}')
    command = ('analyze_loafing', files['ct_config'], *checkpoints, '--out-dir', out, *common)
    run_tool(*command, *alone)
    printed = capsys.readouterr().out
    assert '5/5' in printed and 'loafing is the mean gap of 1 subnets' in printed
    assert cv2.imread(str(out / 'loafing.png')).std() > 1

    content = json.loads((out / 'loafing.json').read_text())
    rows = {(row['network'], row['depths']): row for row in content['rows']}
    assert {key: (row['kind'], row['blocks']) for key, row in rows.items()} == {
        ('common', '2,1,2,2'): ('subnet', 7),
        ('common', '2,2,2,2'): ('whole', 8),
        ('stimulative', '2,1,2,2'): ('subnet', 7),
        ('stimulative', '2,2,2,2'): ('whole', 8),
        ('small', '2,1,2,2'): ('alone', 7),
    }
    subnet, small = rows['common', '2,1,2,2'], rows['small', '2,1,2,2']
    assert (subnet['flops'], subnet['parameters']) == (small['flops'], small['parameters'])
    with open(out / 'loafing.csv', newline='') as stream:
        assert len(list(csv.DictReader(stream))) == 5

    for depths, subnet in (
        ('2,1,2,2', ('--depths', '2,1,2,2', '--recalibrate', 2)),
        ('2,2,2,2', ()),
    ):
        metrics = tmp_path / 'metrics.json'
        arguments = ('--data-root', data, '--work-dir', tmp_path / 'tested', '--out', metrics)
        run_tool('test', files['ct_config'], files['st'], *arguments, *subnet)
        tested = json.loads(metrics.read_text())[content['metric']]
        assert rows['stimulative', depths]['value'] == pytest.approx(tested, rel=1e-9), depths
    if 'mmpretrain' in files['ct_config'].stem:
        assert len({row['value'] for row in content['rows']}) == 5
    gaps = {label: rows[label, '2,1,2,2']['gap'] for label in ('common', 'stimulative')}
    assert content['loafing'] == pytest.approx(gaps)

    monkeypatch.setattr(search, 'run_subnet_test', None)  # nothing is evaluated again
    before = (out / 'loafing.csv').read_bytes()
    run_tool(*command, *alone)
    assert (out / 'loafing.csv').read_bytes() == before


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_an_unknown_metric_is_said_before_subnets_are_evaluated(networks, run_tool, tmp_path):
    files, data = networks
    command = ('analyze_loafing', files['ct_config'], files['ct'], '--data-root', data)
    with pytest.raises(SystemExit, match=r"metric must be one of \['toy/score'\], got 'mAP'"):
        run_tool(*command, '--out-dir', tmp_path / 'out', '--metric', 'mAP')
    (line,) = (tmp_path / 'out' / 'candidates.jsonl').read_text().splitlines()
    assert json.loads(line)['depths'] == [2, 2, 2, 2]


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['ct={ct}', 'ct={st}'], r"checkpoints must have different names, got \['ct', 'ct'\]"),
        (['{ct}', '--max-candidates', '1'], r'--max-candidates must be at least 2, got 1'),
        (['{ct}', '--alone', '{alone}'], r'--alone must be \[NAME=\]CONFIG:CHECKPOINT, got'),
        (['gone.pth'], r'gone\.pth'),
        (['{ct}', '--recalibrate', '-1'], r'recalibrate must be at least 0, got -1'),
    ],
)
def test_wrong_options_are_refused_before_anything_is_built(
    networks, run_tool, tmp_path, arguments, message
):
    files, data = networks
    arguments = [argument.format(**files) for argument in arguments]
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match=message):
        run_tool(
            'analyze_loafing', files['ct_config'], *arguments, '--data-root', data, '--out-dir', out
        )
    assert not out.exists()
