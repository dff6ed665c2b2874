"""The image example's manifests are what the API accepts, and its files share no image."""

import gzip
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_worker.data.images import fault
from distillery_worker.teachers.preprocessor import read_preprocessor

EXAMPLE = Path(__file__).parents[3] / "examples" / "fashion-mnist"


def spec_of(name: str) -> object:
    return yaml.safe_load((EXAMPLE / name).read_text())["spec"]


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of the example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def garments(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("garments", monkeypatch)


def test_the_manifests_are_valid_and_the_job_is_short() -> None:
    job = DistillationJobSpec.model_validate(spec_of("job.yaml"))
    model = DistilledModelSpec.model_validate(spec_of("model.yaml"))
    assert job.task == model.task == "image-classification"
    assert job.training.epochs % job.soft_labels.views == 0  # each view as often as the others
    assert len((EXAMPLE / "job.yaml").read_text().splitlines()) < 30


def test_an_image_that_stands_twice_is_read_once_whatever_its_place(garments: ModuleType, tmp_path: Path) -> None:
    images = np.arange(4 * 784, dtype=np.uint8).reshape(4, 784)
    images[3] = images[1]
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([0, 1, 2, 9])))
    read = garments.read_garments("t10k", tmp_path)
    assert sorted(read.labels) == [0, 1, 2]
    assert all((read.images[place].reshape(-1) == images[label]).all() for place, label in enumerate(read.labels))


def test_every_file_has_its_own_rows_and_unlabelled_rows_lose_their_labels(
    garments: ModuleType, tmp_path: Path
) -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), dtype=np.uint8)
    parts = garments.split(garments.Garments(images, np.arange(6, dtype=np.uint8)), {"train": 2, "unlabelled": 3})
    assert [part.labels.tolist() for part in parts.values()] == [[0, 1], [2, 3, 4]]
    garments.write(tmp_path / "train.parquet", parts["train"], labelled=True)
    garments.write(tmp_path / "unlabelled.parquet", parts["unlabelled"], labelled=False)
    train, unlabelled = (pq.read_table(tmp_path / f"{name}.parquet").to_pydict() for name in parts)
    assert train["label"] == ["t-shirt", "trouser"]
    assert list(unlabelled) == ["image"]
    assert [fault(image) for image in train["image"] + unlabelled["image"]] == [None] * 5


def test_more_rows_than_images_are_refused(garments: ModuleType) -> None:
    few = garments.Garments(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))
    with pytest.raises(SystemExit, match="1 images do not fill"):
        garments.split(few, {"train": 2})


def test_the_teachers_training_sees_what_its_processor_says(
    garments: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from distillery_engine import ImageEncoder

    teacher = load("teacher", monkeypatch)
    monkeypatch.setattr(teacher, "SHIFT", 0)
    torch.manual_seed(1)  # a batch that is not mirrored
    image = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)
    encoder = ImageEncoder(read_preprocessor(teacher.PROCESSOR, 1, "uri"))
    expected = encoder.batch([garments.png(image[0])]).pixel_values
    np.testing.assert_allclose(teacher.seen(torch.from_numpy(image)).numpy(), expected, atol=1e-5)
