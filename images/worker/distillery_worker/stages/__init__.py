"""The stages of a distillation, one module each."""
