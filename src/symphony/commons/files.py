"""Files that are either whole or not there, reads that cannot flood memory, paths that stay inside.

Everything here blocks; from a coroutine call it through `commons.blocking.run`. Every `OSError`
becomes a `FileError` that says what to do, by `translated`.

Two choices took thought. A write replaces a symlink instead of following it: following would let
whoever may create links in a folder choose which file we overwrite. And `inside` resolves links
and compares, which a process that swaps a folder for a link at the right moment can defeat; the
race-free way (`openat2` with RESOLVE_BENEATH) is not in the standard library, and whoever can
rename inside the root could read it anyway. The rights of extensions do not rest on it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from symphony.commons.errors import Category, SymphonyError

#: How the names of unfinished files begin. One is left only by a process that was killed.
TEMPORARY_PREFIX = ".symphony-tmp-"

if sys.platform == "win32":
    _BINARY, _WITHOUT_WAITING = os.O_BINARY, 0
else:
    _BINARY, _WITHOUT_WAITING = 0, os.O_NONBLOCK
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)


class FileError(SymphonyError):
    """Something about one file or folder: `path`."""

    category = Category.IO

    def __init__(self, path: Path, message: str, *, hint: str = "") -> None:
        self.path = path
        super().__init__(message, hint=hint)


class FileMissing(FileError):
    code = "files.missing"
    category = Category.NOT_FOUND

    def __init__(self, path: Path) -> None:
        gap = _first_missing(path)
        hint = "Check the name." if gap == path else f"The folder {_shown(gap)} does not exist."
        super().__init__(path, f"There is no file or folder {_shown(path)}.", hint=hint)


class FileNotPermitted(FileError):
    code = "files.not_permitted"
    category = Category.PERMISSION

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(
            path,
            f"Access to {_shown(path)} was refused: {reason}.",
            hint="Check who owns it, its permissions, and whether its disk is read-only.",
        )


class FileTooLarge(FileError):
    """`size` is what is known to be there; a file that grows may hold more."""

    code = "files.too_large"
    category = Category.LIMIT

    def __init__(self, path: Path, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            path,
            f"{_shown(path)} is too large: {format_size(size)}, the limit is {format_size(limit)}.",
            hint="Use a smaller file, or raise the limit.",
        )


class NotText(FileError):
    code = "files.not_text"
    category = Category.VALIDATION

    def __init__(self, path: Path, encoding: str, reason: str) -> None:
        self.encoding = encoding
        self.reason = reason
        super().__init__(
            path,
            f"{_shown(path)} is not a text file in {encoding}: {reason}.",
            hint="Choose a text file, or name the encoding that it was written in.",
        )


class WrongFileKind(FileError):
    code = "files.wrong_kind"
    category = Category.VALIDATION

    def __init__(self, path: Path, expected: Literal["file", "folder"]) -> None:
        self.expected = expected
        super().__init__(
            path,
            f"{_shown(path)} is not a {expected}.",
            hint=f"Give the path of {'an ordinary file' if expected == 'file' else 'a folder'}.",
        )


class DiskFull(FileError):
    """No space left, a quota reached, or a file larger than the system allows."""

    code = "files.disk_full"

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"There is no space left to write {_shown(path)}.",
            hint="Free some space on that disk, or choose another folder.",
        )


class UnsafePath(FileError):
    """A relative path that would lead out of its folder, or means different things elsewhere."""

    code = "files.unsafe_path"
    category = Category.VALIDATION

    def __init__(self, root: Path, relative: str, reason: str) -> None:
        self.relative = relative
        self.reason = reason
        super().__init__(
            root,
            f"The path {relative!r} is not allowed inside {_shown(root)}: {reason}.",
            hint="Give a relative path, with '/' between its parts, that stays in the folder.",
        )


class FileFailed(FileError):
    """Any other answer of the operating system: a broken disk, too many open files."""

    code = "files.failed"

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(path, f"{_shown(path)} could not be used: {reason}.")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise the `OSError`s of the block as `FileError`s, about `path` unless they name a file.

    Those of the network pass through: a download that breaks off is no fault of the file.
    """
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise _file_error(path, error) from error


