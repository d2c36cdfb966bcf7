"""Models of mmpretrain that reconstruct images are trained with subnets of their encoders."""

import copy
import inspect
import logging
from collections import Counter

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from recorded_run import HOOK, loader, recorded_runner
from torch.utils.data import Dataset

from mmst.core import Draw, depth_cost, residual_stages
from mmst.engine.main_forward import MainCall
from mmst.engine.random_state import private_random_state
from mmst.engine.run_checks import check_inputs, learns_from_images
from mmst.engine.subnet_pass import SubnetTrainer
from mmst.engine.summary import count_depth_cost
from mmst.engine.supervision import GroundTruthSupervision

pytest.importorskip('mmpretrain')
reconstructors = pytest.importorskip('reconstructors')

WEIGHT = 0.5
FULL_SIZE = {**HOOK, 'inputs': None, 'weight': WEIGHT}
SINGLE = {'MaskFeat'}
"""Its HOG features are computed in single precision only."""


@pytest.fixture
def default_scope():
    """mmpretrain's modules are built by their bare names."""
    from mmengine.registry import DefaultScope
    from mmpretrain.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    DefaultScope.get_instance('mmst-tests', scope_name='mmpretrain')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def backward(model, batch, weight=1.0):
    """Adds the gradients of the weighted loss; returns the loss."""
    loss, _ = model.parse_losses(model.forward(**batch, mode='loss'))
    (weight * loss).backward()
    return loss.detach()


def calls_of_blocks(backbone):
    """Counts the calls of each block from now on."""
    counts = Counter()
    for stage, blocks in enumerate(residual_stages(backbone)):
        for index, block in enumerate(blocks):
            key = (stage, index)
            block.module.register_forward_hook(lambda *_, key=key: counts.update([key]))
    return counts


def smaller_draw(space):
    """The first draw of a subnet with fewer blocks."""
    draws = (Draw(0, step) for step in range(99))
    return next(d for d in draws if sum(space.sample(**vars(d)).depths) < sum(space.full))


@pytest.mark.parametrize('name', reconstructors.CONFIGS)
def test_gradient_is_that_of_both_losses_of_every_model(name):
    """Against a network that is rebuilt without the skipped blocks, under equal random states."""
    dtype, tolerance = (torch.float32, 1e-4) if name in SINGLE else (torch.float64, 1e-9)
    model, batch = reconstructors.make_model(name).to(dtype), reconstructors.make_batch(name)
    batch['inputs'] = batch['inputs'].to(dtype)
    draw = smaller_draw(model.backbone.depth_space)
    depths = model.backbone.depth_space.sample(**vars(draw)).depths
    plain = copy.deepcopy(model)
    rebuilt = reconstructors.make_model(name, depths=depths).to(dtype)
    state = {k: v for k, v in model.state_dict().items() if k in rebuilt.state_dict()}
    rebuilt.load_state_dict(state, strict=True)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    trainer = SubnetTrainer(model, model.backbone, GroundTruthSupervision(), wrapper)
    counts = calls_of_blocks(model.backbone)

    torch.manual_seed(5)
    expected_loss = backward(plain, batch)
    torch.manual_seed(5)
    subnet_pass = trainer.train(draw, MainCall(**batch), WEIGHT)
    assert torch.equal(backward(model, batch), expected_loss)
    with private_random_state(subnet_pass.random_key, torch.device('cpu')):
        subnet_loss = backward(rebuilt, batch, WEIGHT)
    torch.testing.assert_close(subnet_pass.values['loss'], subnet_loss)
    assert not torch.equal(subnet_loss, expected_loss)

    assert counts == {
        (stage, index): 2 if index < depths[stage] else 1
        for stage, blocks in enumerate(residual_stages(model.backbone))
        for index in range(len(blocks))
    }
    added = {key: p.grad for key, p in rebuilt.named_parameters() if p.grad is not None}
    assert sum(bool(gradient.any()) for gradient in added.values()) > 10
    for key, parameter in plain.named_parameters():
        got, expected = model.get_parameter(key).grad, parameter.grad
        assert (got is None) == (expected is None), key
        if expected is not None:
            expected = expected + added.get(key, 0)
            torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance, msg=key)
    for key, buffer in plain.named_buffers():
        assert torch.equal(model.get_buffer(key), buffer), key


def test_encoders_that_take_a_mask_are_counted_without_one():
    """SimMIM's Swin needs a mask as an argument, and then computes what a Swin computes."""
    encoder = reconstructors.make_model('SimMIM').backbone
    cfg = dict(reconstructors.CONFIGS['SimMIM']['backbone'], type='mmst.STBackbone')
    swin = MODELS.build({**cfg, 'wraps': 'SwinTransformer', 'out_indices': (3,)})
    counted = depth_cost(encoder, (64, 64))
    assert counted == depth_cost(swin, (64, 64)) and min(counted.blocks[0]) > 0


def test_flops_are_counted_at_the_only_size_that_an_encoder_takes():
    encoder = reconstructors.make_model('MAE').backbone
    counted = count_depth_cost(encoder, logging.getLogger('mmst-tests'))
    assert counted is not None and counted == depth_cost(encoder, (32, 32))


