"""The vault: what goes in comes out, and nothing that was touched comes out."""

import base64
import dataclasses
import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.klucznik.keys.builders import ec_key, other_key, rsa_key

from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import SubjectType
from klucznik.domain.key_uri import KeyUri
from klucznik.domain.sealed import KeyBinding, SealedKey, WrappedDataKey
from klucznik.errors import StorageError
from klucznik.keys.generate import PrivateKey
from klucznik.keys.master_key import MasterKey
from klucznik.keys.vault import Vault

SECRET = bytes(range(32))
BINDING = KeyBinding(Environment.TEST, SubjectType.PESEL, "80010112345")


def fresh() -> tuple[Vault, WrappedDataKey]:
    vault = Vault.open(MasterKey(SECRET), [])
    return vault, vault.new_data_key()


def plain(key: PrivateKey | KeyUri) -> bytes:
    assert not isinstance(key, KeyUri)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@settings(max_examples=50, deadline=None)
@given(
    st.text(max_size=60),
    st.builds(KeyBinding, st.sampled_from(Environment), st.sampled_from(SubjectType), st.text(max_size=70)),
    st.sampled_from([ec_key, rsa_key]),
)
def test_a_sealed_key_comes_out_as_it_went_in(key_id: str, binding: KeyBinding, key: Callable[[], PrivateKey]) -> None:
    vault, wrapped = fresh()
    sealed = vault.seal(key_id, key(), binding=binding)
    again = Vault.open(MasterKey(SECRET), [wrapped])
    assert plain(again.unseal(sealed, binding=binding)) == plain(key())


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_one_changed_bit_anywhere_is_noticed(data: st.DataObject) -> None:
    vault, _ = fresh()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    name = data.draw(st.sampled_from(["nonce", "ciphertext"]))
    value: bytes = getattr(sealed, name)
    place = data.draw(st.integers(0, len(value) - 1))
    altered = SealedKey(**{**dataclasses.asdict(sealed), name: flipped(value, place)})
    with pytest.raises(StorageError, match="vault_key_damaged"):
        vault.unseal(altered, binding=BINDING)


def test_a_changed_field_of_a_sealed_key_is_noticed() -> None:
    vault, _ = fresh()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    vault.new_data_key()
    newer = vault.seal("b", ec_key(), binding=BINDING)
    changed = {
        "key_id": ("b", "vault_key_damaged"),
        "algorithm": ("AES-256-CBC", "vault_algorithm_unknown"),
        "data_key_id": (newer.data_key_id, "vault_key_damaged"),
        "nonce": (newer.nonce, "vault_key_damaged"),
        "ciphertext": (newer.ciphertext, "vault_key_damaged"),
    }
    assert changed.keys() == {field.name for field in dataclasses.fields(SealedKey)}
    for name, (value, reason) in changed.items():
        altered = SealedKey(**{**dataclasses.asdict(sealed), name: value})
        with pytest.raises(StorageError, match=reason):
            vault.unseal(altered, binding=BINDING)


@pytest.mark.parametrize("length", [0, 1, 12, 16])
def test_a_truncated_record_is_noticed(length: int) -> None:
    vault, _ = fresh()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    for altered in (
        dataclasses.replace(sealed, ciphertext=sealed.ciphertext[:length]),
        dataclasses.replace(sealed, nonce=sealed.nonce[: length % 12]),
    ):
        with pytest.raises(StorageError, match="vault_key_damaged"):
            vault.unseal(altered, binding=BINDING)


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(BINDING, environment=Environment.PRODUCTION),
        dataclasses.replace(BINDING, subject_type=SubjectType.NIP),
        dataclasses.replace(BINDING, subject_value="80010112346"),
    ],
)
def test_a_key_of_one_subject_is_not_given_out_for_another(other: KeyBinding) -> None:
    vault, _ = fresh()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    with pytest.raises(StorageError, match="vault_key_damaged"):
        vault.unseal(sealed, binding=other)


