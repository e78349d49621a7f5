"""Identifiers: what people write is read, what KSeF refuses is refused, a PESEL is never shown whole."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from klucznik.domain.identifiers import (
    Context,
    ContextType,
    Subject,
    SubjectType,
    nip_checksum_ok,
    parse_nip,
    parse_pesel,
    pesel_checksum_ok,
)
from klucznik.domain.values import InvalidValue

# The patterns of the official specification 2.7.0, as facts.md §1.2 gives them.
OFFICIAL_NIP = r"[1-9]((\d[1-9])|([1-9]\d))\d{7}"
OFFICIAL_PESEL = r"\d{2}(?:0[1-9]|1[0-2]|2[1-9]|3[0-2]|4[1-9]|5[0-2]|6[1-9]|7[0-2]|8[1-9]|9[0-2])\d{7}"
nips = st.from_regex(re.compile(OFFICIAL_NIP, re.ASCII), fullmatch=True)
pesels = st.from_regex(re.compile(OFFICIAL_PESEL, re.ASCII), fullmatch=True)
ten_digits = st.from_regex(re.compile(r"\d{10}", re.ASCII), fullmatch=True)
eleven_digits = st.from_regex(re.compile(r"\d{11}", re.ASCII), fullmatch=True)


def people_write(nip: str) -> list[str]:
    return [
        nip,
        f"PL{nip}",
        f"pl {nip}",
        f"{nip[:3]}-{nip[3:6]}-{nip[6:8]}-{nip[8:]}",
        f"{nip[:3]} {nip[3:6]} {nip[6:]}",
        f"  {nip}\n",
    ]


@given(nips)
def test_a_nip_is_read_in_every_form_that_people_write(nip: str) -> None:
    assert {parse_nip(text) for text in people_write(nip)} == {nip}


@given(ten_digits)
def test_ten_digits_are_a_nip_exactly_where_the_official_pattern_says_so(digits: str) -> None:
    if re.fullmatch(OFFICIAL_NIP, digits):
        assert parse_nip(digits) == digits
    else:
        with pytest.raises(InvalidValue):
            parse_nip(digits)


@given(eleven_digits)
def test_eleven_digits_are_a_pesel_exactly_where_the_official_pattern_says_so(digits: str) -> None:
    if re.fullmatch(OFFICIAL_PESEL, digits):
        assert parse_pesel(f"{digits[:6]} {digits[6:]}") == digits
    else:
        with pytest.raises(InvalidValue):
            parse_pesel(digits)


@given(st.text(max_size=40))
@example("٥٢٦٥٨٧٧٦٣٥")  # digits, but not those of a NIP
@example("52658776350")
@example("")
def test_anything_else_is_refused_with_a_reason(text: str) -> None:
    assume(not re.search(r"[0-9]{10}", re.sub(r"[\s-]", "", text)))
    with pytest.raises(InvalidValue) as caught:
        parse_nip(text)
    assert caught.value.reason == "nip_malformed"


@pytest.mark.parametrize("nip", ["5265877635", "7171642051", "1111111111"])
def test_the_nip_checksum_agrees_with_numbers_known_to_be_right(nip: str) -> None:
    assert nip_checksum_ok(nip)


def test_a_nip_without_a_right_checksum_is_still_a_nip() -> None:
    """KSeF checks none (facts.md §1.2)."""
    assert parse_nip("5265877636") == "5265877636"
    assert not nip_checksum_ok("5265877636")


@given(nips, st.integers(0, 9), st.integers(1, 9))
def test_one_mistyped_digit_never_survives_the_nip_checksum(nip: str, place: int, by: int) -> None:
    right = next((nip[:9] + str(last) for last in range(10) if nip_checksum_ok(nip[:9] + str(last))), None)
    assume(right is not None)  # one start in eleven belongs to no NIP
    assert right is not None
    wrong = right[:place] + str((int(right[place]) + by) % 10) + right[place + 1 :]
    assert not nip_checksum_ok(wrong)


@given(pesels, st.integers(0, 10), st.integers(1, 9))
def test_one_mistyped_digit_never_survives_the_pesel_checksum(pesel: str, place: int, by: int) -> None:
    """All weights are coprime to ten."""
    last = next(str(digit) for digit in range(10) if pesel_checksum_ok(pesel[:10] + str(digit)))
    right = pesel[:10] + last
    wrong = right[:place] + str((int(right[place]) + by) % 10) + right[place + 1 :]
    assert not pesel_checksum_ok(wrong)


@pytest.mark.parametrize("pesel", ["44051401359", "02070803628"])
def test_the_pesel_checksum_agrees_with_published_examples(pesel: str) -> None:
    assert pesel_checksum_ok(pesel)


@given(pesels)
def test_a_pesel_is_never_shown_whole(pesel: str) -> None:
    subject = Subject(SubjectType.PESEL, pesel)
    assert pesel not in f"{subject} {subject.shown()}"
    assert subject.shown().startswith(pesel[0])
    assert subject.shown().endswith(pesel[-3:])
    assert subject.is_person


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SubjectType.NIP, "0265877635"),
        (SubjectType.NIP, "80010112345"),
        (SubjectType.PESEL, "5265877635"),
        (SubjectType.FINGERPRINT, "a" * 64),
        (SubjectType.FINGERPRINT, "A" * 63),
    ],
)
def test_a_subject_of_a_wrong_shape_cannot_be_made(kind: SubjectType, value: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Subject(kind, value)
    assert value not in str(caught.value.data)


@given(nips)
def test_the_context_of_a_company_is_its_nip(nip: str) -> None:
    assert Context.of_nip(f"PL {nip}") == Context(ContextType.NIP, nip)
