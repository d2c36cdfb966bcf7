"""tools/browse_st_batch.py draws the batches of every library, and says what is wrong."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmst.browse import batches

ST = """
_base_ = './{base}.py'
model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(2, 2, 2, 2)))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook',
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.5)))
"""

# mmpose encodes smaller heatmaps from keypoints in pixels of the input.
POSE = """
train_dataloader = dict(dataset=dict(pipeline=[
    *_base_.train_pipeline[:-1], dict(type='PackPoseInputs', pack_transformed=True)]))
"""

PICTURES = {
    'mmdet': ['instances'],
    'mmseg': ['semantic map'],
    'mmpose': ['keypoints', 'heatmaps'],
    'mmpretrain': ['labels'],
}


@pytest.fixture
def stimulative(tiny):
    """A tiny config of stimulative training, and data for it."""
    config, data = tiny
    file = config.with_name('stimulative.py')
    pose = POSE if 'mmpose' in config.stem else ''
    file.write_text(ST.format(base=config.stem) + pose)
    return file, data


@pytest.fixture
def sheets(monkeypatch):
    """Columns and enlargement of every sheet, and the bare picture of each of its columns."""
    made, bare = [], []
    compose, undo = batches.compose_sheet, batches.input_pictures

    def spy_compose(columns, zoom):
        made.append((columns, zoom, bare.copy()))
        bare.clear()
        return compose(columns, zoom)

    def spy_undo(*arguments):
        pictures = undo(*arguments)
        bare.extend(pictures)
        return pictures

    monkeypatch.setattr(batches, 'compose_sheet', spy_compose)
    monkeypatch.setattr(batches, 'input_pictures', spy_undo)
    return made


def test_batches_of_each_library_are_drawn(stimulative, run_tool, sheets, tmp_path, capsys):
    config, data = stimulative
    library = next(name for name in PICTURES if f'tiny_{name}' in config.read_text())
    out = tmp_path / 'out'
    options = ['--num-batches', 2, '--seed', 3]
    hook = 'default_hooks.stimulative.num_subnets=2'
    run_tool(
        'browse_st_batch', config, '--data-root', data, '--out-dir', out, *options,
        '--cfg-options', hook,
    )  # fmt: skip
    files = sorted(out.glob('*.jpg'))
    assert [file.name for file in files] == [
        f'batch00{batch}_image0{image}.jpg' for batch in (0, 1) for image in (0, 1)
    ]
    assert capsys.readouterr().out.splitlines()[-1] == f'4 pictures in {out}'
    ratios = set()
    for file, (columns, zoom, bare) in zip(files, sheets, strict=True):
        assert zoom == 4 and len(columns) == len(bare) == 3
        sheet = cv2.imread(str(file))[..., ::-1]
        for column, picture in zip(columns, bare, strict=True):
            assert list(column.pictures) == PICTURES[library]
            sizes = dict(line.split(' ', 1) for line in column.title[2:])
            assert sizes['input'] == f'{picture.shape[0]} x {picture.shape[1]}'
            height, width = map(int, sizes['image'].split(' x '))
            assert height == width == round(64 * float(sizes['ratio']))
            ratios.add(sizes['ratio'])
            assert picture[:height, :width].std() > 20  # not blank
            for drawn in column.pictures.values():
                assert drawn.shape == picture.shape
                assert (drawn != picture).any(axis=2).sum() > 10
                assert_in_sheet(drawn, sheet, zoom)
    assert len(ratios) > 2 and '1.000' in ratios
    if library != 'mmpose':  # which crops people
        images = [cv2.imread(str(path))[..., ::-1] for path in data.rglob('*.png')]
        for _, _, (main, *_) in sheets:
            assert any(np.array_equal(main, image) for image in images)


def assert_in_sheet(picture, sheet, zoom):
    """Finds a picture in a sheet that was compressed."""
    enlarged = np.ascontiguousarray(picture.repeat(zoom, axis=0).repeat(zoom, axis=1))
    match = cv2.matchTemplate(np.ascontiguousarray(sheet), enlarged, cv2.TM_SQDIFF)
    assert match.min() / enlarged.size < 150


detection = pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)


@detection
def test_mini_and_no_rule_of_inputs(stimulative, run_tool, sheets, tmp_path):
    config, data = stimulative
    options = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    options += ['default_hooks.stimulative.inputs=None']
    run_tool(
        'browse_st_batch', config, '--mini', '--data-root', data, '--out-dir', tmp_path,
        '--num-batches', 1, '--cfg-options', *options,
    )  # fmt: skip
    assert len(sheets) == 2  # the batch size of --mini
    for (main, subnet), _, _ in sheets:
        assert main.title[2:] == subnet.title[2:] == ['input 160 x 160']
        np.testing.assert_array_equal(main.pictures['instances'], subnet.pictures['instances'])


@detection
def test_it_runs_with_no_other_library_and_in_a_default_folder(stimulative, run_tool, monkeypatch):
    config, data = stimulative
    monkeypatch.chdir(config.parent)
    for name in ('mmseg', 'mmpose', 'mmpretrain'):
        monkeypatch.setitem(sys.modules, name, None)
    run_tool('browse_st_batch', config, '--data-root', data, '--num-batches', 1)
    assert len(list(Path('work_dirs/browse_st_batch/stimulative').glob('*.jpg'))) == 2


@detection
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--num-batches', '0'], r'--num-batches must be at least 1, got 0'),
        (['--seed', '-1'], r'--seed must be at least 0'),
        (['--data-root', 'gone'], r"--data-root must be an existing folder, got 'gone'"),
        (['--cfg-options', 'default_hooks.stimulative=None'], r'one mmst\.StimulativeHook, got 0'),
        (['--cfg-options', 'default_hooks.stimulative.colour=red'], r'TypeError.*colour'),
        (['--cfg-options', 'train_dataloader.dataset.ann_file=x.json'], r"there is no '.*x\.json'"),
    ],
)
def test_what_is_wrong_is_said_first(stimulative, run_tool, tmp_path, arguments, message):
    config, data = stimulative
    if '--data-root' not in arguments:
        arguments = ['--data-root', data, *arguments]
    with pytest.raises(SystemExit, match=message):
        run_tool('browse_st_batch', config, '--out-dir', tmp_path / 'out', *arguments)
    assert not (tmp_path / 'out').exists()


@detection
def test_a_missing_config_is_said_first(stimulative, run_tool, tmp_path):
    with pytest.raises(SystemExit, match=r"config must be an existing file, got '.*gone\.py'"):
        run_tool('browse_st_batch', tmp_path / 'gone.py')
