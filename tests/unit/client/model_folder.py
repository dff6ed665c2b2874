"""A folder that is a model by its files alone."""

import json
from pathlib import Path
from typing import Any


def write_teacher(folder: Path, **config: Any) -> None:
    """100 parameters in float32."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"vocab_size": 30, "id2label": {"0": "a", "1": "b"}} | config))
    (folder / "model.safetensors").write_bytes(bytes(400))
