"""A part of the batch, a lattice of sizes: what subnets then see."""

import pytest

from mmst.core import Draw, sample_images
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.supervision import GroundTruthSupervision


@pytest.fixture
def seen(monkeypatch):
    """Records inputs and labels of each subnet pass."""
    batches = []
    losses = GroundTruthSupervision.losses

    def recording(self, model, inputs, data_samples, logits):
        labels = [sample.gt_instances.labels[:1].tolist() for sample in data_samples]
        batches.append((tuple(inputs.shape), labels))
        return losses(self, model, inputs, data_samples)

    monkeypatch.setattr(GroundTruthSupervision, 'losses', recording)
    return batches


def test_subnets_see_the_drawn_images(make_classifier_runner, hook_config, seen):
    hook = hook_config(num_subnets=2, batch_fraction=0.5)
    runner = make_classifier_runner(hook, batch_size=4, length=4, max_iters=3)
    runner.train()
    assert len(seen) == 6
    for position, (shape, labels) in enumerate(seen):
        step, index = divmod(position, 2)
        images = sample_images(4, 0.5, seed=7, step=step, index=index)
        assert labels == [[image] for image in images]
        assert shape[0] == len(labels) == 2
    assert len({str(labels) for _, labels in seen}) > 2
    # The images that are left out cost nothing.
    whole = make_classifier_runner(hook_config(num_subnets=2), batch_size=4, max_iters=1)
    whole.train()
    ratio = runner.record.subnet[0]['cost'][0] / whole.record.subnet[0]['cost'][0]
    assert ratio == pytest.approx(0.5)


def test_part_of_a_batch_at_full_size(make_classifier_runner, hook_config, seen):
    hook = hook_config(inputs=None, batch_fraction=0.25)
    make_classifier_runner(hook, batch_size=4, length=4, max_iters=2).train()
    assert [shape for shape, _ in seen] == [(1, 3, 64, 64)] * 2


def test_part_of_a_batch_of_several_sizes_is_as_large_as_its_images(
    make_toy_runner, hook_config, seen
):
    runner = make_toy_runner(hook_config(batch_fraction=0.5), max_iters=4, shuffle=False)
    runner.train()
    sizes_hw = [
        sample['data_samples'].img_shape for sample in runner.train_dataloader.dataset.samples
    ]
    expected = []
    for step in range(4):
        draw = Draw(7, step, 0)
        (image,) = sample_images(2, 0.5, **vars(draw))
        image_hw = RandomSmallerInput(0.5).sizes(sizes_hw[2 * step + image], draw)[-1]
        expected.append((1, 3, *(-(-side // 32) * 32 for side in image_hw)))
    assert [shape for shape, _ in seen] == expected
    assert len(set(expected)) > 1


def test_sizes_lie_on_the_lattice(make_classifier_runner, hook_config):
    inputs = {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.3, 'size_divisor': 16}
    runner = make_classifier_runner(hook_config(inputs=inputs), max_iters=12)
    runner.train()
    assert {values['size'][0] for values in runner.record.subnet} == {32, 48, 64}
    assert repr(RandomSmallerInput(0.3, 16)).endswith(', multiples of 16')


@pytest.mark.parametrize('fraction', [0, -0.5, 1.5, '1', None])
def test_fraction_out_of_range_is_refused(make_classifier_runner, hook_config, fraction):
    with pytest.raises(ValueError, match=r'batch_fraction must be in \(0, 1\], got'):
        make_classifier_runner(hook_config(batch_fraction=fraction))


@pytest.mark.parametrize('divisor', [0, -32, 1.5, True, None])
def test_divisor_out_of_range_is_refused(divisor):
    with pytest.raises(ValueError, match='size_divisor must be an integer of at least 1, got'):
        RandomSmallerInput(0.5, divisor)


def test_lattice_without_a_size_is_an_error_at_the_first_batch(make_classifier_runner, hook_config):
    inputs = {'type': 'mmst.RandomSmallerInput', 'size_divisor': 128}
    runner = make_classifier_runner(hook_config(inputs=inputs, begin=2), max_iters=3)
    with pytest.raises(ValueError, match='size_divisor must have a multiple.*128 for .* 27 to 64'):
        runner.train()
    assert runner.iter == 0


def test_later_batch_without_a_size_keeps_its_own(
    make_classifier_runner, hook_config, seen, monkeypatch
):
    """The run goes on, and the batches after it draw what they would have drawn."""
    inputs = {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.6, 'size_divisor': 64}

    def train():
        seen.clear()
        runner = make_classifier_runner(hook_config(inputs=inputs), length=6, max_iters=3)
        runner.train()
        counts = [values.get('size_fallbacks', (0,))[0] for values in runner.record.subnet]
        return [shape[-2:] for shape, _ in seen], counts

    assert train() == ([(64, 64)] * 3, [0, 0, 0])
    images = type(make_classifier_runner(None).train_loop.dataloader.dataset)
    whole = images.__getitem__

    def cropped(self, index):
        item = whole(self, index)
        if index in (2, 3):
            item['inputs'] = item['inputs'][:, :40, :44]
            item['data_samples'].set_metainfo({'img_shape': (40, 44)})
        return item

    monkeypatch.setattr(images, '__getitem__', cropped)
    assert train() == ([(64, 64), (40, 44), (64, 64)], [0, 1, 1])
