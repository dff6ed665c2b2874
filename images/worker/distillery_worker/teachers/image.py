"""A teacher on images: a Hugging Face folder for image classification with its preprocessor_config.json."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from distillery_api.artifact import ImagePreprocessing
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_engine import ImageEncoder
from transformers import AutoModelForImageClassification, PreTrainedModel

from ..data.views import ViewEncoder
from ..labels.store import LabelSet
from ..model_folders import fetch_folder
from .local import FIELD, LocalTeacher, ReadHead, load_model
from .preprocessor import read_preprocessor

PREPROCESSOR = "preprocessor_config.json"


@dataclass
class ImageTeacher(LocalTeacher):
    """Sees images as its preprocessor_config.json says, plain or in a view."""

    preprocessing: ImagePreprocessing

    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """The outputs for images in their views; the number of views is no part of it."""
        return LabelSet(
            codec=self.codec,
            teacher=self.digest,
            preprocessing=self.preprocessing.dump(),
            augmentation=soft_labels.augmentation.dump() if soft_labels.augmentation else None,
            labels=list(self.head.labels),
        )

    @cached_property
    def encoder(self) -> ViewEncoder:
        """The preprocessing that teacher and student share."""
        return ViewEncoder(ImageEncoder(self.preprocessing))

    def load(self) -> PreTrainedModel:
        """A model for image classification."""
        return load_model(AutoModelForImageClassification, self.path, self.uri)


def fetch_image_teacher(source: ModelSource, read_head: ReadHead, dest: Path) -> ImageTeacher:
    """Download the folder and check it. Raises InputRefused, DigestMismatch's reason included, and storage errors."""
    folder = fetch_folder(source, FIELD, (PREPROCESSOR,), dest)
    channels = int(folder.config.get("num_channels") or 3)
    return ImageTeacher(
        path=dest,
        uri=folder.uri,
        digest=folder.digest,
        head=read_head(folder.config, folder.uri),
        preprocessing=read_preprocessor(folder.read_json(PREPROCESSOR), channels, folder.uri),
    )
