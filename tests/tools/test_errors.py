"""Bad input is one line in every tool; what code of the user raises keeps its traceback."""

import pickle

import pytest
import torch


def test_what_a_hook_cannot_unpickle_is_not_a_checkpoint(train_plain):
    with pytest.raises(pickle.UnpicklingError, match='invalid load key') as error:
        train_plain("pickle.loads(b'\\xff')")
    assert error.traceback[-1].name == 'before_train_iter'


def test_a_hook_may_load_what_it_trusts(train_plain, tmp_path):
    torch.save(print, tmp_path / 'cache.pth')
    train_plain("assert torch.load('cache.pth', weights_only=False) is print")


@pytest.mark.parametrize('name', ['ValueError', 'RuntimeError', 'FileNotFoundError', 'KeyError'])
def test_what_a_hook_raises_keeps_its_traceback(train_plain, tmp_path, capsys, name):
    with pytest.raises(Exception, match="of the user's hook") as error:
        train_plain(f'raise {name}("of the user\'s hook")')
    assert error.typename == name
    assert error.traceback[-1].name == 'before_train_iter'
    log = next(tmp_path.glob('work_dirs/plain/*/*.log')).read_text()
    assert log.count('Traceback (most recent call last)') == 1
    assert ', in before_train_iter\n' in log
    printed = capsys.readouterr()
    assert 'Traceback' not in printed.out + printed.err  # Python prints it once more than here


def test_a_type_error_of_a_hook_shows_its_line(train_plain):
    """Runner.call_hook replaces it by one that hides where it comes from."""
    with pytest.raises(TypeError, match=r'has no len\(\)') as error:
        train_plain('len(None)')
    assert not error.value.__suppress_context__
    assert 'before_train_iter' in str(error.value.__context__.__traceback__.tb_next.tb_frame)


def test_an_unknown_argument_of_a_hook_or_data_set_is_one_line(train_plain, tmp_path):
    for key in ('custom_hooks.0.colour', 'train_dataloader.dataset.colour'):
        with pytest.raises(SystemExit, match=r"^TypeError: .* argument 'colour'[^\n]*$"):
            train_plain('pass', '--cfg-options', f'{key}=1')
    log = max(tmp_path.glob('work_dirs/plain/*/*.log')).read_text()
    assert 'TypeError' in log and 'Traceback' in log


def test_an_unknown_type_is_one_line(train_plain):
    for key in ('custom_hooks.0.type', 'train_dataloader.dataset.type'):
        with pytest.raises(SystemExit, match=r'^KeyError: Nobody is not in the .* registry'):
            train_plain('pass', '--cfg-options', f'{key}=Nobody')


def test_options_that_do_not_fit_the_config_are_one_line(train_plain):
    for option in ('custom_hooks.3.type=X', 'model.type.name=X'):
        with pytest.raises(SystemExit, match=r'^ValueError: --cfg-options '):
            train_plain('pass', '--cfg-options', option)


def test_a_config_with_wrong_syntax_is_one_line(run_tool, tmp_path):
    (tmp_path / 'broken.py').write_text('model = dict(')
    with pytest.raises(SystemExit, match=r"^SyntaxError: config '.*broken\.py' cannot be read: "):
        run_tool('train', tmp_path / 'broken.py')


def test_debug_shows_the_traceback(train_plain):
    with pytest.raises(ValueError, match='--max-iters must be at least 1') as error:
        train_plain('pass', '--max-iters', 0, '--debug')
    assert error.traceback[-1].name == 'set_max_iters'
    with pytest.raises(TypeError, match='colour'):
        train_plain('pass', '--cfg-options', 'custom_hooks.0.colour=1', '--debug')


@pytest.mark.parametrize('error', [AttributeError, KeyError, TypeError])
def test_a_bug_of_a_tool_shows_its_traceback(train_plain, monkeypatch, error):
    def failing(*_):
        raise error('a bug')

    monkeypatch.setattr('mmst.config.set_max_iters', failing)
    with pytest.raises(error, match='a bug'):
        train_plain('pass', '--max-iters', 3)


