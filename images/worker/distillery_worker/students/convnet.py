"""The student of images: a small convolutional network, built from its config and a seed alone."""

from pathlib import Path
from typing import Any

import torch
from distillery_api.artifact import ImagePreprocessing
from distillery_api.images import ImageConfig
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

from ..errors import InputRefused
from ..tasks.head import Head
from .bert import label_maps


class ConvNetConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is not typed
    """config.json of a ConvNet."""

    model_type = "distillery-convnet"

    def __init__(self, num_channels: int = 3, channels: list[int] | None = None, depth: int = 1, **rest: Any) -> None:
        self.num_channels, self.channels, self.depth = num_channels, channels or [16], depth
        super().__init__(**rest)


class Convolution(nn.Module):
    """3x3 convolution, batch normalisation, ReLU; the input is added before the ReLU where the shapes are equal."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.normalisation = nn.BatchNorm2d(after)
        self.residual = before == after and stride == 1

    def forward(self, images: Tensor) -> Tensor:
        """[batch, after, height / stride, width / stride] of [batch, before, height, width]."""
        changed: Tensor = self.normalisation(self.convolution(images))
        return torch.relu(changed + images if self.residual else changed)


class ConvNet(PreTrainedModel):  # type: ignore[misc]  # transformers is not typed
    """Stages of convolutions, of which all but the first halve height and width, and a linear layer on the mean."""

    config_class = ConvNetConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ConvNetConfig) -> None:
        super().__init__(config)
        self.stages = nn.Sequential()
        before = config.num_channels
        for stage, after in enumerate(config.channels):
            for number in range(config.depth):
                stride = 2 if stage > 0 and number == 0 else 1
                self.stages.append(Convolution(before, after, stride))
                before = after
        self.classifier = nn.Linear(before, config.num_labels)
        self.post_init()

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        """Logits [batch, labels] of float32 [batch, channels, height, width]."""
        return ImageClassifierOutput(logits=self.classifier(self.stages(pixel_values).mean(dim=(2, 3))))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def check_stages(config: ImageConfig, preprocessing: ImagePreprocessing) -> None:
    """Refuse a student with more stages than the teacher's images can be halved."""
    halvings, side = len(config.channels) - 1, min(preprocessing.height, preprocessing.width)
    if side < 2**halvings:
        raise InputRefused(
            "ModelUnsupported",
            f"student.imageConfig.channels: {len(config.channels)} stages halve the teacher's images of"
            f" {preprocessing.height} x {preprocessing.width} pixels to nothing; leave stages out",
        )


def build_convnet(config: ImageConfig, head: Head, preprocessing: ImagePreprocessing, seed: int) -> ConvNet:
    """An untrained student; the same arguments give the same weights. Raises InputRefused (ModelUnsupported)."""
    check_stages(config, preprocessing)
    torch.manual_seed(seed)
    return ConvNet(
        ConvNetConfig(
            num_channels=preprocessing.channels,
            channels=list(config.channels),
            depth=config.depth,
            **label_maps(head),
        )
    )


def load_convnet(folder: Path) -> ConvNet:
    """A trained student, in evaluation mode."""
    model: ConvNet = ConvNet.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=torch.float32)
    model.eval()
    return model
