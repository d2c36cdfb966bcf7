"""The hook beside mmdet's Faster R-CNN, whose samplers draw and whose heads change ground truth."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmst.core import Draw, Subnet
from mmst.engine.batch import SubnetBatch
from mmst.engine.subnet_pass import SubnetPass, SubnetTrainer
from mmst.engine.supervision import GroundTruthSupervision

pytestmark = pytest.mark.usefixtures('mmdet_scope')


def test_learning_rate_0_gives_bitwise_the_plain_run(make_runner, hook_config):
    runs = []
    for hook in (None, hook_config(num_subnets=2)):
        runs.append(make_runner(hook, lr=0.0, max_iters=4))
        runs[-1].train()
    plain, stimulated = runs
    assert len(plain.record.outputs) == 4
    assert plain.record.outputs == stimulated.record.outputs
    expected = plain.model.state_dict()
    for name, value in stimulated.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert all(values['loss'][0] > 0 for values in stimulated.record.subnet)


def test_a_subnet_has_the_losses_and_gradients_of_a_rebuilt_detector(make_detector, batch):
    results = []
    for model in (make_detector(), make_detector(depths=(2, 1, 2, 1))):
        if results:
            model.load_state_dict({name: results[0][0][name] for name in model.state_dict()})
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        trainer = SubnetTrainer(model, model.backbone, GroundTruthSupervision(), optim_wrapper)
        subnet_pass = SubnetPass(Draw(0, 0), Subnet((2, 1, 2, 1)))
        trainer.run(subnet_pass, SubnetBatch(**batch(model), image_hw=(96, 96)), weight=1.0)
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        results.append((weights, subnet_pass.values, gradients))
    (_, values, gradients), (_, expected, expected_gradients) = results
    assert {'loss', 'loss_cls', 'loss_bbox', 'loss_rpn_cls', 'loss_rpn_bbox', 'acc'} == set(values)
    torch.testing.assert_close(values, expected)
    assert len(gradients) > 60
    torch.testing.assert_close(gradients, expected_gradients)


def test_checkpoints_are_exchangeable_with_upstream(make_runner, detector_config):
    stimulated = make_runner(max_iters=1)
    config = detector_config()
    config.backbone.type = config.backbone.pop('wraps')
    upstream = make_runner(None, model=config, max_iters=1)
    assert type(upstream.model.backbone) is type(stimulated.model.backbone)
    for one, other in ((stimulated, upstream), (upstream, stimulated)):
        one.train()
        other.model.load_state_dict(one.model.state_dict(), strict=True)
