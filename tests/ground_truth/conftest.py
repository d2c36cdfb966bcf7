"""A subnet pass on a smaller batch, through a real model of any library."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope

from mmst.core import Draw, Subnet
from mmst.engine.random_state import private_random_state
from mmst.engine.subnet_pass import SubnetPass, SubnetTrainer
from mmst.engine.supervision import GroundTruthSupervision

DRAW = Draw(seed=0, step=0)


@pytest.fixture
def mmpose_scope(mmdet_scope):
    """Lets tests build mmpose's modules."""
    from mmpose.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


@pytest.fixture
def mmpretrain_scope(mmdet_scope):
    """Lets tests build mmpretrain's modules."""
    from mmpretrain.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def train_on():
    """Trains a subnet on a batch; returns its values and which parameters got no gradient."""

    def train(model, batch, depths=(1, 2, 1, 2), backbone=None):
        model.zero_grad()
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        trainer = SubnetTrainer(
            model, backbone or model.backbone, GroundTruthSupervision(), wrapper
        )
        subnet_pass = SubnetPass(DRAW, Subnet(depths))
        trainer.run(subnet_pass, batch, weight=1.0)
        idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
        return subnet_pass.values, idle

    return train


@pytest.fixture
def loss_of():
    """The losses of the main network on a batch, with the random states of a subnet pass."""

    def loss(model, data):
        with (
            private_random_state(SubnetPass(DRAW, None).random_key, torch.device('cpu')),
            torch.no_grad(),
        ):
            return model.parse_losses(model.forward(**data, mode='loss'))[1]

    return loss
