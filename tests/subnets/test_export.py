"""Subnets of transformers are exported too, and files are written whole or not at all."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmst.checkpoints import load_checkpoint
from mmst.core import active_subnet, residual_stages
from mmst.subnets.export import export_subnet

VIT = {'embed_dims': 16, 'num_layers': 4, 'num_heads': 2, 'feedforward_channels': 32}
BACKBONES = {
    # Its container keeps layer numbers.
    'mmpretrain': ('VisionTransformer', {'arch': VIT, 'img_size': 32, 'out_type': 'avg_featmap'}),
    # It has an argument of its own named `depths`.
    'mmdet': ('SwinTransformer', {'embed_dims': 8, 'depths': (2, 2), 'num_heads': (1, 2),
                                  'strides': (4, 2), 'out_indices': (0, 1)}),
}  # fmt: skip


@MODELS.register_module(force=True)
class Holder(nn.Module):
    """A model that is its backbone."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(backbone)


@pytest.mark.parametrize(('scope', 'depths'), [('mmpretrain', (2,)), ('mmdet', (2, 1))])
@pytest.mark.parametrize('stimulative', [True, False])
def test_exported_transformers_compute_what_the_subnet_does(tmp_path, scope, depths, stimulative):
    pytest.importorskip(scope)
    kind, arguments = BACKBONES[scope]
    backbone = {'type': kind, **arguments}
    if stimulative:
        backbone = {**backbone, 'type': 'mmst.STBackbone', 'wraps': kind}
    cfg = Config(
        {'default_scope': scope, 'model': {'type': 'mmengine.Holder', 'backbone': backbone}}
    )
    with DefaultScope.overwrite_default_scope(scope):
        whole = Holder(cfg.model.backbone)
    source = tmp_path / 'source.pth'
    torch.save({'state_dict': whole.state_dict()}, source)
    runner = SimpleNamespace(
        model=whole, cfg=Config({'load_from': str(source)}), load_or_resume=lambda: None
    )
    exported = export_subnet(runner, cfg, depths, tmp_path / 'out' / 'subnet', recalibrate=0)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad(), active_subnet(whole.backbone, depths):
        wanted = whole.eval().backbone(image)
    got = exported.model.backbone(image)
    assert len(wanted) > 0
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))
    assert tuple(map(len, residual_stages(exported.model.backbone))) == depths
    written = load_checkpoint(exported.checkpoint)
    assert written['state_dict'].keys() == exported.model.state_dict().keys()
    assert written['meta']['cfg'] == exported.config.read_text()
