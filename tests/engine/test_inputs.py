"""The rule of input sizes, beyond the draw itself."""

import pytest
import torch

from mmst.core import Draw, resize_batch, scale_size
from mmst.engine.batch import check_batch, draw_subnet_batch
from mmst.engine.inputs import RandomSmallerInput


def draw(model, data, rule, index, fraction=1.0):
    draw = Draw(seed=3, step=5, index=index)
    return draw_subnet_batch(model, **data, draw=draw, rule=rule, batch_fraction=fraction)


@pytest.fixture
def square_batch(make_toy, toy_batch):
    """A detector, and a batch of two images of 64 x 64 pixels without padding."""
    model = make_toy()
    return model, toy_batch(model, (2, 6))


def test_images_of_a_batch_are_scaled_by_one_ratio_each_by_itself(make_toy, toy_batch):
    model = make_toy()
    data = toy_batch(model, (2, 3))
    batch = draw(model, data, RandomSmallerInput(0.43), index=0)
    ratio = min(batch.image_hw) / 80
    assert batch.image_hw == batch.sizes_hw[1] and ratio < 0.8
    for place, (main_height, main_width) in enumerate([(64, 64), (80, 96)]):
        height, width = batch.sizes_hw[place]
        assert (height, width) == scale_size((main_height, main_width), ratio)
        image = data['inputs'][place : place + 1, :, :main_height, :main_width]
        expected = resize_batch(image, (height, width))[0]
        torch.testing.assert_close(batch.inputs[place, :, :height, :width], expected)
        assert not batch.inputs[place, :, height:].any()
        assert not batch.inputs[place, :, :, width:].any()
        factor = torch.tensor([width / main_width, height / main_height] * 2)
        main, ours = (
            samples[place].gt_instances.bboxes
            for samples in (data['data_samples'], batch.data_samples)
        )
        torch.testing.assert_close(ours, main * factor)


def test_compound_inputs_are_resized_one_after_the_other(square_batch):
    """As in the authors' code: subnet k sees what subnet k - 1 saw, at its own size."""
    model, data = square_batch
    rule, chain = RandomSmallerInput(0.43), RandomSmallerInput(0.43, compound=True)
    images, sizes = data['inputs'], []
    for index in range(4):
        direct, compound = (draw(model, data, each, index) for each in (rule, chain))
        images = resize_batch(images, direct.image_hw)
        sizes.append(direct.image_hw)
        assert compound.image_hw == direct.image_hw
        height, width = direct.image_hw
        torch.testing.assert_close(compound.inputs[..., :height, :width], images)
        assert torch.equal(compound.inputs, direct.inputs) == (index == 0)
        for one, other in zip(compound.data_samples, direct.data_samples, strict=True):
            assert torch.equal(one.gt_instances.bboxes, other.gt_instances.bboxes)
            assert one.img_shape == other.img_shape
    assert len(set(sizes)) == 4


def test_compound_inputs_of_part_of_a_batch_are_those_of_its_images(square_batch):
    model, data = square_batch
    rule = RandomSmallerInput(0.43, compound=True)
    whole, half = (draw(model, data, rule, 2, fraction) for fraction in (1.0, 0.5))
    torch.testing.assert_close(half.inputs, whole.inputs[list(half.images)])


def test_the_rule_says_that_it_is_compound():
    text = "shorter side uniform in [0.43, 1] of the main network's"
    assert str(RandomSmallerInput()) == text
    assert str(RandomSmallerInput(compound=True)) == f'{text}, resized one after the other'


