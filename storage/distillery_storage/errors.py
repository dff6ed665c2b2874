"""What can go wrong with storage. Every message names the uri and says what to do."""
# ruff: noqa: N818 - named for what the caller finds, as in the words of the API

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError


class StorageError(Exception):
    """Storage refused the request, and would again: the uri or the content is wrong."""


class NotFound(StorageError):
    """Nothing is stored at the uri."""


class AccessDenied(StorageError):
    """The credentials are missing, wrong, or have no right to the uri."""


class Unavailable(StorageError):
    """Storage did not answer within the retries; the same request may work later."""


class DigestMismatch(StorageError):
    """The stored bytes are not the ones that were promised."""


class Conflict(StorageError):
    """Something different is published under this name already."""


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn errors of the object-store library into ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(_not_found(uri)) from error
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise AccessDenied(_denied(uri)) from error
    except ValueError as error:
        raise StorageError(f"{uri}: not a valid address: {_first_line(error)}") from error
    except BaseError as error:
        raise _generic(uri, error) from error


def _generic(uri: str, error: BaseError) -> StorageError:
    # The library gives lists, multipart uploads and local files one error type; its text has the cause.
    text = str(error)
    status = re.search(r"status code: (\d{3})", text)
    code = int(status[1]) if status else 0
    if code in (401, 403) or "(os error 13)" in text or "(os error 30)" in text:  # EACCES, EROFS
        return AccessDenied(_denied(uri))
    if code == 404:
        return NotFound(_not_found(uri))
    if 400 <= code < 500 and code not in (408, 429):
        said = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
        return StorageError(f"{uri}: storage refused the request ({code}): {said[1] if said else 'no reason given'}")
    return Unavailable(f"{uri}: {_first_line(error)}; check that the storage endpoint can be reached")


def _not_found(uri: str) -> str:
    return f"{uri}: not found; check the bucket or claim and the path"


def _denied(uri: str) -> str:
    if uri.startswith("s3://"):
        return f"{uri}: access denied; check the keys in storage.secretRef and that they may use this bucket"
    return f"{uri}: access denied; check that the volume may be read and written by this pod's user"


def _first_line(error: Exception) -> str:
    # A debug dump of the library's own structures follows the first line.
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:400]
