"""An interval beside its threshold, as a picture of one line."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT, MARGIN = 240, 28, 8  # pixels
READING = "The dot is what was observed, the bar its interval, the dashed line the threshold, if there is one."
ROOM = 0.12  # of what is shown, free at both ends


def interval_plot(
    low: float, value: float, high: float, threshold: float | None = None, others: Sequence[float] = ()
) -> Markup:
    """A bar from low to high with a dot at the value, and a line at the threshold.

    The scale holds them and `others`: lines that are to be compared are given each other's numbers.
    """
    shown: list[float] = [low, value, high, *others, *(() if threshold is None else (threshold,))]
    start, end = min(shown), max(shown)
    room = ROOM * (end - start) or 1.0

    def place(number: float) -> float:
        share = (number - start + room) / (end - start + 2 * room)
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    middle = HEIGHT / 2
    numbers = f"{value:.4g}, between {low:.4g} and {high:.4g}"
    line = ""
    if threshold is not None:
        numbers += f"; threshold {threshold:.4g}"
        line = f'<line class="threshold" x1="{place(threshold)}" x2="{place(threshold)}" y1="2" y2="{HEIGHT - 2}"/>'
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"<title>{numbers}</title><desc>{READING}</desc>"
        f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{middle}" y2="{middle}"/>{line}'
        f'<line class="bar" x1="{place(low)}" x2="{place(high)}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="value" cx="{place(value)}" cy="{middle}" r="4"/></svg>'
    )
