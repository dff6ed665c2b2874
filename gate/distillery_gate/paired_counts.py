"""The 2x2 table of two models on the same items: all that the paired tests need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairedCounts:
    """Items that both models, only the new one, only the reference, or neither gets right."""

    both: int
    new_only: int
    reference_only: int
    neither: int

    @property
    def n(self) -> int:
        """All items."""
        return self.both + self.new_only + self.reference_only + self.neither

    @property
    def new(self) -> int:
        """Items the new model gets right."""
        return self.both + self.new_only

    @property
    def reference(self) -> int:
        """Items the reference gets right."""
        return self.both + self.reference_only

    @property
    def discordant(self) -> int:
        """Items on which exactly one of the two is right."""
        return self.new_only + self.reference_only


def count_pairs(new: NDArray[np.bool_], reference: NDArray[np.bool_]) -> PairedCounts:
    """Count the four kinds of item. Both arrays: [n]."""
    both = int(np.count_nonzero(new & reference))
    new_only = int(np.count_nonzero(new)) - both
    reference_only = int(np.count_nonzero(reference)) - both
    return PairedCounts(both, new_only, reference_only, len(new) - both - new_only - reference_only)
