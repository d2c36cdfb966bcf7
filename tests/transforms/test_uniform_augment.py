"""UniformAugment: which operations, how often, at which levels, on what images."""

import subprocess
import sys
from collections import Counter

import mmcv
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from scipy import stats

import mmst
from mmst.transforms.uniform_augment import RelativeCutout

OPERATIONS = {  # -> lowest and highest level; None: there is no level
    'Shear horizontal': (-0.3, 0.3),
    'Shear vertical': (-0.3, 0.3),
    'Translate horizontal': (-0.45, 0.45),
    'Translate vertical': (-0.45, 0.45),
    'Rotate': (-30, 30),
    'AutoContrast': None,
    'Invert': None,
    'Equalize': None,
    'Solarize': (0, 256),
    'Posterize': (3, 7),
    'Contrast': (-0.9, 0.9),
    'ColorTransform': (-0.9, 0.9),
    'Brightness': (-0.9, 0.9),
    'Sharpness': (-0.9, 0.9),
    'RelativeCutout': (0, 0.2),
    'Identity': None,
}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def operations():
    """The operations of a transform by name."""

    def named(**arguments):
        return {
            f'{type(t).__name__} {getattr(t, "direction", "")}'.strip(): t
            for t in mmst.UniformAugment(**arguments)
        }

    return named


def test_it_has_the_16_operations_with_their_levels(operations):
    found = operations()
    assert set(found) == set(OPERATIONS)
    for name, levels in OPERATIONS.items():
        transform = found[name]
        if name == 'Identity':
            continue
        assert transform.prob == 0.5
        if levels is None:
            continue
        assert transform.magnitude_range == (max(levels[0], 0), levels[1]), name
        assert transform.random_negative_prob == (0.5 if levels[0] < 0 else 0), name


