"""The checkpoint that a run starts from is read before training does."""

import pytest
import torch
from mmengine.config import Config

from mmst.checkpoints import check_checkpoint


def test_the_latest_checkpoint_is_read_before_training_starts(tmp_path):
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'last.pth'))
    (tmp_path / 'last.pth').write_bytes(b'PK\x03\x04 and no more')
    cfg = Config({'resume': True, 'load_from': None, 'work_dir': str(tmp_path)})
    with pytest.raises(ValueError, match=r'last\.pth.*damaged'):
        check_checkpoint(cfg)


def test_a_new_work_dir_has_nothing_to_check(tmp_path):
    check_checkpoint(Config({'resume': True, 'load_from': None, 'work_dir': str(tmp_path)}))


def test_a_missing_checkpoint_is_named():
    with pytest.raises(FileNotFoundError, match=r"an existing file, got 'gone\.pth'"):
        check_checkpoint(Config({'load_from': 'gone.pth'}))


def damaged(file):
    """Writes a checkpoint and changes one byte of a tensor in it."""
    torch.save({'state_dict': {'a': torch.arange(1000)}, 'meta': {'seed': 3}}, file)
    content = bytearray(file.read_bytes())
    position = content.find(torch.arange(1000).numpy().tobytes()[800:1600])
    content[position] ^= 255
    file.write_bytes(content)


def truncated(file):
    torch.save({'state_dict': {'a': torch.arange(1000)}}, file)
    file.write_bytes(file.read_bytes()[:-500])


@pytest.fixture
def work_dir(tmp_path):
    for step in (2, 4, 10):
        torch.save({'state_dict': {}, 'meta': {'seed': 5}}, tmp_path / f'iter_{step}.pth')
    torch.save({}, tmp_path / 'best.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_10.pth'))
    return tmp_path


def resumed(work_dir, **settings):
    return Config({'resume': True, 'load_from': None, 'work_dir': str(work_dir), **settings})


@pytest.mark.parametrize('damage', [damaged, truncated])
def test_damaged_last_checkpoint_names_the_one_before(work_dir, damage):
    damage(work_dir / 'iter_10.pth')
    message = (
        r'iter_10\.pth.*damaged.*newest readable.*iter_4\.pth: continue with --resume .*iter_4'
    )
    with pytest.raises(ValueError, match=message):
        check_checkpoint(resumed(work_dir))
    damage(work_dir / 'iter_4.pth')
    with pytest.raises(ValueError, match=r'newest readable.*iter_2\.pth'):
        check_checkpoint(resumed(work_dir))
    damage(work_dir / 'iter_2.pth')
    with pytest.raises(ValueError, match='no readable checkpoint before it.*leave --resume out'):
        check_checkpoint(resumed(work_dir))


def test_missing_last_checkpoint_names_the_one_before(work_dir):
    (work_dir / 'iter_10.pth').unlink()
    with pytest.raises(FileNotFoundError, match=r'iter_10\.pth.*--resume .*iter_4\.pth'):
        check_checkpoint(resumed(work_dir))


@pytest.mark.parametrize('content', ['/gone/iter_4.pth', ''], ids=['moved', 'cut off'])
def test_last_checkpoint_that_leads_nowhere_names_the_newest(work_dir, content):
    """As in a work dir that was moved, or killed while the name was written."""
    (work_dir / 'last_checkpoint').write_text(content)
    message = r'last_checkpoint\); the newest readable checkpoint is .*iter_10\.pth: continue'
    with pytest.raises(FileNotFoundError, match=message):
        check_checkpoint(resumed(work_dir))


def test_later_checkpoints_are_not_offered(work_dir):
    damaged(work_dir / 'iter_4.pth')
    with pytest.raises(ValueError, match=r'newest readable.*iter_2\.pth'):
        check_checkpoint(resumed(work_dir, load_from=str(work_dir / 'iter_4.pth')))


def test_resumed_run_without_a_seed_takes_the_interrupted_ones(work_dir):
    cfg = resumed(work_dir, randomness={'deterministic': True})
    check_checkpoint(cfg)
    assert cfg.randomness == {'deterministic': True, 'seed': 5}
    cfg = resumed(work_dir, randomness={'seed': 9})
    check_checkpoint(cfg)
    assert cfg.randomness.seed == 9
    fresh = Config({'load_from': str(work_dir / 'iter_4.pth')})
    check_checkpoint(fresh)
    assert 'randomness' not in fresh