def models_of_mmpretrain():
    from mmpretrain.registry import MODELS

    for cls in MODELS.module_dict.values():
        if inspect.isclass(cls) and issubclass(cls, BaseModel) and not inspect.isabstract(cls):
            yield cls


def test_every_model_that_reconstructs_one_view_is_tested_here():
    one_view = set()
    for cls in filter(learns_from_images, models_of_mmpretrain()):
        try:
            check_inputs(cls, type(None))
            one_view.add(cls.__name__)
        except ValueError as error:
            assert 'whose loss takes several' in str(error)
    assert one_view == {config['type'] for config in reconstructors.CONFIGS.values()}


def test_two_normalisations_of_an_image_are_refused():
    """iTPN takes pixels or features of CLIP as its target; the loss's hint is that of the first."""
    from mmpretrain.models import SelfSupDataPreprocessor, TwoNormDataPreprocessor
    from mmpretrain.models.selfsup import iTPN

    check_inputs(iTPN, SelfSupDataPreprocessor)
    with pytest.raises(ValueError, match=r'got iTPN, .* several \(TwoNormDataPreprocessor\)'):
        check_inputs(iTPN, TwoNormDataPreprocessor)


class Pictures(Dataset):
    """The images of a batch as a dataset gives them."""

    def __init__(self, name, length=6):
        batch = reconstructors.make_batch(name, length)
        self.images = (batch['inputs'] * 40 + 120).clamp(0, 255).byte()
        self.samples = batch['data_samples']

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {'inputs': self.images[index], 'data_samples': self.samples[index].clone()}


PREPROCESSOR = {'type': 'SelfSupDataPreprocessor', 'mean': [120.0] * 3, 'std': [40.0] * 3}


def make_runner(name, hook, tmp_path, backbone=None, **settings):
    """A Runner of a model, which keeps what its backbone is called with and returns."""
    model = reconstructors.make_model(name, **(backbone or {}))
    from mmpretrain.registry import MODELS

    model.data_preprocessor = MODELS.build(PREPROCESSOR)
    data = {**loader(Pictures(name), 3, shuffle=False), 'collate_fn': {'type': 'default_collate'}}
    runner = recorded_runner(
        hook,
        model=model,
        train_dataloader=data,
        default_scope='mmpretrain',
        work_dir=str(tmp_path),
        **settings,
    )
    runner.calls = []
    model.backbone.register_forward_hook(
        lambda _, inputs, output: (
            runner.calls.append((inputs, output))
            if not inputs[0].is_meta  # of the copy whose FLOPs are counted
            else None
        )
    )
    return runner


def train_one_step(name, tmp_path, **backbone):
    """Gradients, images, calls of the encoder (subnet and main network), depths, and a copy."""
    runner = make_runner(name, FULL_SIZE, tmp_path, backbone, max_iters=1)
    twin = copy.deepcopy(runner.model).double()
    runner.train()
    state = runner.optim_wrapper.optimizer.state
    parameters = runner.model.named_parameters()
    gradients = {key: state[p]['momentum_buffer'] for key, p in parameters if p in state}
    depths = twin.backbone.depth_space.sample(**vars(Draw(7, 0, 0))).depths
    assert sum(depths) < sum(twin.backbone.depth_space.full)
    subnet, main = runner.calls
    assert torch.equal(subnet[0][0], main[0][0])
    return gradients, main[0][0].double(), (subnet, main), depths, twin


def check_gradients(got, model):
    expected = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    assert got.keys() == expected.keys() and len(got) > 30
    for key, gradient in expected.items():
        torch.testing.assert_close(got[key].double(), gradient, rtol=1e-3, atol=1e-6, msg=key)


def patches(images, side):
    """Cuts (B, C, H, W) into (B, patches, side, side, C), row by row."""
    rows = images.unfold(2, side, side).unfold(3, side, side)
    return rows.permute(0, 2, 3, 4, 5, 1).flatten(1, 2)


def mae_loss(model, images, mask, ids_restore, depth):
    """Equation and figure 1 of the MAE paper: encode what is visible, reconstruct the rest."""
    encoder = model.backbone
    cut = patches(images, 8)
    projection = encoder.patch_embed.projection
    tokens = cut.permute(0, 1, 4, 2, 3).flatten(2) @ projection.weight.flatten(1).T
    tokens = tokens + projection.bias + encoder.pos_embed[:, 1:]
    visible = torch.stack([own[hidden == 0] for own, hidden in zip(tokens, mask, strict=True)])
    # The decoder wants them in the order of the draw.
    ranks = [ids[hidden == 0] for ids, hidden in zip(ids_restore, mask, strict=True)]
    visible = torch.stack([own[rank.argsort()] for own, rank in zip(visible, ranks, strict=True)])
    first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(len(images), -1, -1)
    latent = torch.cat([first, visible], 1)
    for layer in encoder.layers[:depth]:
        latent = layer(latent)
    decoded = model.neck(encoder.ln1(latent), ids_restore)
    target = cut.flatten(2)
    target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    return ((decoded - target) ** 2).mean(-1)[mask == 1].mean()


