"""Which held-out rows are looked at first, and which only while the verdict is Inconclusive."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import groupby


def parts(clusters: Sequence[str], first: int | None) -> list[list[int]]:
    """Places of the rows by stage, each of which doubles what was looked at; all rows in order, without a first stage.

    Rows come in the order of a hash of what they belong to, which has nothing to do with what they say: so the rows of
    any stage and those before it are a random sample of whole clusters.

    clusters: what each row belongs to. [rows]
    first: rows of the first stage, to which whole clusters may add some
    """
    if first is None:
        return [list(range(len(clusters)))]
    order = sorted(range(len(clusters)), key=lambda place: (sha256(clusters[place].encode()).digest(), place))
    found, wanted, seen = list[list[int]](), 0, 0
    for _, cluster in groupby(order, key=clusters.__getitem__):
        if seen >= wanted:
            found.append([])
            wanted = 2 * wanted or first
        places = list(cluster)
        found[-1].extend(places)
        seen += len(places)
    return found
