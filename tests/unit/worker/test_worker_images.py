"""Rows of images: what a cell may hold, and views that anyone can make again."""

from pathlib import Path

import micro_images
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery_api.dataset import Columns
from distillery_api.images import Augmentation, ImageConfig
from distillery_engine import ImageEncoder
from distillery_worker.data.images import load_images
from distillery_worker.data.views import AugmentedViews, View, ViewEncoder, Views, moved
from distillery_worker.errors import InputRefused
from distillery_worker.students.convnet import build_convnet, load_convnet
from distillery_worker.tasks.classification import Classification
from hypothesis import given
from hypothesis import strategies as st

HEAD = Classification(micro_images.PATTERNS)
IMAGE = micro_images.images(1)[0][0]


def load(cells: list[object], tmp_path: Path) -> list[bytes]:
    pq.write_table(pa.table({"image": cells}), tmp_path / "rows.parquet")
    return load_images(f"file://{tmp_path}/rows.parquet", "train", Columns(), None, tmp_path / "work").inputs


@pytest.mark.parametrize("cell", [IMAGE, {"bytes": IMAGE, "path": None}], ids=["bytes", "as datasets writes it"])
def test_a_cell_holds_an_encoded_image(cell: object, tmp_path: Path) -> None:
    assert load([cell, cell], tmp_path) == [IMAGE, IMAGE]


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        pytest.param({"bytes": None, "path": "a.png"}, "has no encoded image", id="a path alone"),
        pytest.param("a.png", "has no encoded image", id="text"),
        pytest.param(b"GIF89a", "is neither a PNG nor a JPEG image", id="another format"),
        pytest.param(IMAGE[:100], "does not decode", id="cut off"),
    ],
)
def test_a_cell_without_a_readable_image_is_named(cell: object, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=f"dataset.train: row 1 of column 'image' {problem}") as caught:
        load([cell], tmp_path)
    assert caught.value.reason == "ImageUnreadable"


def test_images_come_in_parquet_alone(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"rows.jsonl is no .parquet file") as caught:
        load_images(f"file://{tmp_path}/rows.jsonl", "test", Columns(), None, tmp_path)
    assert caught.value.reason == "DataUnreadable"


def test_gold_labels_come_with_the_images(tmp_path: Path) -> None:
    micro_images.write_rows(tmp_path / "rows.parquet", micro_images.images(4))
    rows = load_images(f"file://{tmp_path}/rows.parquet", "train", Columns(), HEAD.gold, tmp_path / "work")
    assert rows.gold is not None
    assert rows.gold.tolist() == [0, 1, 2, 0]
    assert len(set(rows.keys)) == 4


def test_groups_come_with_the_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [IMAGE, IMAGE], "patient": [3, 4]}), tmp_path / "rows.parquet")
    columns = Columns(group="patient")
    assert load_images(f"file://{tmp_path}/rows.parquet", "train", columns, None, tmp_path).groups == ["3", "4"]


VIEWS = AugmentedViews(Augmentation(shift=2, horizontal_flip=True), count=3)


def drawn(views: AugmentedViews, key: str, view: int) -> tuple[int, int, bool]:
    shown = views.shown(b"", key, view)
    return shown.down, shown.right, shown.mirrored


def test_a_view_is_the_same_whoever_makes_it() -> None:
    # Golden: stored labels speak of exactly these views.
    shown = [drawn(VIEWS, "0" * 64, view) for view in range(3)]
    assert shown == [(0, 1, False), (1, 1, True), (0, -2, True)]
    assert [VIEWS.key("0" * 64, view) for view in range(3)] == [f"{'0' * 64}/{view}" for view in range(3)]


@pytest.mark.parametrize("seed", [0, 1])
def test_views_differ_by_image_by_number_and_by_seed(seed: int) -> None:
    views = AugmentedViews(Augmentation(shift=2, horizontal_flip=True, seed=seed), count=40)
    found = [drawn(views, key, view) for key in ("a", "b") for view in range(40)]
    other = AugmentedViews(Augmentation(shift=2, horizontal_flip=True, seed=seed + 1), count=40)
    assert found[:40] != found[40:]
    assert {down for down, _, _ in found} == {right for _, right, _ in found} == {-2, -1, 0, 1, 2}
    assert {mirrored for _, _, mirrored in found} == {False, True}
    assert [drawn(other, "a", view) for view in range(40)] != found[:40]


def test_nothing_is_mirrored_unless_asked_for() -> None:
    views = AugmentedViews(Augmentation(shift=1), count=30)
    assert not any(views.shown(b"", "a", view).mirrored for view in range(30))


@given(st.integers(-3, 3), st.integers(-3, 3), st.booleans())
def test_a_moved_image_is_the_image_where_both_overlap_and_black_elsewhere(
    down: int, right: int, mirrored: bool
) -> None:
    pixels = np.arange(1, 31, dtype=np.uint8).reshape(5, 6, 1)
    source = pixels[:, ::-1] if mirrored else pixels
    expected = [
        [source[y - down, x - right, 0] if 0 <= y - down < 5 and 0 <= x - right < 6 else 0 for x in range(6)]
        for y in range(5)
    ]
    np.testing.assert_array_equal(moved(pixels, down, right, mirrored=mirrored)[:, :, 0], expected)


def test_the_encoder_shows_plain_images_and_views_side_by_side() -> None:
    plain = ImageEncoder(micro_images.preprocessing())
    encoder = ViewEncoder(plain)
    batch = encoder.collate(encoder.encode([IMAGE, View(IMAGE, down=2)])).pixel_values
    np.testing.assert_array_equal(batch[0], plain.batch([IMAGE]).pixel_values[0])
    np.testing.assert_array_equal(batch[1, :, 2:], batch[0, :, :-2])
    assert (batch[1, :, :2] == (0 - 0.5) / 0.25).all()


def test_no_image_costs_more_than_another_so_that_batches_are_not_sorted_by_the_size_of_files() -> None:
    plain = micro_images.png(np.zeros((12, 12), dtype=np.uint8))
    assert len(IMAGE) > len(plain)
    rows = ViewEncoder(ImageEncoder(micro_images.preprocessing())).encode([IMAGE, plain])
    assert len(rows[0]) == len(rows[1])


def test_texts_have_one_view_which_is_the_text() -> None:
    assert (Views.count, Views().key("key", 0), Views().shown("text", "key", 0)) == (1, "key", "text")


def test_equal_configs_and_seeds_give_equal_students_and_a_saved_one_loads(tmp_path: Path) -> None:
    config = ImageConfig(channels=[4, 8, 8], depth=2)
    first, second, other = (build_convnet(config, HEAD, micro_images.preprocessing(), seed) for seed in (0, 0, 1))
    weights = [model.state_dict()["stages.0.convolution.weight"] for model in (first, second, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])
    first.save_pretrained(tmp_path)
    loaded = load_convnet(tmp_path)
    assert loaded.config.id2label == dict(enumerate(micro_images.PATTERNS))
    assert all(tensor.equal(loaded.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_more_stages_than_the_images_can_be_halved_are_refused() -> None:
    build_convnet(ImageConfig(channels=[4] * 4), HEAD, micro_images.preprocessing(), 0)
    with pytest.raises(InputRefused, match="5 stages halve the teacher's images of 12 x 12 pixels to nothing"):
        build_convnet(ImageConfig(channels=[4] * 5), HEAD, micro_images.preprocessing(), 0)
