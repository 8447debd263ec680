"""The errors a person can fix, each with a message that says what, where and what to do."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WITH_REASON = ("rollback", "promote", "hold", "release")  # of the commands about the registry


class ProjectError(Exception):
    """An error with a message for the person who runs the project.

    The console command prints the message without a traceback and ends with `exit_code`.

    Attributes:
        command: The shell command that fixes the problem, if there is one.
    """

    exit_code = 1
    command = ""


class ConfigurationError(ProjectError):
    """A setting is missing, misspelt or impossible. Nothing was read or trained."""

    exit_code = 2


class DataError(ProjectError):
    """The table cannot be used: the message names the file and the column."""


class RegistryError(ProjectError):
    """The registry cannot be read or written. Production does not change."""


class FileError(ProjectError):
    """A file or folder cannot be read or written; the message names it and the reason."""


@contextmanager
def translate_file_errors(place: str | Path = "") -> Iterator[None]:
    """Turn an error of the operating system about a file into a `FileError`.

    Args:
        place: The file or folder in use, for errors of the system that do not name it.

    Raises:
        FileError: a file or folder could not be read or written. Network errors are not changed: they may be temporary.
    """
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        if error.errno is None and not place:
            raise
        raise FileError(explain(error, place)) from error


def named(names: Iterable[Any], most: int = 10) -> str:
    """Return the first names in quotes, and how many more there are.

    Examples:
        >>> named(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    names = list(map(str, names))
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def explain(error: OSError, place: str | Path = "") -> str:
    """Return a message with the file, the problem and what to do."""
    named = os.fspath(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    where = shortened(named.decode(errors="replace") if isinstance(named, bytes) else named or str(place))
    return f"{where or 'A file'}: {error.strerror or error}. {advice(error)}"


def advice(error: OSError) -> str:
    """Return what to do about an error of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "The disk or quota is full. Free some space and run this again; nothing was changed."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Give user {os.geteuid()} read and write access, on a disk that is not read-only, and run this again."
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return "There is a file where a folder is expected, or a folder where a file is. Move it away."
    if error.errno == errno.ENAMETOOLONG:
        return "The path is too long. Check the setting or parameter."
    if error.errno == errno.ENOENT:
        return "Create the folder, or correct the path."
    return "Fix the folder or its disk, then run this again; nothing was changed."


def shell_command(project: str, *words: str) -> str:
    """Return a command of a project in backticks, for texts: it can be pasted, and its reason filled in.

    Examples:
        >>> shell_command("churn", "registry", "release", "v6")
        '`churn registry release v6 --reason "..."`'
    """
    reason = ['--reason "..."'] if words[0] == "registry" and words[1] in _WITH_REASON else []
    return f"`{' '.join([project, *words, *reason])}`"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type without one."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def shortened(text: str, *, longest: int = 300) -> str:
    """Return `text`, without its middle where it is longer than a message should be."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