def test_gradient_of_mae_is_that_of_its_definition(tmp_path):
    """Each pass with its own mask, drawn in the encoder."""
    gradients, images, calls, (depth,), model = train_one_step('MAE', tmp_path)
    (_, mask, ids), (_, main_mask, main_ids) = (output for _, output in calls)
    assert mask.shape == (3, 16) and mask.sum() == main_mask.sum() == 3 * 12
    assert not torch.equal(mask, main_mask)
    loss = mae_loss(model, images, main_mask, main_ids, 4)
    (loss + WEIGHT * mae_loss(model, images, mask, ids, depth)).backward()
    check_gradients(gradients, model)


def simmim_loss(model, images, mask, depths):
    """Masked patches become a token; the loss is the mean difference of their pixels."""
    encoder = model.backbone
    features, hw = encoder.patch_embed(images)
    hidden = mask.flatten(1)[..., None].double()
    features = features * (1 - hidden) + encoder.mask_token * hidden
    for stage, depth in zip(encoder.stages, depths, strict=True):
        for block in stage.blocks[:depth]:
            features = block(features, hw)
        if stage.downsample is not None:
            features, hw = stage.downsample(features, hw)
    features = encoder.norm3(features).transpose(1, 2).unflatten(2, hw)
    difference = (model.neck(features) - images).abs()
    pixels = mask.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None].double()
    return (difference * pixels).sum() / (pixels.sum() + 1e-5) / 3


def test_gradient_of_simmim_is_that_of_its_definition(tmp_path):
    """Both passes have the mask of the data samples."""
    gradients, images, calls, depths, model = train_one_step('SimMIM', tmp_path, drop_path_rate=0.0)
    (_, mask), (_, main_mask) = (inputs for inputs, _ in calls)
    assert torch.equal(mask, main_mask) and 0 < mask.sum() < mask.numel()
    loss = simmim_loss(model, images, mask, (2, 2, 3, 2))
    (loss + WEIGHT * simmim_loss(model, images, mask, depths)).backward()
    check_gradients(gradients, model)


def trained(name, hook, tmp_path):
    runner = make_runner(name, hook, tmp_path, lr=0.0, max_iters=4)
    runner.train()
    return runner


@pytest.mark.parametrize('name', ['MAE', 'SimMIM', 'MILAN'])
def test_the_main_network_draws_the_masks_of_a_plain_run(name, tmp_path):
    """With a rate of 0, where it stays the same network, its losses are equal bit by bit."""
    hook = {**FULL_SIZE, 'num_subnets': 2}
    plain, stimulated = (trained(name, settings, tmp_path) for settings in (None, hook))
    losses = [output['loss'] for output in plain.record.outputs]
    assert len(set(losses)) > 1
    assert [output['loss'] for output in stimulated.record.outputs] == losses
    space = stimulated.model.backbone.depth_space
    drawn = [
        [space.sample(**vars(Draw(7, step, index))).depths for index in (0, 1)] for step in range(4)
    ]
    logged = [
        [record[f'depth_{stage}'][0] for stage in range(1, 1 + len(space.full))]
        for record in stimulated.record.subnet
    ]
    assert logged == [[sum(pair) / 2 for pair in zip(*pairs, strict=True)] for pairs in drawn]


@pytest.mark.parametrize('canvas', ['fit', 'keep'])
def test_smaller_images_are_refused(canvas, tmp_path):
    inputs = {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.5, 'canvas': canvas}
    runner = make_runner('MAE', {**FULL_SIZE, 'inputs': inputs}, tmp_path)
    with pytest.raises(ValueError, match=r'inputs must leave .* reconstructs .* for MAE: its pos'):
        runner.train()
    assert not runner.calls


def test_transformed_images_are_reconstructed_as_they_are(tmp_path):
    pytest.importorskip('torchvision')
    flip = {'type': 'RandomHorizontalFlip', 'p': 1.0}
    inputs = {'type': 'mmst.RandomSmallerInput', 'min_ratio': 1.0, 'transforms': [flip]}
    runner = make_runner('MAE', {**FULL_SIZE, 'inputs': inputs}, tmp_path, max_iters=1)
    runner.train()
    subnet, main = runner.calls
    assert torch.equal(subnet[0][0], main[0][0].flip(-1))


def test_a_fraction_of_the_batch_keeps_its_masks(tmp_path):
    hook = {**FULL_SIZE, 'batch_fraction': 0.4}
    runner = make_runner('SimMIM', hook, tmp_path, max_iters=1)
    runner.train()
    (images, mask), (all_images, all_masks) = (inputs for inputs, _ in runner.calls)
    (index,) = (i for i in range(3) if torch.equal(all_images[i], images[0]))
    assert len(images) == 1 and torch.equal(mask[0], all_masks[index])


def test_there_are_no_logits_to_learn_from(tmp_path):
    supervision = {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLDivLoss'}}
    with pytest.raises((TypeError, ValueError), match='logits_from'):
        make_runner('MAE', {**FULL_SIZE, 'supervision': supervision}, tmp_path).train()