def test_moving_letters_between_fields_does_not_give_the_same_seal() -> None:
    vault, _ = fresh()
    sealed = vault.seal("a1", ec_key(), binding=dataclasses.replace(BINDING, subject_value="2b"))
    moved = dataclasses.replace(sealed, key_id="a")
    with pytest.raises(StorageError, match="vault_key_damaged"):
        vault.unseal(moved, binding=dataclasses.replace(BINDING, subject_value="12b"))


def test_another_master_key_is_recognised_and_named() -> None:
    _, wrapped = fresh()
    with pytest.raises(StorageError) as caught:
        Vault.open(MasterKey(bytes(32)), [wrapped])
    assert caught.value.reason == "vault_master_key_mismatch"
    assert caught.value.data == {"expected": MasterKey(SECRET).id, "given": MasterKey(bytes(32)).id}


def test_a_changed_field_of_a_data_key_is_noticed() -> None:
    _, wrapped = fresh()
    _, other = fresh()
    for name, reason in {
        "data_key_id": "vault_data_key_damaged",
        "master_key_id": "vault_master_key_mismatch",
        "nonce": "vault_data_key_damaged",
        "ciphertext": "vault_data_key_damaged",
    }.items():
        value = "f" * 16 if name == "master_key_id" else getattr(other, name)
        altered = WrappedDataKey(**{**dataclasses.asdict(wrapped), name: value})
        with pytest.raises(StorageError, match=reason):
            Vault.open(MasterKey(SECRET), [altered])


def test_a_vault_without_a_data_key_seals_nothing() -> None:
    with pytest.raises(StorageError, match="vault_without_data_key"):
        Vault.open(MasterKey(SECRET), []).seal("a", ec_key(), binding=BINDING)


def test_a_key_whose_data_key_is_gone_says_so() -> None:
    vault, _ = fresh()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    other, _ = fresh()
    with pytest.raises(StorageError, match="vault_data_key_missing"):
        other.unseal(sealed, binding=BINDING)


def test_after_a_new_data_key_old_keys_still_open() -> None:
    vault, first = fresh()
    old = vault.seal("old", ec_key(), binding=BINDING)
    second = vault.new_data_key()
    new = vault.seal("new", other_key(), binding=BINDING)
    assert (old.data_key_id, new.data_key_id) == (first.data_key_id, second.data_key_id)
    again = Vault.open(MasterKey(SECRET), [first, second])
    assert again.seal("third", ec_key(), binding=BINDING).data_key_id == second.data_key_id
    assert plain(again.unseal(old, binding=BINDING)) == plain(ec_key())
    assert plain(again.unseal(new, binding=BINDING)) == plain(other_key())


def test_rewrapping_changes_the_master_key_and_no_sealed_key() -> None:
    vault, _ = fresh()
    vault.new_data_key()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    new_master = MasterKey(bytes(32))
    rewrapped = vault.rewrap(new_master)
    assert plain(Vault.open(new_master, rewrapped).unseal(sealed, binding=BINDING)) == plain(ec_key())
    with pytest.raises(StorageError, match="vault_master_key_mismatch"):
        Vault.open(MasterKey(SECRET), rewrapped)


def test_the_same_key_never_seals_to_the_same_bytes() -> None:
    vault, _ = fresh()
    first, second = (vault.seal("a", ec_key(), binding=BINDING) for _ in range(2))
    assert first.nonce != second.nonce
    assert first.ciphertext != second.ciphertext


def test_reprs_show_neither_keys_nor_people() -> None:
    vault, wrapped = fresh()
    sealed = vault.seal("a", ec_key(), binding=BINDING)
    shown = repr((vault, wrapped, sealed, BINDING, MasterKey(SECRET)))
    hidden = [sealed.nonce, sealed.ciphertext, wrapped.nonce, wrapped.ciphertext, SECRET]
    assert "80010112345" not in shown
    for secret in hidden:
        assert repr(secret) not in shown
        assert secret.hex() not in shown
        assert base64.b64encode(secret).decode() not in shown


@pytest.mark.parametrize("secret", [fresh()[0], MasterKey(SECRET)])
def test_an_open_vault_and_a_master_key_are_not_pickled(secret: object) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(secret)
