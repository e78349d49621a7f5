"""Files appear whole or not at all, whatever happens in between. Real kills, real full disks, no fakes."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.klucznik.keys.builders import unprivileged

from klucznik.errors import InputError, StorageError
from klucznik.keys.safe_files import make_directory, write_files

# Python tells an audit hook of the system calls it is about to make: a place to die or to fail, our code untouched.
AT_A_CALL = """
import errno, os, resource, signal, sys
from pathlib import Path
from klucznik.errors import KlucznikError
from klucznik.keys.safe_files import write_files
directory, call, number, act, overwrite = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
seen = 0
def hook(event, arguments):
    global seen
    if event == call:
        seen += 1
        if seen == number and act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if seen >= number and act == "fail":
            raise OSError(getattr(errno, sys.argv[6]), "as told")
if call == "file size":
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
else:
    sys.addaudithook(hook)
try:
    write_files({directory / "a": b"new a" * 1000, directory / "b": b"new b" * 1000}, overwrite=overwrite == "True")
except KlucznikError as error:
    print(error.reason)
"""


def run(directory: Path, call: str, number: int, act: str, *, overwrite: bool = False, error: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", AT_A_CALL, str(directory), call, str(number), act, str(overwrite), error],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (-signal.SIGKILL if act == "kill" else 0), done.stderr
    return done.stdout.strip()


def visible(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.startswith(".")}


NEW = {"a": b"new a" * 1000, "b": b"new b" * 1000}


def test_files_are_written_for_the_owner_alone(tmp_path: Path) -> None:
    was = os.umask(0)
    try:
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    finally:
        os.umask(was)
    assert {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()} == {
        "a": (b"1", 0o600),
        "b": (b"2", 0o600),
    }


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_before_a_file_gets_its_name_leaves_it_absent(tmp_path: Path, number: int) -> None:
    run(tmp_path, "os.link", number, "kill")
    assert visible(tmp_path) == dict(list(NEW.items())[: number - 1])


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_before_a_file_is_replaced_leaves_the_old_one_whole(tmp_path: Path, number: int) -> None:
    old = {"a": b"old a", "b": b"old b"}
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    run(tmp_path, "os.rename", number, "kill", overwrite=True)
    assert visible(tmp_path) == {**old, **dict(list(NEW.items())[: number - 1])}


def test_an_existing_file_stops_the_whole_set(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"precious")
    with pytest.raises(InputError) as caught:
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert (caught.value.reason, caught.value.data) == ("file_exists", {"file": str(tmp_path / "b")})
    assert visible(tmp_path) == {"b": b"precious"}
    assert os.listdir(tmp_path) == ["b"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    assert run(tmp_path, "os.link", 2, "fail", error="EEXIST") == "file_exists"
    assert os.listdir(tmp_path) == []


def test_a_dangling_link_counts_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="file_exists"):
        write_files({tmp_path / "a": b"1"})
    assert not (tmp_path / "elsewhere").exists()


def test_overwriting_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"}, overwrite=True)
    assert visible(tmp_path) == {"a": b"1", "b": b"2"}
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_an_old_file_that_cannot_be_put_back_is_kept_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old a")
    assert run(tmp_path, "os.rename", 2, "fail", overwrite=True, error="EIO") == "file_not_written"
    # Every later rename fails as well, and with it the way back.
    assert b"old a" in {path.read_bytes() for path in tmp_path.iterdir()}


def test_a_directory_in_the_way_brings_the_first_file_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old a")
    (tmp_path / "b").mkdir()
    with pytest.raises(StorageError, match="file_not_written"):
        write_files({tmp_path / "a": b"1", tmp_path / "b": b"2"}, overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"old a"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, room: int) -> None:
    assert run(tmp_path, "file size", room, "nothing") == "disk_full"
    assert os.listdir(tmp_path) == []


def test_a_disk_without_hard_links_serves_as_well(tmp_path: Path) -> None:
    assert run(tmp_path, "os.link", 1, "fail", error="EPERM") == ""
    assert visible(tmp_path) == NEW
    assert run(tmp_path, "os.link", 1, "fail", error="EPERM") == "file_exists"


def test_a_read_only_directory_is_named() -> None:
    with unprivileged() as directory:
        directory.chmod(0o500)
        with pytest.raises(InputError) as caught:
            write_files({directory / "a": b"1"})
        assert (caught.value.reason, caught.value.data) == ("directory_not_writable", {"directory": str(directory)})
        with pytest.raises(InputError, match="directory_not_writable"):
            make_directory(directory / "new")
        assert os.listdir(directory) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_files({tmp_path / "gone" / "a": b"1"})
    assert (caught.value.reason, caught.value.data) == ("directory_missing", {"directory": str(tmp_path / "gone")})


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="directory_missing"):
        write_files({tmp_path / "file" / "a": b"1"})
    with pytest.raises(InputError, match="directory_missing"):
        make_directory(tmp_path / "file")


def test_a_made_directory_is_the_owners_alone(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    make_directory(tmp_path / "a" / "b")
