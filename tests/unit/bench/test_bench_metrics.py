"""What the bench of the gate simulates for macro F1 and NDCG."""

from collections import Counter

import gate_metrics
import numpy as np
import pytest
from distillery_gate import EvaluationItems, RankingItems
from gate_metrics import MetricCell


@pytest.fixture(scope="module")
def cells() -> list[MetricCell]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_metrics, "POPULATION", 5000)
        return list(gate_metrics.metric_cells())


def test_every_metric_size_and_clustering_is_in_the_grid(cells: list[MetricCell]) -> None:
    found = {(cell.metric, cell.n, cell.clustered) for cell in cells}
    assert found == {
        (metric, n, size) for metric in ("macro F1", "NDCG@10") for n in (50, 200, 1000) for size in (1, 5)
    }
    assert len({str(cell) for cell in cells}) == len(cells)


def test_samples_are_whole_clusters_of_the_population(cells: list[MetricCell], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_metrics, "POPULATION", 5000)
    for cell in (
        next(cell for cell in cells if (cell.metric, cell.clustered) == (metric, 5))
        for metric in ("macro F1", "NDCG@10")
    ):
        [items] = cell.samples(np.random.default_rng(0), 1)
        assert isinstance(items, EvaluationItems | RankingItems)
        assert items.n == cell.n
        assert set(Counter(items.clusters.tolist()).values()) == {5}


def test_clusters_are_alike_where_there_are_any(cells: list[MetricCell]) -> None:
    """Right answers of a cluster vary more from cluster to cluster than independent ones do."""
    for cell in (cell for cell in cells if cell.metric == "macro F1" and cell.n == 1000 and "0.6 right" in cell.name):
        right = (cell.columns["gold"] == cell.columns["teacher"]).reshape(-1, 5).mean(axis=1)
        alone = float(right.mean() * (1 - right.mean()) / 5)
        assert (float(right.var()) > 1.15 * alone) == (cell.clustered == 5)


def test_about_one_in_twenty_samples_passes_each_question(
    cells: list[MetricCell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_metrics, "POPULATION", 5000)
    cell = next(
        cell for cell in cells if cell.name.startswith("2 labels, 0.6") and (cell.n, cell.clustered) == (200, 1)
    )
    found = cell.promoted(np.random.default_rng(1), 300)
    assert set(found) == {"ratio", "difference", "floor"}
    assert all(1 < passed < 30 for passed in found.values())
