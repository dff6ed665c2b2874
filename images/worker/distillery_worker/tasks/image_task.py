"""Tasks on images with a fixed number of outputs: a small convolutional network, served by ONNX Runtime."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distillery_api.artifact import ArtifactManifest, ImagePreprocessing
from distillery_api.dataset import Columns
from distillery_api.run import StageRun
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_api.student import Student
from distillery_engine import ImageEncoder, ImageModel
from transformers import PreTrainedModel

from ..artifacts.onnx_export import MODEL_FILE, export_image_model
from ..data.files import Rows, first_line
from ..data.images import contaminated_images, load_images
from ..data.views import AugmentedViews, Views
from ..errors import InputRefused
from ..model_folders import ModelFolder
from ..students.convnet import build_convnet, load_convnet
from ..teachers.image import PREPROCESSOR, ImageTeacher, fetch_image_teacher
from ..teachers.local import ReadHead, predict
from .head import Head, RowHead
from .task import Preprocessing, RowTask


class ImageTask(RowTask[ImageTeacher]):
    """Image in, `head.outputs` numbers out."""

    def __init__(self, name: str, read_head: ReadHead, head_of: Callable[[Sequence[str]], Head]) -> None:
        self.name = name
        self._read_head, self._head_of = read_head, head_of

    def fetch_teacher(self, run: StageRun, source: ModelSource, dest: Path) -> ImageTeacher:
        """A Hugging Face folder for image classification."""
        return fetch_image_teacher(source, self._read_head, dest)

    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Rows with an image and, with a head, a gold value."""
        return load_images(uri, field, columns, head.gold if isinstance(head, RowHead) else None, workdir)

    def contaminated(self, test: Rows, learned: Sequence[Rows]) -> list[bool]:
        """By their pictures."""
        return contaminated_images(test, learned)

    def views(self, soft_labels: SoftLabels, teacher: ImageTeacher) -> Views:
        """As many views as the job asks for; without an augmentation, images as they are."""
        if (augmentation := soft_labels.augmentation) is None:
            return Views()
        height, width = teacher.preprocessing.height, teacher.preprocessing.width
        if 2 * augmentation.shift >= min(height, width):
            raise InputRefused(
                "ModelUnsupported",
                f"softLabels.augmentation.shift: {augmentation.shift} is half or more of the teacher's"
                f" {height} x {width} pixels; lower it",
            )
        return AugmentedViews(augmentation, soft_labels.views)

    def check_teacher(self, teacher: ImageTeacher, first: Sequence[Any]) -> None:
        """Load the weights and answer one image; all are of one size for the model."""
        check_answers(teacher.model, teacher, first[0], f"teachers[0].model: {teacher.uri}")

    def fetch_student(self, student: Student, teacher: ImageTeacher, dest: Path) -> ModelFolder | None:
        """Students of images start from nothing."""
        return None

    def fresh_student(
        self, student: Student, teacher: ImageTeacher, given: ModelFolder | None, seed: int
    ) -> PreTrainedModel:
        """A convolutional network for the teacher's images."""
        assert student.image_config is not None  # noqa: S101 - a rule of the API
        return build_convnet(student.image_config, teacher.head, teacher.preprocessing, seed)

    def check_student(self, model: PreTrainedModel, teacher: ImageTeacher, row: Any) -> None:
        """Answer one image."""
        check_answers(model, teacher, row, "student: the model")

    def load_student(self, folder: Path) -> PreTrainedModel:
        """A trained student, in evaluation mode."""
        return load_convnet(folder)

    def head_of(self, labels: Sequence[str]) -> Head:
        """The head by its label names."""
        return self._head_of(labels)

    def export(self, model: PreTrainedModel, source: Path, preprocessing: Preprocessing, folder: Path) -> list[str]:
        """A graph of pixel_values; the manifest says all about the preprocessing."""
        assert isinstance(preprocessing, ImagePreprocessing)  # noqa: S101 - as `preprocessing` below makes it
        sizes = preprocessing
        export_image_model(model, sizes.channels, sizes.height, sizes.width, folder / MODEL_FILE)
        return [MODEL_FILE]

    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> ImageModel:
        """Preprocessing and graph."""
        return ImageModel(folder, manifest, threads)

    def files(self, teacher: ImageTeacher) -> tuple[str, ...]:
        """The processor's configuration."""
        return (PREPROCESSOR,)

    def preprocessing(self, teacher: ImageTeacher, columns: Columns) -> ImagePreprocessing:
        """The teacher's."""
        return teacher.preprocessing

    def encoder(self, folder: Path, preprocessing: Preprocessing) -> ImageEncoder:
        """Made of the preprocessing alone."""
        assert isinstance(preprocessing, ImagePreprocessing)  # noqa: S101 - as above
        return ImageEncoder(preprocessing)


def check_answers(model: PreTrainedModel, teacher: ImageTeacher, row: Any, name: str) -> None:
    """Refuse a model that does not answer an image, made as the teacher's are, as the head says."""
    sizes = teacher.preprocessing
    try:
        shape = predict(model.eval(), teacher.encoder.collate(teacher.encoder.encode([row]))).shape
    except Exception as error:  # models raise anything for inputs they were not made for
        raise InputRefused(
            "ModelUnsupported",
            f"{name} fails on an image of {sizes.height} x {sizes.width} pixels and {sizes.channels} channels:"
            f" {first_line(error)}; correct the teacher's preprocessor_config.json",
        ) from error
    if shape != (1, teacher.head.outputs):
        raise InputRefused(
            "ModelUnsupported",
            f"{name} answers with shape {list(shape)}, not (1, {teacher.head.outputs});"
            " use a model for image classification whose num_labels is the size of id2label in config.json",
        )