def _file_error(path: Path, error: OSError) -> FileError:
    subject = _subject(path, error)
    reason = (error.strerror or str(error)).lower()
    if error.errno in _NO_SPACE:
        return DiskFull(subject)
    if error.errno == errno.ENOENT:
        return FileMissing(subject)
    if error.errno in _NOT_PERMITTED:
        return FileNotPermitted(subject, reason)
    if error.errno == errno.EISDIR:
        return WrongFileKind(subject, "file")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return WrongFileKind(_file_in_the_way(subject), "folder")
    return FileFailed(subject, reason)


def _subject(path: Path, error: OSError) -> Path:
    """A temporary file stands for the file it was to become; a bare descriptor for nothing."""
    if not isinstance(error.filename, (str, bytes)):
        return path
    named = Path(os.fsdecode(error.filename))
    return path if named.name.startswith(TEMPORARY_PREFIX) else named


def _file_in_the_way(path: Path) -> Path:
    above = (step for step in (path, *path.parents) if step.exists() and not step.is_dir())
    return next(above, path)


def write_atomic(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Replace the content of `path` at once and durably; see `open_atomic`."""
    with open_atomic(path, mode=mode) as file:
        file.write(data)


def write_new(path: Path, data: bytes, *, mode: int | None = None) -> bool:
    """Like `write_atomic`, but what is there stays: then False. Of several processes that write
    at once one wins. The file system must know hard links."""
    temporary = path.parent / (TEMPORARY_PREFIX + secrets.token_hex(8))
    write_atomic(temporary, data, mode=mode)
    with translated(path):
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


@contextmanager
def open_atomic(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends without an error.

    At that moment its content and its name are on the disk to stay. Until then, and after an
    error, readers see what was there before, and nothing else remains in the folder. Permissions
    are `mode`, else those of the file replaced, else what the umask leaves. A symlink at `path`
    is replaced. The folder must exist: see `make_folder`.
    """
    if path.is_dir():
        raise WrongFileKind(path, "file")
    temporary = path.parent / (TEMPORARY_PREFIX + secrets.token_hex(8))
    with translated(path), ExitStack() as undo:
        undo.callback(temporary.unlink, missing_ok=True)
        file = undo.enter_context(_create(temporary, _mode_of(path) if mode is None else mode))
        yield file
        file.flush()
        _sync(file.fileno())
        file.close()
        temporary.replace(path)
        undo.pop_all()
        sync_folder(path.parent)


def _mode_of(path: Path) -> int | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_mode & 0o777 if stat.S_ISREG(status.st_mode) else None


def _create(path: Path, mode: int | None) -> BinaryIO:
    """Never, not even for a moment, open to more readers than `mode` allows."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    descriptor = os.open(path, flags, 0o666 if mode is None else mode)
    if mode is not None and sys.platform != "win32":
        os.fchmod(descriptor, mode)
    return os.fdopen(descriptor, "wb")


def _sync(descriptor: int) -> None:
    """On macOS `fsync` only reaches the drive's cache; F_FULLFSYNC is what lasts."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_data(descriptor: int) -> None:
    """Make what was written to an open file durable, and its size, but not its times."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        _sync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Windows has no such call and does it by itself."""
    if sys.platform == "win32":
        return
    with translated(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Create `folder` and what is missing above it, durably; `mode` is for those created."""
    with translated(folder):
        if not folder.is_dir():
            if folder.parent != folder:
                make_folder(folder.parent, mode=mode)
            folder.mkdir(mode, exist_ok=True)
            sync_folder(folder.parent)


def existing_part(path: Path) -> Path:
    """`path` itself, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(step for step in (path, *path.parents) if step.exists())


def open_regular(path: Path) -> BinaryIO:
    """Open an ordinary file to read. A named pipe or a device is refused without waiting for it."""
    with translated(path):
        descriptor = os.open(path, os.O_RDONLY | _WITHOUT_WAITING | _BINARY)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise WrongFileKind(path, "file")
        return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes; never holds much more than that."""
    with open_regular(path) as file, translated(path):
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise FileTooLarge(path, size, limit)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FileTooLarge(path, len(data), limit)
    return data


def read_text(path: Path, limit: int, encoding: str = "utf-8") -> str:
    """Like `read_bytes`, decoded strictly. Line ends stay as they are; a UTF-8 BOM is dropped.

    A NUL character makes a file binary: no text holds one, most binary formats do early on.
    """
    data = read_bytes(path, limit)
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise NotText(path, encoding, "there is no such text encoding") from error
    except UnicodeError as error:
        raise NotText(path, encoding, _decoding_reason(error)) from error
    at = text.find("\0")
    if at >= 0:
        raise NotText(path, encoding, f"character {at + 1} is a NUL, as in binary files")
    return text.removeprefix("\ufeff")


def _decoding_reason(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} at offset {error.start} does not belong"
    return str(error)


def inside(root: Path, relative: str, *, portable: bool = os.name == "nt") -> Path:
    """The real path (all links resolved) of `relative`, which need not exist, below `root`.

    Refused: absolute paths, `..`, NUL, links that lead out, and on a file system that ignores
    case a spelling other than the one on the disk, so that a file has one name only. `portable`
    also refuses what Windows reads differently: backslashes, drives and streams (`:`), devices
    (`aux.txt`), and trailing dots or spaces. Raises UnsafePath.
    """
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    reason = _lexical_fault(relative, parts)
    if portable and not reason:
        reason = _windows_fault(relative, parts)
    if reason:
        raise UnsafePath(root, relative, reason)
    real_root = Path(os.path.realpath(root))
    path = Path(os.path.realpath(real_root.joinpath(*parts)))
    if not path.is_relative_to(real_root):
        raise UnsafePath(root, relative, "it leads out of the folder through a link")
    with translated(root):
        _require_true_spelling(real_root, relative, parts)
    return path


def _lexical_fault(relative: str, parts: list[str]) -> str:
    if not relative:
        return "it is empty"
    if relative.startswith("/"):
        return "it is absolute"
    if "\0" in relative:
        return "it contains a NUL character"
    return "it contains '..'" if ".." in parts else ""


def _windows_fault(relative: str, parts: list[str]) -> str:
    if any(ord(character) < 32 or character in '\\:<>"|?*' for character in relative):
        return "it contains a character that Windows does not allow in names"
    for part in parts:
        if part.endswith((".", " ")):
            return f"{part!r} ends with a dot or a space, which Windows drops"
        if part.split(".")[0].rstrip(" ").lower() in _WINDOWS_DEVICES:
            return f"{part!r} is the name of a device on Windows"
    return ""


def _require_true_spelling(root: Path, relative: str, parts: list[str]) -> None:
    """Where case counts, the swapped spelling does not exist, and no folder has to be listed."""
    folder = root
    for part in parts:
        entry = folder / part
        swapped = folder / part.swapcase()
        if swapped != entry and os.path.lexists(entry) and os.path.lexists(swapped):
            spelled = os.listdir(folder)  # noqa: PTH208 - names, not paths
            if part not in spelled:
                raise UnsafePath(root, relative, f"{part!r} is spelled differently on the disk")
        folder = entry


def format_size(size: int) -> str:
    """For people: `999 B`, `1.5 KiB`, `2.0 GiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _first_missing(path: Path) -> Path:
    missing = path
    while not os.path.lexists(missing.parent):
        missing = missing.parent
    return missing


def _shown(path: Path) -> str:
    """Odd names (control characters, undecodable bytes) must not garble a terminal."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
