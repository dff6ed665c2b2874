"""The stages of a distillation: preflight, label, train, compress, evaluate. One process runs one stage."""