def test_batch_without_a_size_on_the_lattice_keeps_its_own(square_batch):
    """It can be told from the sizes that were drawn; batches beside it draw what they did."""
    model, data = square_batch
    rule = RandomSmallerInput(0.5, size_divisor=48)
    usual = draw(model, data, rule, index=1)
    assert usual.image_hw == (48, 48)
    assert not rule.is_fallback(usual.image_hw)
    data['inputs'] = data['inputs'][..., :40, :]
    for sample in data['data_samples']:
        sample.set_metainfo({'img_shape': (40, 64)})
    unusual = draw(model, data, rule, index=1)
    assert unusual.image_hw == (40, 64)
    assert torch.equal(unusual.inputs, data['inputs'])
    assert rule.is_fallback(unusual.image_hw)
    with pytest.raises(ValueError, match='size_divisor must have a multiple .* 48 for .* 20 to 40'):
        rule.smallest_sizes((40, 64))


def test_a_kept_canvas_holds_the_smaller_images_in_its_upper_left_corner(square_batch):
    model, data = square_batch
    fit, keep = (RandomSmallerInput(0.43, canvas=canvas) for canvas in ('fit', 'keep'))
    smaller, kept = (draw(model, data, rule, index=2) for rule in (fit, keep))
    height, width = kept.image_hw
    assert kept.image_hw == smaller.image_hw
    assert smaller.inputs.shape[-2:] == (32, 32)  # with the padding of the preprocessor
    assert kept.inputs.shape == data['inputs'].shape
    expected = resize_batch(data['inputs'], (height, width))
    torch.testing.assert_close(kept.inputs[..., :height, :width], expected)
    assert not kept.inputs[..., height:, :].any() and not kept.inputs[..., width:].any()
    for one, other in zip(kept.data_samples, smaller.data_samples, strict=True):
        assert torch.equal(one.gt_instances.bboxes, other.gt_instances.bboxes)
        assert (one.img_shape, one.batch_input_shape) == ((height, width), (64, 64))


def test_a_kept_canvas_saves_no_time_and_says_so():
    keep = RandomSmallerInput(0.43, canvas='keep')
    assert keep.expected_area_ratio == 1
    assert RandomSmallerInput(0.43).expected_area_ratio == pytest.approx(0.538, abs=1e-3)
    assert str(keep) == f'{RandomSmallerInput(0.43)}, padded to the old size of the input'
    with pytest.raises(ValueError, match=r"canvas must be one of \('fit', 'keep'\), got 'crop'"):
        RandomSmallerInput(canvas='crop')


def test_larger_inputs_have_ground_truth_at_that_size(square_batch):
    model, data = square_batch
    rule = RandomSmallerInput(1.0, max_ratio=2.0)
    batch = draw(model, data, rule, index=1)
    height, width = batch.image_hw
    assert 64 < height == width <= 128
    expected = resize_batch(data['inputs'], (height, width))
    torch.testing.assert_close(batch.inputs[..., :height, :width], expected)
    for ours, main in zip(batch.data_samples, data['data_samples'], strict=True):
        expected = main.gt_instances.bboxes * (height / 64)
        torch.testing.assert_close(ours.gt_instances.bboxes, expected)
    assert rule.changes_size
    assert rule.expected_area_ratio == pytest.approx(7 / 3)
    assert str(rule) == "shorter side uniform in [1, 2] of the main network's"
    with pytest.raises(ValueError, match="max_ratio must be 1 with canvas='keep', got 2"):
        RandomSmallerInput(canvas='keep', max_ratio=2)


def test_the_largest_size_is_checked_before_a_run(square_batch, monkeypatch):
    model, data = square_batch
    checked = []
    monkeypatch.setattr(
        'mmst.engine.batch.resize_padded_batch',
        lambda inputs, old, new, *rest: checked.append(new[0]) or resize_batch(inputs, rest[0]),
    )
    check_batch(model, **data, rule=RandomSmallerInput(0.5, max_ratio=1.5))
    assert checked == [(32, 32), (96, 96)]


def test_transforms_of_a_detectors_images_are_refused(square_batch):
    """Boxes would have to follow a flip."""
    model, data = square_batch
    rule = RandomSmallerInput(transforms=[{'type': 'RandomHorizontalFlip'}])
    message = 'got RandomHorizontalFlip for Sample; they are for classifiers'
    with pytest.raises(ValueError, match=message):
        check_batch(model, **data, rule=rule)
