"""Where the master key comes from: its file and the environment."""

import base64
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from tests.klucznik.keys.builders import unprivileged

from klucznik.errors import InputError, StorageError
from klucznik.keys.master_key import MasterKey, master_key_file, master_key_from_environment

SECRET = bytes(range(32))
LINE = base64.b64encode(SECRET).decode()


def test_the_file_is_made_at_first_use_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    first = master_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert master_key_file(path).id == first.id
    assert os.listdir(tmp_path) == ["vault.key"]


def test_each_file_holds_another_key(tmp_path: Path) -> None:
    assert master_key_file(tmp_path / "a").id != master_key_file(tmp_path / "b").id


def test_whoever_has_data_keys_does_not_get_a_new_master_key(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="vault_key_file_missing"):
        master_key_file(tmp_path / "vault.key", create=False)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "vault.key"
    master_key_file(path)
    path.chmod(mode)
    with pytest.raises(StorageError) as caught:
        master_key_file(path)
    assert caught.value.reason == "vault_key_file_open_to_others"
    assert caught.value.data == {"file": str(path), "mode": f"{mode:04o}"}


@pytest.mark.parametrize("content", ["", "\n", "abc", LINE[:-8], LINE + LINE, "ż" * 44, "=" * 44])
def test_a_file_that_holds_no_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vault.key"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(StorageError, match="vault_key_file_malformed"):
        master_key_file(path)
    assert path.read_text() == content


def test_a_directory_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="vault_key_file_unreadable"):
        master_key_file(tmp_path)


def test_a_dangling_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "vault.key").symlink_to(tmp_path / "gone")
    with pytest.raises(StorageError, match="vault_key_file_missing"):
        master_key_file(tmp_path / "vault.key")


def test_a_read_only_home_is_a_storage_error() -> None:
    with unprivileged() as home:
        home.chmod(0o500)
        with pytest.raises(StorageError, match="directory_not_writable"):
            master_key_file(home / "vault.key")


def test_a_missing_home_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="directory_missing"):
        master_key_file(tmp_path / "home" / "vault.key")


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        ids = pool.map(_id_of, [path] * 16)
    assert set(ids) == {master_key_file(path).id}


def _id_of(path: Path) -> str:
    return master_key_file(path).id


@pytest.mark.parametrize("value", [LINE, f" {LINE}\n"])
def test_the_environment_gives_the_same_key_as_the_file(tmp_path: Path, value: str) -> None:
    path = tmp_path / "vault.key"
    path.touch(mode=0o600)
    path.write_text(LINE)
    assert master_key_from_environment(value).id == master_key_file(path).id == MasterKey(SECRET).id


@pytest.mark.parametrize("value", ["", "tajne", LINE[:-4], LINE + "AAAA", "żółw", "\ud800", f"{LINE[:10]} {LINE[10:]}"])
def test_an_unusable_value_in_the_environment_is_not_shown(value: str) -> None:
    with pytest.raises(InputError) as caught:
        master_key_from_environment(value)
    assert str(caught.value) == "vault_master_key_malformed"
