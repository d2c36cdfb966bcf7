"""--mini: every size of a config by the same factor."""

import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from mmst.config import set_image_scale


def config(*train, val=(1000, 600), **options):
    val = {'dataset': {'pipeline': [{'type': 'Load'}, {'type': 'Resize', 'scale': val}]}}
    train = {'dataset': {'pipeline': list(train)}}
    return Config(dict(train_dataloader=train, val_dataloader=val, test_dataloader=val, **options))


def scaled(transform, **options):
    cfg = set_image_scale(config(transform, **options), (200, 120))
    return cfg.train_dataloader.dataset.pipeline[0]


def test_the_validation_scale_becomes_the_given_one_once_per_loader():
    cfg = set_image_scale(config(), (200, 150))
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert tuple(loader.dataset.pipeline[1].scale) == (200, 150)


@pytest.mark.parametrize(
    ('option', 'before', 'after'),
    [
        ('scale', (1000, 600), (200, 120)),
        ('scale', (600, 1000), (120, 200)),
        ('scale', [(1000, 400), (1000, 600)], [(200, 80), (200, 120)]),
        ('scales', [(400, 1000), (500, 1000)], [(80, 200), (100, 200)]),
        ('scale', 500, 100),
        ('crop_size', (320, 640), (64, 128)),
        ('img_scale', (640, 640), (128, 128)),
        ('border', (-320, -320), (-64, -64)),
    ],
)
def test_sizes_are_multiplied(option, before, after):
    assert scaled({'type': 'T', option: before})[option] == after


def test_fixed_shapes_stay_multiples_of_32():
    assert tuple(scaled({'type': 'Pad', 'size': (500, 500)}).size) == (96, 96)


def test_relative_crops_and_flags_stay():
    crop = {'type': 'RandomCrop', 'crop_type': 'relative_range', 'crop_size': (0.5, 0.5)}
    assert scaled(crop).crop_size == (0.5, 0.5)
    resize = {'type': 'RandomResize', 'ratio_range': (0.5, 2.0), 'keep_ratio': True, 'scale': 500}
    assert scaled(resize).ratio_range == (0.5, 2.0)
    assert scaled(resize).keep_ratio is True


def test_transforms_inside_transforms_are_scaled():
    choice = {'type': 'RandomChoice', 'transforms': [[{'type': 'Resize', 'scale': (1000, 600)}]]}
    assert scaled(choice).transforms[0][0].scale == (200, 120)


def test_batch_transforms_and_switched_pipelines_are_scaled():
    cfg = config(
        model={'data_preprocessor': {'batch_augments': [{'type': 'Pad', 'size': (960, 960)}]}},
        custom_hooks=[
            {
                'type': 'mmdet.PipelineSwitchHook',
                'switch_pipeline': [{'type': 'Resize', 'scale': (1000, 600)}],
            }
        ],
    )
    set_image_scale(cfg, (200, 120))
    assert cfg.model.data_preprocessor.batch_augments[0].size == (192, 192)
    assert cfg.custom_hooks[0].switch_pipeline[0].scale == (200, 120)


def pose_config(input_size=(192, 256), heatmap_size=(48, 64), **codec):
    codec = dict(type='C', input_size=input_size, heatmap_size=heatmap_size, **codec)
    crop = {'type': 'TopdownAffine', 'input_size': input_size}
    val = {'dataset': {'pipeline': [{'type': 'Load'}, crop]}}
    train = {'dataset': {'pipeline': [crop, {'type': 'GenerateTarget', 'encoder': codec}]}}
    head = {
        'type': 'Head',
        'decoder': codec,
        'input_size': input_size,
        'in_featuremap_size': (6, 8),
        'out_shape': (64, 48),  # of MSPN's and RSN's heads: (height, width)
    }
    return Config(
        dict(
            codec=codec,
            train_dataloader=train,
            val_dataloader=val,
            test_dataloader=val,
            model={'type': 'M', 'head': head, 'backbone': {'type': 'B', 'scales': [8]}},
        )
    )


def test_pose_inputs_heatmaps_and_feature_maps_stay_consistent():
    cfg = set_image_scale(pose_config(sigma=2), (96, 128))
    crop, target = cfg.train_dataloader.dataset.pipeline
    for transform in (crop, cfg.val_dataloader.dataset.pipeline[1], cfg.model.head):
        assert tuple(transform.input_size) == (96, 128)
    for codec in (target.encoder, cfg.model.head.decoder, cfg.codec):
        sizes = tuple(codec.input_size), tuple(codec.heatmap_size), codec.sigma
        assert sizes == ((96, 128), (24, 32), 1)
    assert tuple(cfg.model.head.in_featuremap_size) == (3, 4)
    assert tuple(cfg.model.head.out_shape) == (32, 24)
    assert cfg.model.backbone.scales == [8]


