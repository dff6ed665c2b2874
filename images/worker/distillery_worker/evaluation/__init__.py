"""Measurements of models, and the report on them."""
