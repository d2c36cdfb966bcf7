"""ONNX files compute what torch does, or are not written."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmst.subnets import onnx_export
from mmst.subnets.onnx_export import check_onnx_installed, exported_part, write_onnx

IMAGE = torch.rand(1, 3, 8, 8)


class Detector(nn.Module):
    """Feature maps of two scales."""

    with_neck = True

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def extract_feat(self, inputs):
        feature = self.backbone(inputs)
        return (feature, [feature[:, :2]])


class Classifier(Detector):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, inputs, mode):
        assert mode == 'tensor'
        return self.head(self.backbone(inputs).mean((2, 3)))


def part_of(model, scope):
    pytest.importorskip(scope)
    return exported_part(model.eval(), Config({'default_scope': scope}))


@pytest.fixture(scope='module', autouse=True)
def packages():
    for name in onnx_export.PACKAGES:
        pytest.importorskip(name)


def test_a_detector_is_exported_up_to_its_neck(tmp_path):
    part, what = part_of(Detector(), 'mmdet')
    assert what == 'backbone and neck'
    assert write_onnx(part, IMAGE, tmp_path / 'a.onnx') < 1e-4
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / 'a.onnx'))
    outputs = session.run(None, {'inputs': IMAGE.numpy()})
    assert [output.shape for output in outputs] == [(1, 4, 6, 6), (1, 2, 6, 6)]
    assert [path.name for path in tmp_path.iterdir()] == ['a.onnx']


def test_a_classifier_is_exported_whole():
    part, what = part_of(Classifier(), 'mmpretrain')
    assert what == 'classifier'
    assert part(IMAGE)[0].shape == (1, 2)


def test_a_model_of_no_library_is_exported_by_its_backbone():
    model = nn.Module()
    model.backbone = nn.Conv2d(3, 4, 3)
    part, what = part_of(model, 'mmengine')
    assert what == 'backbone'
    assert torch.equal(part(IMAGE)[0], model.backbone(IMAGE))


@pytest.mark.parametrize('factor', [1.01, float('nan')])
def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch, factor):
    part, _ = part_of(Detector(), 'mmdet')

    class Session:
        def __init__(self, *_, **__):
            pass

        def run(self, *_):
            return [factor * output.detach().numpy() for output in part(IMAGE)]

    monkeypatch.setattr('onnxruntime.InferenceSession', Session)
    monkeypatch.setattr('torch.onnx.export', lambda _, __, file, **___: file.write_text('x'))
    with pytest.raises(RuntimeError, match=r'must differ .* by at most 0\.001 .* in output 0'):
        write_onnx(part, IMAGE, tmp_path / 'a.onnx')
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch):
    find = SimpleNamespace(find_spec=lambda name: None if name != 'onnx' else True)
    monkeypatch.setattr(onnx_export.importlib, 'util', find)
    with pytest.raises(ImportError, match=r'pip install onnxruntime onnxscript'):
        check_onnx_installed()