MISSPELT = """
_base_ = './tiny_mmpretrain.py'
model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', chioces=(2, 2, 2, 2)))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook', supervision=dict(type='mmst.GroundTruthSupervision')))
"""

TOOLS = {
    'train': (),
    'test': ('a.pth',),
    'export_subnet': ('a.pth', 'out', '--depths', '1,1,1,1'),
    'browse_st_batch': (),
    'benchmark_step': ('--iters', '1'),
}


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize('tool', TOOLS)
def test_a_misspelt_argument_is_one_line_in_every_tool(tiny, run_tool, tmp_path, monkeypatch, tool):
    config, data = tiny
    monkeypatch.chdir(tmp_path)
    weights = {'backbone.conv1.weight': torch.zeros(8, 3, 7, 7)}
    torch.save({'state_dict': weights}, tmp_path / 'a.pth')
    (file := config.with_name('misspelt.py')).write_text(MISSPELT)
    arguments = (tool, file, *TOOLS[tool], '--data-root', data)
    with pytest.raises(SystemExit, match=r"^TypeError: .* unknown argument 'chioces'[^\n]*$"):
        run_tool(*arguments)
    with pytest.raises(TypeError, match='chioces'):
        run_tool(*arguments, '--debug')


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_a_check_of_a_hook_of_mmst_is_one_line(tiny, run_tool, tmp_path):
    """It runs within Runner.train(), where the log has the traceback."""
    config, data = tiny
    file = config.with_name('st.py')
    backbone = "type='mmst.STBackbone', wraps='ResNet', chioces=(2, 2, 2, 2)"
    file.write_text(MISSPELT.replace(backbone, ''))
    with pytest.raises(SystemExit, match=r'^ValueError: model must have a backbone built by'):
        run_tool('train', file, '--data-root', data, '--work-dir', tmp_path / 'run')
    log = next(tmp_path.glob('run/*/*.log')).read_text()
    assert log.count('ValueError: model must have a backbone built by') == 1
    assert ', in before_train\n' in log


EVIL_URL = 'https://example.org/evil.pth'


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
def test_weights_that_a_model_downloads_are_read_safely(tiny, run_tool, tmp_path, monkeypatch):
    """Initialisation is where mmengine reads a URL of an ``init_cfg``, within Runner.train()."""
    config, data = tiny
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)
    torch.save({'state_dict': print}, tmp_path / 'hub/checkpoints/evil.pth')
    weights = f"dict(type='Pretrained', checkpoint='{EVIL_URL}')"
    config.write_text(config.read_text().replace('init_cfg=None', f'init_cfg={weights}'))
    refusal = r"^UntrustedCheckpointError: checkpoint 'https://example\.org/evil\.pth' is refused"
    with pytest.raises(SystemExit, match=refusal + r'.*print'):
        run_tool('train', config, '--data-root', data, '--work-dir', tmp_path / 'run')


@pytest.mark.parametrize('tiny', ['mmpretrain'], indirect=True)
@pytest.mark.parametrize('source', ['http://127.0.0.1:9/weights.pth', '/missing/weights.pth'])
def test_weights_that_cannot_be_loaded_are_named(tiny, run_tool, tmp_path, monkeypatch, source):
    """A whole model's are checked before the run; a head's are read when it is initialised."""
    config, data = tiny
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    initial = f"dict(type='Pretrained', checkpoint='{source}')"
    text = config.read_text().replace('head=dict(', f'head=dict(init_cfg={initial}, ')
    assert initial in text
    config.write_text(text)
    with pytest.raises(SystemExit, match=rf"^OSError: checkpoint '{source}' cannot be loaded: "):
        run_tool('train', config, '--data-root', data, '--work-dir', tmp_path / 'run')
