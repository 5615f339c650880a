"""Files that a person names: all commands and services read them in one way, and say in one way that they can't.

A byte order mark at the beginning, which some editors write, is skipped.
"""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import Final

from shared.errors import Rejection

FILE_BYTES_MAX: Final = 1024**3
STANDARD_INPUT: Final = "-"


class Unreadable(Rejection):
    """A file that can't be read. `reason` names it; `why` and `line` are for those who name it otherwise."""

    def __init__(self, path: Path, why: str, *, line: int = 0) -> None:
        super().__init__(f"{path}:{line}: {why}" if line else f"{path}: {why}")
        self.why = why
        self.line = line


def read_bytes(path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """What is in a file, without its byte order mark. Raises `Unreadable`."""
    try:
        with path.open("rb") as file:
            return _bounded(path, file.read(bytes_max + 1), bytes_max)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unreadable(path, "there is no such file") from error
    except IsADirectoryError as error:
        raise Unreadable(path, "is a folder, not a file") from error
    except PermissionError as error:
        raise Unreadable(path, "may not be read") from error
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise Unreadable(path, "can't be read") from error


def read_text(path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> str:
    """The text of a UTF-8 file. Raises `Unreadable`, with the line where it stops being UTF-8."""
    return as_text(path, read_bytes(path, bytes_max=bytes_max))


def as_text(path: Path, content: bytes) -> str:
    """`content` of `path` as UTF-8. Raises `Unreadable`."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(path, "is not UTF-8", line=content.count(b"\n", 0, error.start) + 1) from error


def read_argument(path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """As `read_bytes`; `-` is standard input, as an argument of a command may name it."""
    if str(path) != STANDARD_INPUT:
        return read_bytes(path, bytes_max=bytes_max)
    return _bounded(Path("standard input"), sys.stdin.buffer.read(bytes_max + 1), bytes_max)


def shown(path: Path) -> str:
    """How an argument that `read_argument` takes is called in what is said of it."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def _bounded(path: Path, content: bytes, bytes_max: int) -> bytes:
    if len(content) > bytes_max:
        raise Unreadable(path, f"has more than {_size(bytes_max)}: cut it up")
    return content.removeprefix(codecs.BOM_UTF8)


def _size(number: int) -> str:
    return f"{number // 1024**2} MiB" if number >= 1024**2 else f"{number // 1024} KiB"
