"""Bounds of one request and of the queue, so that no caller can exhaust the memory of a pod."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server takes; beyond it the answer is 400, 413 or 429 with the bound in the message."""

    max_texts: int = 128  # in one request
    max_characters: int = 50_000  # in one text; the tokenizer reads all of them before it truncates
    max_images: int = 32  # in one request
    max_body_bytes: int = 4 * 1024 * 1024
    max_waiting: int = 128  # requests that wait for a worker
    rows_per_run: int = 16  # texts or images in one run of the model: more gains little on a CPU and costs memory
    connection_seconds: float = 60.0  # age after which a connection is closed with its next response
