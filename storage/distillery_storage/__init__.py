"""Object storage behind one address form: s3://bucket/path, pvc://claim/path and, for local runs, file:///path."""

from .errors import AccessDenied, Conflict, DigestMismatch, NotFound, StorageError, Unavailable
from .folders import download_folder, fetch_artifact, publish_folder
from .prefix import Entry, Prefix, download_uri, open_prefix, read_uri, split_uri

__all__ = [
    "AccessDenied",
    "Conflict",
    "DigestMismatch",
    "Entry",
    "NotFound",
    "Prefix",
    "StorageError",
    "Unavailable",
    "download_folder",
    "download_uri",
    "fetch_artifact",
    "open_prefix",
    "publish_folder",
    "read_uri",
    "split_uri",
]
