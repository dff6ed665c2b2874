"""What a job says about images alone: the student's network, the views that are labelled, and what goes with texts."""

from typing import Annotated

from pydantic import Field

from .schema import Model


class ImageConfig(Model):
    """A convolutional network, trained from scratch on images as the teacher sees them."""

    channels: Annotated[
        list[Annotated[int, Field(ge=4, le=2048)]],
        Field(
            min_length=1,
            max_length=8,
            description="Channels of each stage; every stage but the first halves height and width.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = [16, 32, 32, 64]
    depth: Annotated[int, Field(ge=1, le=32, description="3x3 convolutions in each stage.")] = 1


class Augmentation(Model):
    """How a view of an image differs from it; the image, the seed and the view's number alone decide."""

    shift: Annotated[
        int,
        Field(ge=0, le=256, description="Pixels of the model's input that a view is moved by at most, on black."),
    ] = 0
    horizontal_flip: Annotated[bool, Field(description="Whether half of the views are mirrored.")] = False
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0


# On the spec, where all of these fields are in reach.
IMAGE_RULES = (
    (
        "self.task == 'image-classification' ? has(self.student.imageConfig) : !has(self.student.imageConfig)",
        "student.imageConfig: a student of images is trained from it, a student of texts from config, from or model",
        ".student",
    ),
    (
        "self.task != 'image-classification' || !(has(self.objective.hiddenStates) || has(self.objective.attention))",
        "objective.hiddenStates and objective.attention compare layers of text encoders; leave them out for images",
        ".objective",
    ),
    (
        "self.task == 'image-classification' || !has(self.softLabels.augmentation)",
        "softLabels.augmentation changes images; leave it out for texts",
        ".softLabels.augmentation",
    ),
    (
        "self.task == 'image-classification' || self.dataset.columns.text != self.dataset.columns.label",
        "columns.text and columns.label must differ; name the column with the gold labels",
        ".dataset.columns.label",
    ),
    (
        "self.task != 'image-classification' || self.dataset.columns.image != self.dataset.columns.label",
        "columns.image and columns.label must differ; name the column with the gold labels",
        ".dataset.columns.label",
    ),
    (
        "self.task != 'image-classification' || (self.dataset.train.endsWith('.parquet') &&"
        " self.dataset.test.endsWith('.parquet') &&"
        " (!has(self.dataset.unlabelled) || self.dataset.unlabelled.endsWith('.parquet')))",
        "images come in .parquet files; write train, unlabelled and test as such",
        ".dataset",
    ),
)
