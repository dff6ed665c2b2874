"""Held-out rows as a served model meets them: mistyped, cut, noisy."""
