"""Files are written whole or not at all."""

import pytest

from mmst.checkpoints.write import file_sha256, write_checkpoint, write_whole


def write_first(partial):
    partial.write_text('first')


def fail(partial):
    partial.write_text('sec')
    raise KeyboardInterrupt


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    file = tmp_path / 'new' / 'file.txt'
    assert write_whole(file, write_first) == file
    with pytest.raises(KeyboardInterrupt):
        write_whole(file, fail)
    assert [path.name for path in file.parent.iterdir()] == ['file.txt']
    assert file.read_text() == 'first'


def test_an_interrupted_write_leaves_no_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / 'new' / 'deep' / 'file.txt', fail)
    assert not list(tmp_path.iterdir())


def test_what_is_written_may_choose_its_name(tmp_path):
    def write(partial):
        write_first(partial)
        return tmp_path / 'chosen.txt'

    assert write_whole(tmp_path / 'file.txt', write).read_text() == 'first'
    assert [path.name for path in tmp_path.iterdir()] == ['chosen.txt']


def test_checksum_is_that_of_the_whole_file(tmp_path):
    (tmp_path / 'a').write_bytes(b'abc')
    known = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    assert file_sha256(tmp_path / 'a') == known


def test_the_format_of_another_ending_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r'must not end in .safetensors, got .*; use .pth'):
        write_checkpoint({}, tmp_path / 'a.safetensors', 'resnet50')
    assert not list(tmp_path.iterdir())