@pytest.mark.parametrize(
    ('input_size', 'heatmap_size', 'sigma', 'after'),
    [
        ((288, 384), (72, 96), 3, ((96, 128), (24, 32), 1)),
        ((256, 256), (64, 64), 2, ((128, 128), (32, 32), 1)),
        ((192, 256), (48, 64), (4, 2), ((96, 128), (24, 32), (2, 1))),
    ],
)
def test_other_pose_inputs_end_up_alike(input_size, heatmap_size, sigma, after):
    cfg = set_image_scale(pose_config(input_size, heatmap_size, sigma=sigma), (96, 128))
    codec = cfg.train_dataloader.dataset.pipeline[1].encoder
    assert (codec.input_size, codec.heatmap_size, codec.sigma) == after


def test_padding_and_sliding_windows_of_segmentors_are_scaled():
    preprocessor = {'type': 'SegDataPreProcessor', 'size': (320, 640), 'mean': [1, 2, 3]}
    test_cfg = {'mode': 'slide', 'crop_size': (320, 640), 'stride': (200, 400)}
    model = {'type': 'M', 'data_preprocessor': preprocessor, 'test_cfg': test_cfg}
    cfg = config(
        {'type': 'RandomCrop', 'crop_size': (320, 640)},
        val=(1280, 640),
        data_preprocessor=preprocessor,
        model=model,
    )
    set_image_scale(cfg, (256, 128))
    crop = cfg.train_dataloader.dataset.pipeline[0].crop_size
    assert crop == cfg.model.data_preprocessor['size'] == cfg.data_preprocessor['size'] == (64, 128)
    assert cfg.model.test_cfg.crop_size == (64, 128)
    assert cfg.model.test_cfg.stride == (40, 80)
    assert cfg.model.data_preprocessor.mean == [1, 2, 3]


def classification_config(*steps):
    crop = {'type': 'RandomResizedCrop', 'scale': 224}
    val = {'dataset': {'pipeline': [{'type': 'Load'}, *steps]}}
    return Config(
        dict(train_dataloader={'dataset': {'pipeline': [crop]}}, val_dataloader=val, model={})
    )


@pytest.mark.parametrize(
    ('steps', 'after'),
    [
        (
            [{'type': 'ResizeEdge', 'scale': 256}, {'type': 'CenterCrop', 'crop_size': 224}],
            [('scale', 73), ('crop_size', 64)],
        ),
        ([{'type': 'Resize', 'scale': 224}], [('scale', 64)]),
    ],
)
def test_crops_of_classifiers_become_the_given_size(steps, after):
    cfg = set_image_scale(classification_config(*steps), (64, 64))
    assert cfg.train_dataloader.dataset.pipeline[0].scale == 64
    scaled = cfg.val_dataloader.dataset.pipeline[1:]
    assert [(name, step[name]) for step, (name, _) in zip(scaled, after, strict=True)] == after


def test_a_pipeline_without_a_scale_is_refused():
    with pytest.raises(ValueError, match=r'--mini needs a validation pipeline that resizes'):
        set_image_scale(config(val=None), (200, 120))


PIXELS = {'model.backbone.img_size': 64, 'train_dataloader.dataset.pipeline.1.scale': 64}
SELF_SUPERVISED = {
    'mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k': {**PIXELS, 'model.neck.num_patches': 16},
    'simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px': {
        **PIXELS,
        'train_dataloader.dataset.pipeline.3.input_size': 64,
        'train_dataloader.dataset.pipeline.3.mask_patch_size': 32,
        'train_dataloader.dataset.pipeline.3.model_patch_size': 4,
    },
    'mixmim/mixmim_mixmim-base_16xb128-coslr-300e_in1k': {
        **PIXELS,
        'model.backbone.window_size': [4, 4, 4, 2],
        'model.neck.num_patches': 4,
    },
    'beit/beit_beit-base-p16_8xb256-amp-coslr-300e_in1k': {
        'model.backbone.img_size': 64,
        'train_dataloader.dataset.pipeline.4.input_size': (4, 4),
        'train_dataloader.dataset.pipeline.4.num_masking_patches': 6,
        'train_dataloader.dataset.pipeline.4.min_num_patches': 1,
    },
    # Its targets are written for 224 pixels.
    'maskfeat/maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k': {
        'model.backbone.img_size': None,
        'train_dataloader.dataset.pipeline.1.scale': 224,
        'train_dataloader.dataset.pipeline.3.input_size': 14,
    },
}


def at(node, path):
    for name in path.split('.'):
        node = node[int(name)] if name.isdigit() else node.get(name)
    return node


@pytest.mark.parametrize('name', SELF_SUPERVISED)
def test_a_self_supervised_network_is_built_for_the_scaled_training_images(name):
    """It has no validation, and position embeddings, decoder and masks of one size."""
    pytest.importorskip('mmpretrain')
    cfg = set_image_scale(get_config(f'mmpretrain::{name}.py'), (64, 64))
    assert {path: at(cfg, path) for path in SELF_SUPERVISED[name]} == SELF_SUPERVISED[name]


def test_networks_that_adapt_to_the_size_keep_their_arguments():
    pytest.importorskip('mmpretrain')
    cfg = get_config('mmpretrain::vision_transformer/vit-base-p16_32xb128-mae_in1k.py')
    assert set_image_scale(cfg, (64, 64)).model.backbone.img_size == 224