@pytest.mark.parametrize(
    ('name', 'levels'), [item for item in OPERATIONS.items() if item[1] is not None]
)
def test_levels_are_uniform(operations, name, levels):
    np.random.seed(0)
    transform = operations()[name]
    drawn = [transform.random_negative(transform.random_magnitude()) for _ in range(2000)]
    low, high = levels
    assert stats.kstest(drawn, stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_two_operations_are_drawn_with_replacement():
    np.random.seed(0)
    transform = mmst.UniformAugment()
    pairs = [tuple(transform.random_policy_indices()) for _ in range(8000)]
    assert {len(pair) for pair in pairs} == {2}
    counts = Counter(pairs)
    assert len(counts) == 16**2  # a pair of the same, and both orders of all others
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize('prob', [0.0, 0.25, 0.5, 1.0])
def test_each_operation_is_applied_with_its_probability(operations, prob):
    np.random.seed(0)
    for name, transform in operations(prob=prob).items():
        if name != 'Identity':
            applied = sum(not transform.random_disable() for _ in range(1500))
            assert stats.binomtest(applied, 1500, prob).pvalue > 1e-3, name


def test_an_image_goes_through_what_was_drawn(image, monkeypatch, operations):
    transform = mmst.UniformAugment(num_ops=3, prob=1.0)
    names = list(operations())
    chosen = [names.index(name) for name in ('Invert', 'Solarize', 'Invert')]
    monkeypatch.setattr(transform, 'random_policy_indices', lambda: chosen)
    monkeypatch.setattr(transform.transforms[chosen[1]], 'random_magnitude', lambda: 100)
    result = transform({'img': image.copy(), 'gt_label': 3})
    expected = mmcv.iminvert(mmcv.solarize(mmcv.iminvert(image), 100))
    np.testing.assert_array_equal(result['img'], expected)
    assert result['gt_label'] == 3


@pytest.mark.parametrize(
    ('name', 'level', 'expected'),
    [
        ('Shear horizontal', 0.2, lambda x: mmcv.imshear(x, 0.2, border_value=9)),
        ('Rotate', 20, lambda x: mmcv.imrotate(x, 20, border_value=9)),
        ('Translate vertical', 0.25, lambda x: mmcv.imtranslate(x, 10, 'vertical', 9)),
        ('Posterize', 3.2, lambda x: x & 0b11110000),
        ('Contrast', 0.5, lambda x: mmcv.adjust_contrast(x, 1.5)),
        ('Brightness', 0.5, lambda x: mmcv.adjust_brightness(x, 1.5)),
        ('Identity', None, lambda x: x),
    ],
)
def test_operations_give_the_values_of_mmcv(operations, image, name, level, expected):
    transform = operations(prob=1.0, pad_val=9, interpolation='bilinear')[name]
    transform.random_magnitude, transform.random_negative = lambda: level, lambda value: value
    np.testing.assert_array_equal(transform({'img': image})['img'], expected(image))


def test_cutout_is_relative_to_the_shorter_side(operations, monkeypatch):
    transform = operations(prob=1.0, cutout_val=(7, 8, 9))['RelativeCutout']
    assert isinstance(transform, RelativeCutout)
    monkeypatch.setattr(transform, 'random_magnitude', lambda: 0.2)
    np.random.seed(0)
    for _ in range(20):
        cut = transform({'img': np.zeros((40, 60, 3), np.uint8)})['img']
        rows, columns = np.nonzero(cut[..., 0])
        assert 4 <= np.ptp(rows) + 1 <= 8 and 4 <= np.ptp(columns) + 1 <= 8
        assert np.unique(cut[cut[..., 0] > 0], axis=0).tolist() == [[7, 8, 9]]


def test_what_comes_in_is_black_and_the_cutout_grey(operations):
    white = np.full((40, 60, 3), 255, np.uint8)
    found = operations(prob=1.0)
    for name in ('Shear vertical', 'Translate horizontal', 'Rotate'):
        assert set(np.unique(found[name]({'img': white})['img'])) == {0, 255}
    np.random.seed(0)
    cut = found['RelativeCutout']({'img': white})['img']
    assert np.unique(cut.reshape(-1, 3), axis=0).tolist() == [[114, 123, 125], [255] * 3]


def test_shape_and_type_stay_and_the_input_is_not_changed(image):
    np.random.seed(0)
    transform = mmst.UniformAugment(num_ops=4, prob=1.0, interpolation='bicubic')
    before, outputs = image.copy(), set()
    for _ in range(200):
        output = transform({'img': image})['img']
        assert (output.shape, output.dtype) == (image.shape, np.uint8)
        outputs.add(output.tobytes())
    assert len(outputs) > 150
    np.testing.assert_array_equal(image, before)


def test_a_seed_gives_the_same_images(image):
    transform = mmst.UniformAugment(prob=1.0)

    def augmented(seed):
        np.random.seed(seed)
        return np.stack([transform({'img': image})['img'] for _ in range(20)])

    np.testing.assert_array_equal(augmented(1), augmented(1))
    assert not np.array_equal(augmented(1), augmented(2))


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmdet'])
def test_it_works_in_a_pipeline_of_mmpretrain(tmp_path, image, scope):
    mmcv.imwrite(image, str(tmp_path / 'image.png'))
    steps = ['LoadImageFromFile', 'mmst.UniformAugment', 'mmpretrain.PackInputs']
    with DefaultScope.overwrite_default_scope(scope):
        pipeline = Compose([TRANSFORMS.build({'type': step}) for step in steps])
        packed = pipeline({'img_path': str(tmp_path / 'image.png'), 'gt_label': 2})
    assert packed['inputs'].shape == (3, 40, 60)
    assert packed['data_samples'].gt_label.tolist() == [2]


def test_mmengine_and_mmst_find_the_same_class():
    assert ROOT_TRANSFORMS.get('mmst.UniformAugment') is mmst.UniformAugment
    with pytest.raises(AttributeError, match=r"module 'mmst' has no attribute 'Uniform'"):
        _ = mmst.Uniform


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'num_ops': 0}, r'num_ops must be an integer of at least 1, got 0'),
        ({'num_ops': 1.5}, r'num_ops must be an integer of at least 1, got 1\.5'),
        ({'prob': 1.2}, r'prob must lie in \[0, 1\], got 1\.2'),
        ({'pad_val': 256}, r'pad_val must be one or three integers in \[0, 255\], got 256'),
        ({'cutout_val': (1, 2)}, r'cutout_val must be one or three integers .*got \(1, 2\)'),
        ({'interpolation': 'cubic'}, r"interpolation must be one of \('nearest', .*got 'cubic'"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        mmst.UniformAugment(**arguments)


@pytest.mark.parametrize('shape', [(4, 4), (4, 4, 1), (4, 4, 3)])
def test_other_images_are_refused(shape):
    kind = np.float32 if shape[-1] == 3 else np.uint8
    with pytest.raises(ValueError, match=r'needs images of shape \(H, W, 3\) and type uint8, got'):
        mmst.UniformAugment()({'img': np.zeros(shape, kind)})


@pytest.mark.parametrize(
    'use', ['mmst.UniformAugment', "mmst.registry.TRANSFORMS.get('UniformAugment')"]
)
def test_a_missing_mmpretrain_is_named(use):
    code = f"import sys, mmst, mmst.registry; sys.modules['mmpretrain'] = None; {use}"
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    last = result.stderr.splitlines()[-1]
    assert last.startswith(
        'ImportError: mmst.UniformAugment and mmst.PCALighting need mmpretrain'
    ), result.stderr
    assert 'pip install -e ".[cls]"' in last
