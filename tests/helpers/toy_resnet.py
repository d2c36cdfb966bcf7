"""A ResNet in torch alone, with the module names of torchvision's and OpenMMLab's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmst.core import Block, register_residual_stages


class Bottleneck(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1 pixels beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if channels != 4 * width or stride != 1:
            convolution = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    """Four stages of bottleneck blocks; returns the mean over the pixels, (N, 32 * width)."""

    def __init__(self, layers: Sequence[int], width: int = 8):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = width
        for number, count in enumerate(layers):
            blocks = []
            for index in range(count):
                stride = 2 if number > 0 and index == 0 else 1
                blocks.append(Bottleneck(channels, width * 2**number, stride))
                channels = 4 * width * 2**number
            self.add_module(f'layer{number + 1}', nn.Sequential(*blocks))
        self.num_features = channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return x.mean((2, 3))


@register_residual_stages(ResNet)
def resnet_stages(backbone: nn.Module) -> list[list[Block]]:
    layers = (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4)
    return [[Block(layer, name) for name, _ in layer.named_children()] for layer in layers]


class Classifier(nn.Module):
    """A backbone and a linear layer."""

    def __init__(self, layers: Sequence[int], num_classes: int = 7):
        super().__init__()
        self.backbone = ResNet(layers)
        self.head = nn.Linear(self.backbone.num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


def randomize_norm(model: nn.Module) -> None:
    """Gives norm layers random weights near 1 and biases near 0, so that no branch is silent."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)


def classifier(layers: Sequence[int]) -> Classifier:
    """One in float64 and training mode, always with the same random weights."""
    torch.manual_seed(0)
    model = Classifier(layers)
    randomize_norm(model)
    return model.double().train()
