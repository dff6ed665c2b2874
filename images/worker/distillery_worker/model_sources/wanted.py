"""Which files of a repository a model is read from; the others are not fetched."""

from pathlib import PurePosixPath

SUFFIXES = (".json", ".jinja", ".safetensors", ".onnx", ".gguf")


def wanted(name: str) -> bool:
    """Whether it is a file at the top with configuration, tokenizer, template or weights."""
    return len(PurePosixPath(name).parts) == 1 and name.endswith(SUFFIXES)
