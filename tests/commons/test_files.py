from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons import files
from symphony.commons.errors import Category
from symphony.commons.files import FileError, UnsafePath

KIB = 1024
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class TestWriteAtomic:
    @settings(deadline=None)
    @given(content=st.binary(max_size=4 * KIB))
    def test_what_is_written_is_read_back(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        path = tmp_path_factory.mktemp("files") / "data"
        files.write_atomic(path, content)
        assert files.read_bytes(path, 4 * KIB) == content
        assert names_in(path.parent) == ["data"]

    def test_it_replaces_a_file_and_keeps_its_permissions(self, tmp_path: Path) -> None:
        path = tmp_path / "data"
        path.write_bytes(b"old")
        path.chmod(0o640)
        files.write_atomic(path, b"new")
        assert path.read_bytes() == b"new"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    @posix_only
    @pytest.mark.parametrize("mode", [0o600, 0o666, 0o755])
    def test_the_mode_is_exact_whatever_the_umask(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "data"
        files.write_atomic(path, b"", mode=mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode

    @posix_only
    def test_a_secret_is_never_readable_by_others_not_even_while_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        modes: list[int] = []
        change = os.fchmod

        def note_and_change(descriptor: int, mode: int) -> None:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
            change(descriptor, mode)

        monkeypatch.setattr(os, "fchmod", note_and_change)
        with files.open_atomic(tmp_path / "key", mode=0o600):
            (temporary,) = tmp_path.iterdir()
            modes.append(stat.S_IMODE(temporary.stat().st_mode))
        assert modes == [0o600, 0o600]

    @posix_only
    def test_a_new_file_follows_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            files.write_atomic(tmp_path / "data", b"")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o640

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="another call makes durable")
    def test_content_is_durable_before_the_name_and_the_name_before_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "data"
        synced: list[tuple[str, bytes, bool]] = []
        sync = os.fsync

        def note_and_sync(descriptor: int) -> None:
            place = Path(f"/proc/self/fd/{descriptor}").resolve()
            is_file = place.is_file()
            content = place.read_bytes() if is_file else b""
            synced.append(("file" if is_file else "folder", content, path.exists()))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", note_and_sync)
        files.write_atomic(path, b"content")
        assert synced == [("file", b"content", False), ("folder", b"", True)]

    def test_until_the_block_ends_readers_see_the_old_content(self, tmp_path: Path) -> None:
        path = tmp_path / "data"
        path.write_bytes(b"old")
        with files.open_atomic(path) as file:
            file.write(b"new")
            file.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"

    @pytest.mark.parametrize("error", [ValueError("body"), KeyboardInterrupt()])
    def test_a_failure_leaves_the_old_content_and_nothing_else(
        self, tmp_path: Path, error: BaseException
    ) -> None:
        path = tmp_path / "data"
        path.write_bytes(b"old")

        def write_half() -> None:
            with files.open_atomic(path) as file:
                file.write(b"half")
                raise error

        with pytest.raises(type(error)):
            write_half()
        assert path.read_bytes() == b"old"
        assert names_in(tmp_path) == ["data"]

    def test_a_symlink_is_replaced_and_its_target_kept(self, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_bytes(b"precious")
        link = tmp_path / "link"
        link.symlink_to(target)
        files.write_atomic(link, b"new")
        assert not link.is_symlink()
        assert (link.read_bytes(), target.read_bytes()) == (b"new", b"precious")

    def test_a_folder_in_its_place_is_refused_before_anything_is_written(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(files.WrongFileKind) as caught:
            files.write_atomic(tmp_path, b"")
        assert (caught.value.path, caught.value.expected) == (tmp_path, "file")
        assert names_in(tmp_path) == []

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(files.FileMissing) as caught:
            files.write_atomic(tmp_path / "a" / "b" / "data", b"")
        assert caught.value.path == tmp_path / "a" / "b" / "data"
        assert caught.value.hint == f"The folder {tmp_path / 'a'} does not exist."

    def test_a_longest_possible_name_fits(self, tmp_path: Path) -> None:
        path = tmp_path / ("n" * 255)
        files.write_atomic(path, b"x")
        assert path.read_bytes() == b"x"

    def test_errors_of_other_files_and_of_the_network_are_not_blamed_on_this_one(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(files.FileMissing) as caught, files.open_atomic(tmp_path / "copy"):
            (tmp_path / "original").read_bytes()
        assert caught.value.path == tmp_path / "original"
        with pytest.raises(ConnectionResetError), files.open_atomic(tmp_path / "copy"):
            raise ConnectionResetError(errno.ECONNRESET, "reset by peer")
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize("place", ["on_small_disk", "with_small_files"])
    def test_a_full_disk_keeps_the_old_content_and_leaves_nothing(
        self, request: pytest.FixtureRequest, place: str
    ) -> None:
        run: Callable[[str], str] = request.getfixturevalue(place)
        printed = run("""
from pathlib import Path
from symphony.commons import files
path = Path.cwd() / "data"
files.write_atomic(path, b"old")
try:
    files.write_atomic(path, bytes(2_000_000))
except files.DiskFull as error:
    print(error.code, error.path == path, path.read_bytes(), [p.name for p in Path().iterdir()])
files.write_atomic(path, bytes(200_000))
print(path.stat().st_size)
""")
        assert printed.splitlines() == ["files.disk_full True b'old' ['data']", "200000"]


class TestMakeFolder:
    def test_it_creates_what_is_missing_and_accepts_what_is_there(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b" / "c"
        for _ in range(2):
            files.make_folder(folder, mode=0o700)
        assert folder.is_dir()
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700

    def test_a_relative_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        files.make_folder(Path("x/y"))
        assert (tmp_path / "x" / "y").is_dir()

    @pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
    def test_a_file_in_the_way_is_named(self, tmp_path: Path, below: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(files.WrongFileKind) as caught:
            files.make_folder(tmp_path / "file" / below)
        assert (caught.value.path, caught.value.expected) == (tmp_path / "file", "folder")


class TestRead:
    def test_exactly_the_limit_is_allowed(self, tmp_path: Path) -> None:
        path = tmp_path / "data"
        path.write_bytes(bytes(10))
        assert files.read_bytes(path, 10) == bytes(10)
        with pytest.raises(files.FileTooLarge) as caught:
            files.read_bytes(path, 9)
        assert (caught.value.size, caught.value.limit) == (10, 9)
        assert caught.value.category is Category.LIMIT

    def test_a_huge_file_is_refused_without_reading_it(self, tmp_path: Path) -> None:
        path = tmp_path / "huge"
        with path.open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(files.FileTooLarge, match=r"1\.0 TiB, the limit is 1\.0 MiB"):
            files.read_bytes(path, KIB * KIB)

    @pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
    def test_a_file_that_hides_its_size_is_capped_too(self) -> None:
        with pytest.raises(files.FileTooLarge):
            files.read_bytes(Path("/proc/self/environ"), 1)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(files.FileMissing) as caught:
            files.read_bytes(tmp_path / "nothing", 1)
        assert caught.value.code == "files.missing"
        assert str(tmp_path / "nothing") in caught.value.message
        assert caught.value.record().facts == {"path": str(tmp_path / "nothing")}

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(files.WrongFileKind) as caught:
            files.read_bytes(tmp_path, 1)
        assert caught.value.expected == "file"

    def test_a_file_used_as_a_folder_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(files.WrongFileKind) as caught:
            files.read_bytes(tmp_path / "file" / "below", 1)
        assert (caught.value.path, caught.value.expected) == (tmp_path / "file", "folder")

    @posix_only
    def test_a_named_pipe_without_a_writer_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(files.WrongFileKind):
            files.read_bytes(tmp_path / "pipe", 1)

    def test_what_may_not_be_read_or_written_is_told(
        self, tmp_path: Path, without_root: Callable[[str], str]
    ) -> None:
        (tmp_path / "secret").touch(mode=0o000)
        (tmp_path / "closed").mkdir(mode=0o555)
        printed = without_root("""
from pathlib import Path
from symphony.commons import files
drop()
for attempt in (
    lambda: files.read_bytes(Path("secret"), 1),
    lambda: files.write_atomic(Path("closed/new"), b""),
    lambda: files.make_folder(Path("closed/deep/er")),
):
    try:
        attempt()
    except files.FileNotPermitted as error:
        print(error.path, error.reason, error.category)
""")
        assert printed.splitlines() == [
            "secret permission denied permission",
            "closed/new permission denied permission",
            "closed/deep permission denied permission",
        ]

    def test_a_link_to_itself(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(files.FileFailed, match="symbolic links"):
            files.read_bytes(tmp_path / "loop", 1)

    @pytest.mark.parametrize(
        ("number", "kind"),
        [
            (errno.EACCES, files.FileNotPermitted),
            (errno.EROFS, files.FileNotPermitted),
            (errno.EDQUOT, files.DiskFull),
            (errno.EIO, files.FileFailed),
            (errno.EMFILE, files.FileFailed),
        ],
    )
    def test_what_the_system_answers_decides_the_class(
        self, number: int, kind: type[FileError]
    ) -> None:
        path = Path("some/file")
        with pytest.raises(kind) as caught, files.translated(path):
            raise OSError(number, os.strerror(number))
        assert caught.value.path == path
        assert isinstance(caught.value.__cause__, OSError)


class TestReadText:
    @settings(deadline=None)
    @given(text=st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])))
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_text_comes_back_as_it_was(
        self, tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str
    ) -> None:
        path = tmp_path_factory.mktemp("files") / "text"
        path.write_bytes(text.encode(encoding))
        assert files.read_text(path, 64 * KIB, encoding) == text

    def test_a_byte_order_mark_is_dropped_and_line_ends_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "text"
        path.write_bytes(b"\xef\xbb\xbfa\r\nb\n")
        assert files.read_text(path, KIB) == "a\r\nb\n"

    @pytest.mark.parametrize(
        ("content", "encoding", "reason"),
        [
            (b"ab\xffcd", "utf-8", "byte 0xff at offset 2"),
            (b"\x89PNG\r\n\x1a\n\0\0", "utf-8", "byte 0x89 at offset 0"),
            (b"PK\3\4\0\0", "utf-8", "character 5 is a NUL"),
            (b"abc", "utf-16", "at offset 2"),
            (b"abc", "klingon", "no such text encoding"),
            (b"abc", "zlib", "no such text encoding"),
            (b"abc", "undefined", "undefined encoding"),
        ],
    )
    def test_what_is_no_text_says_why(
        self, tmp_path: Path, content: bytes, encoding: str, reason: str
    ) -> None:
        path = tmp_path / "data"
        path.write_bytes(content)
        with pytest.raises(files.NotText, match=reason) as caught:
            files.read_text(path, KIB, encoding)
        assert caught.value.encoding == encoding


class TestInside:
    @pytest.mark.parametrize(
        ("relative", "expected"),
        [
            ("a", "a"),
            ("a/b.txt", "a/b.txt"),
            ("./a//b/", "a/b"),
            (".", "."),
            ("..a/b..", "..a/b.."),
            ("line\nbreak", "line\nbreak"),
            ("~", "~"),
            ("aux.c", "aux.c"),
        ],
    )
    def test_ordinary_paths_stay(self, tmp_path: Path, relative: str, expected: str) -> None:
        assert files.inside(tmp_path, relative, portable=False) == tmp_path.resolve() / expected

    @pytest.mark.parametrize(
        ("relative", "reason"),
        [
            ("", "empty"),
            ("/etc/passwd", "absolute"),
            ("..", "'..'"),
            ("a/../../b", "'..'"),
            ("a/..", "'..'"),
            ("a\0b", "NUL"),
        ],
    )
    def test_paths_that_lead_out_are_refused(
        self, tmp_path: Path, relative: str, reason: str
    ) -> None:
        with pytest.raises(UnsafePath, match=reason) as caught:
            files.inside(tmp_path, relative)
        assert caught.value.relative == relative

    @pytest.mark.parametrize(
        ("relative", "reason"),
        [
            ("..\\x", "character"),
            ("C:/x", "character"),
            ("C:x", "character"),
            ("file.txt:stream", "character"),
            ("\\\\server\\share", "character"),
            ("a\tb", "character"),
            ("what?", "character"),
            ("CoN", "device"),
            ("a/aux.txt", "device"),
            ("nul .tar.gz", "device"),
            ("COM¹", "device"),
            ("a./b", "dot or a space"),
            ("a /b", "dot or a space"),
            (".. /b", "dot or a space"),
            ("...", "dot or a space"),
        ],
    )
    def test_portable_refuses_what_windows_reads_differently(
        self, tmp_path: Path, relative: str, reason: str
    ) -> None:
        with pytest.raises(UnsafePath, match=reason):
            files.inside(tmp_path, relative, portable=True)

    def test_portable_allows_ordinary_names(self, tmp_path: Path) -> None:
        for relative in ("console.txt", "com10", "com", "ünïcode/.hidden", "a b"):
            assert files.inside(tmp_path, relative, portable=True).is_relative_to(tmp_path)

    def test_links_out_are_refused_wherever_they_stand(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        (root / "deep").mkdir(parents=True)
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").touch()
        (root / "folder").symlink_to(outside)
        (root / "deep" / "file").symlink_to("../../outside/file")
        (root / "hanging").symlink_to(tmp_path / "not-yet-there")
        (root / "chain").symlink_to("folder")
        for relative in ("folder", "folder/file", "deep/file", "hanging", "chain/new"):
            with pytest.raises(UnsafePath, match="link"):
                files.inside(root, relative)

    def test_a_neighbour_with_the_same_beginning_is_outside(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root2").mkdir()
        (tmp_path / "root" / "link").symlink_to(tmp_path / "root2")
        with pytest.raises(UnsafePath):
            files.inside(tmp_path / "root", "link/file")

    def test_links_within_lead_to_the_real_path(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        assert files.inside(tmp_path, "link/new") == tmp_path.resolve() / "real" / "new"

    def test_the_root_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "root").symlink_to("real")
        assert files.inside(tmp_path / "root", "x") == tmp_path.resolve() / "real" / "x"

    def test_a_file_has_one_spelling(self, tmp_path: Path) -> None:
        (tmp_path / "ReadMe").touch()
        assert files.inside(tmp_path, "ReadMe").name == "ReadMe"
        if (tmp_path / "README").exists():  # a file system that ignores case
            with pytest.raises(UnsafePath, match="spelled differently"):
                files.inside(tmp_path, "README")
        else:
            (tmp_path / "rEADmE").touch()
            assert files.inside(tmp_path, "ReadMe").name == "ReadMe"
            assert files.inside(tmp_path, "rEADmE").name == "rEADmE"

    @settings(deadline=None)
    @given(
        parts=st.lists(
            st.sampled_from(["..", ".", "", "a", "b", "out", "\\", "C:", "...", "~", "in"])
        ),
        start=st.sampled_from(["", "/", "//", "./"]),
    )
    def test_nothing_gets_out(
        self, tmp_path_factory: pytest.TempPathFactory, parts: list[str], start: str
    ) -> None:
        base = tmp_path_factory.getbasetemp() / "nothing-gets-out"
        root = base / "root"
        if not root.exists():
            (root / "a").mkdir(parents=True)
            (root / "out").symlink_to(base)
            (root / "a" / "in").symlink_to("../a")
            (root / "a" / "out").symlink_to("/")
        try:
            path = files.inside(root, start + "/".join(parts))
        except UnsafePath:
            return
        assert Path(os.path.realpath(path)).is_relative_to(root.resolve())


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes_are_shown_for_people(size: int, shown: str) -> None:
    assert files.format_size(size) == shown


def test_odd_names_do_not_garble_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\udcff\n"
    with pytest.raises(files.FileMissing) as caught:
        files.read_bytes(path, 1)
    assert caught.value.message.isprintable()
    caught.value.message.encode()


def test_new_file_is_written_whole_once_and_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "new"
    assert files.write_new(path, b"first", mode=0o600)
    assert not files.write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
