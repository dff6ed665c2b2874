"""How often a model is right where it says so, as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from distillery_gate.calibration import Bin

SIZE, MARGIN = 220, 26  # pixels
READING = "Each dot is a bin of answers; on the dashed line a model would be as often right as it says."


def calibration_plot(bins: "Sequence[Bin]") -> Markup:
    """Accuracy over confidence, a dot for each bin, beside the diagonal of a model that is as sure as it is right."""
    side = SIZE - 2 * MARGIN

    points = [
        (round(MARGIN + each.confidence * side, 1), round(SIZE - MARGIN - each.accuracy * side, 1)) for each in bins
    ]
    dots = "".join(f'<circle class="value" cx="{x}" cy="{y}" r="4"/>' for x, y in points)
    line = " ".join(f"{x},{y}" for x, y in points)
    words = "; ".join(f"{each.accuracy:.2f} right at {each.confidence:.2f}" for each in bins)
    return Markup(
        f'<svg viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" role="img">'
        f"<title>Accuracy by confidence: {words}</title><desc>{READING}</desc>"
        f'<rect class="frame" x="{MARGIN}" y="{MARGIN}" width="{side}" height="{side}"/>'
        f'<line class="threshold" x1="{MARGIN}" y1="{SIZE - MARGIN}" x2="{SIZE - MARGIN}" y2="{MARGIN}"/>'
        f'<polyline class="curve" points="{line}"/>{dots}'
        f'<text x="{SIZE / 2}" y="{SIZE - 6}" text-anchor="middle">confidence, 0 to 1</text>'
        f'<text transform="translate(14 {SIZE / 2}) rotate(-90)" text-anchor="middle">accuracy, 0 to 1</text></svg>'
    )
