"""--mini: every size of a config by the same factor."""

import pytest
from mmengine.config import Config

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


def test_a_pipeline_without_a_scale_is_refused():
    with pytest.raises(ValueError, match=r'--mini needs a validation pipeline that resizes'):
        set_image_scale(config(val=500), (200, 120))
