"""How often a model is right where it says so, as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from distillery_gate.calibration import Bin

SIZE, MARGIN = 220, 26  # pixels


def calibration_plot(bins: "Sequence[Bin]") -> Markup:
    """Accuracy over confidence, a dot for each bin, beside the diagonal of a model that is as sure as it is right."""
    side = SIZE - 2 * MARGIN

    def point(confidence: float, accuracy: float) -> str:
        return f"{MARGIN + confidence * side:.1f},{SIZE - MARGIN - accuracy * side:.1f}"

    dots = "".join(
        '<circle class="value" cx="{}" cy="{}" r="4"/>'.format(*point(each.confidence, each.accuracy).split(","))
        for each in bins
    )
    line = " ".join(point(each.confidence, each.accuracy) for each in bins)
    words = "; ".join(f"{each.accuracy:.2f} right at {each.confidence:.2f}" for each in bins)
    start, end = point(0, 0).split(","), point(1, 1).split(",")
    return Markup(
        f'<svg viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" role="img" aria-label="{words}">'
        f'<rect class="frame" x="{MARGIN}" y="{MARGIN}" width="{side}" height="{side}"/>'
        f'<line class="threshold" x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}"/>'
        f'<polyline class="curve" points="{line}"/>{dots}'
        f'<text x="{SIZE / 2}" y="{SIZE - 6}" text-anchor="middle">confidence, 0 to 1</text>'
        f'<text transform="translate(14 {SIZE / 2}) rotate(-90)" text-anchor="middle">accuracy, 0 to 1</text></svg>'
    )
