"""The names of keys on tokens: what is written is read again, and no PIN gets through or is repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klucznik.domain.key_uri import KeyUri
from klucznik.domain.values import InvalidValue

texts = st.none() | st.text(min_size=1, max_size=20).filter(str.isprintable)


@given(
    st.builds(
        KeyUri,
        token=texts,
        serial=texts,
        manufacturer=texts,
        model=texts,
        object=texts,
        id=st.none() | st.binary(min_size=1, max_size=20),
        module=texts,
    )
)
def test_what_is_written_is_read_again(uri: KeyUri) -> None:
    assert str(uri).isascii()
    assert KeyUri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("pkcs11:token=Karta;id=%01", KeyUri(token="Karta", id=b"\x01")),
        ("PKCS11:", KeyUri()),
        # As p11tool prints them.
        (
            "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=ab12;token=Firma;id=%01%FF;object=A%2FB;type=private",
            KeyUri("Firma", "ab12", "SoftHSM project", "SoftHSM v2", "A/B", b"\x01\xff"),
        ),
        (
            "pkcs11:token=%C5%81%C3%B3d%C5%BA;object=x?module-path=/usr/lib/x.so",
            KeyUri(token="Łódź", object="x", module="/usr/lib/x.so"),
        ),
    ],
)
def test_names_as_other_programs_write_them_are_read(text: str, read: KeyUri) -> None:
    assert KeyUri.parse(text) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pkcs11:token=Karta?pin-value=kanarek", "pkcs11_uri_holds_pin"),
        ("pkcs11:token=Karta;pin-value=kanarek", "pkcs11_uri_holds_pin"),
        ("pkcs11:token=Karta?module-path=/x.so&pin-source=file:kanarek", "pkcs11_uri_holds_pin"),
        ("pkcs11:token=Karta;slot-id=kanarek", "pkcs11_uri_attribute_unknown"),
        ("pkcs11:token=Karta;token=kanarek", "pkcs11_uri_malformed"),
        ("pkcs11:token=Karta;type=kanarek", "pkcs11_uri_malformed"),
        ("pkcs11:token=kanarek%2", "pkcs11_uri_malformed"),
        ("pkcs11:token=kanarek%FF", "pkcs11_uri_malformed"),
        ("pkcs11:token=kanarek%0A", "pkcs11_uri_malformed"),
        ("pkcs11:token=", "pkcs11_uri_malformed"),
        ("pkcs11:kanarek", "pkcs11_uri_malformed"),
        ("pkcs11:token=Moja kanarek", "pkcs11_uri_malformed"),
        ("kanarek.pem", "pkcs11_uri_malformed"),
    ],
)
def test_what_is_no_name_is_refused_and_never_repeated(text: str, reason: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        KeyUri.parse(text)
    assert refused.value.reason == reason
    assert "kanarek" not in f"{refused.value!r} {refused.value.data}"


@given(st.text() | st.text(alphabet=";?&%=ab1", max_size=30).map("pkcs11:{}".format))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        read = KeyUri.parse(text)
    except InvalidValue:
        return
    assert KeyUri.parse(str(read)) == read


def test_two_names_agree_unless_they_contradict_each_other() -> None:
    card = KeyUri(token="Karta", serial="1")
    assert card.agrees(KeyUri())
    assert card.agrees(KeyUri(token="Karta", object="x"))
    assert not card.agrees(KeyUri(token="Karta", serial="2"))
