"""The Python blocks of the docs run, in order, in one namespace a page."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

import mmst

ROOT = Path(__file__).parent.parent
DOCS = ROOT / 'docs'
CARD = 'method_cards/stimulative_training.md'
PAGES = ['plain_pytorch.md', 'usage.md', CARD]


def python_blocks(path):
    blocks = re.findall(r'^```python\n(.*?)^```', path.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    return blocks


def config_blocks(path):
    return [block for block in python_blocks(path) if '_base_' in block]


@pytest.mark.parametrize('page', [ROOT / 'README.md', DOCS / 'usage.md', DOCS / CARD])
def test_config_of_the_docs_is_that_of_upstream_plus_st(page, tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(config_blocks(page)[0])
    documented = Config.fromfile(file).to_dict()
    shipped = Config.fromfile(ROOT / 'configs' / 'faster_rcnn_r50_st_sgd.py').to_dict()
    assert shipped.pop('st_star_hook') == shipped['default_hooks']['stimulative']
    # The shipped config spells two defaults out.
    assert shipped['default_hooks']['stimulative'].pop('num_subnets') == 1
    assert shipped['default_hooks']['stimulative'].pop('weight') == 1.0
    assert documented == shipped


def test_new_style_config_of_the_docs_is_the_same(tmp_path):
    blocks = re.findall(r'^```py\n(.*?)^```', (DOCS / 'usage.md').read_text(), re.M | re.DOTALL)
    (tmp_path / 'config.py').write_text(blocks[0])
    base = 'model = dict(backbone=dict(depth=50))\ndefault_hooks = dict(timer=None)\n'
    (tmp_path / 'my_faster_rcnn.py').write_text(base)
    cfg = Config.fromfile(tmp_path / 'config.py')
    assert cfg.model.backbone.type is mmst.STBackbone
    assert cfg.model.backbone.depth == 50 and cfg.model.backbone.wraps.__name__ == 'ResNet'
    assert list(cfg.default_hooks) == ['timer', 'stimulative']
    written = Config.fromstring(cfg.pretty_text, '.py').default_hooks.stimulative
    shipped = Config.fromfile(ROOT / 'configs' / 'faster_rcnn_r50_st_sgd.py')
    hook = shipped.default_hooks.stimulative
    assert written == {key: hook[key] for key in ('type', 'supervision', 'inputs')}


def test_method_card_has_the_sections_of_every_card():
    headings = re.findall(r'^## (.*)', (DOCS / CARD).read_text(), re.MULTILINE)
    assert headings == [
        'What it does',
        'Use in plain PyTorch',
        'Use in a config',
        'How it works',
        'Suggested settings',
        'Measured effect and cost',
        'Limits',
        'Attribution',
    ]


def test_pretraining_config_of_the_card_is_that_of_a1(tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(config_blocks(DOCS / CARD)[1])
    documented = Config.fromfile(file).to_dict()
    shipped = Config.fromfile(ROOT / 'configs/pretrain/resnet50_a1.py').to_dict()
    hooks = [config['default_hooks']['stimulative'] for config in (documented, shipped)]
    assert hooks[1].pop('weight') == 1.0  # the default
    assert hooks[0] == hooks[1]
    shipped['model']['backbone'].pop('zero_init_residual')
    assert documented['model'] == shipped['model']


@pytest.mark.parametrize('page', PAGES)
def test_python_blocks_run(page, capsys):
    text = (DOCS / page).read_text()
    namespace = {'__name__': 'docs'}
    for block in python_blocks(DOCS / page):
        exec(compile(block, page, 'exec'), namespace)
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r'^\d: .*', text, flags=re.MULTILINE)
    assert [_without_losses(line) for line in printed] == [_without_losses(p) for p in promised]


def _without_losses(line):
    return re.sub(r'\d+\.\d+', '', line)


def test_tests_named_as_evidence_exist():
    text = (DOCS / 'design' / 'training_step.md').read_text()
    named = re.findall(r'`((?:tests/)?[\w/]+\.py)::(\w+)`', text)
    assert len(named) > 15
    for file, test in named:
        path = ROOT / file if file.startswith('tests/') else ROOT / 'tests' / 'engine' / file
        assert f'def {test}(' in path.read_text(), f'{file}::{test}'


@pytest.mark.parametrize(
    'page', [ROOT / 'README.md', *sorted(DOCS.rglob('*.md'))], ids=lambda page: page.stem
)
def test_paths_and_links_of_the_docs_exist(page):
    text = page.read_text()
    paths = re.findall(r'(?<![\w/.-])((?:mmst|tools|configs|docs)/[\w./-]*\w)', text)
    links = re.findall(r'\]\(([^)#:]+?)(?:#[^)]*)?\)', text)
    # Some stand for several: configs/fcos_r50[_st].py.
    missing = [path for path in paths if not any(ROOT.glob(f'{path}*'))]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_pages_on_the_design_name_every_folder_and_no_lost_file():
    stack = (DOCS / 'design/architecture.md').read_text()
    folders = {path.parent.name for path in (ROOT / 'mmst').glob('*/__init__.py')}
    assert set(re.findall(r'^mmst/(\w+)/ ', stack, re.MULTILINE)) == folders
    table = (DOCS / 'design/training_step.md').read_text().split('## Which file does what')[1]
    files = re.findall(r'`(\w+\.py)`', table.split('\n## ')[0])
    assert len(files) > 8
    assert [name for name in files if not (ROOT / 'mmst/engine' / name).exists()] == []
