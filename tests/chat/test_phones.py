"""Phone numbers: one form for finding, one for showing, and many for typing."""

from __future__ import annotations

import pytest

from chat.conversation import phones


@pytest.mark.parametrize(
    ("number", "canonical"),
    [
        ("5511987654321", "5511987654321"),
        ("551187654321", "5511987654321"),
        ("551162345678", "5511962345678"),
        ("551138765432", "551138765432"),  # a landline has eight digits for good
        ("5215512345678", "525512345678"),
        ("525512345678", "525512345678"),
        ("5491123456789", "5491123456789"),
        ("541123456789", "5491123456789"),
        ("14155550100", "14155550100"),
    ],
)
def test_all_forms_of_a_number_are_one(number: str, canonical: str) -> None:
    assert phones.canonical(number) == canonical


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("5511987654321", "+55 11 98765-4321"),
        ("551187654321", "+55 11 98765-4321"),
        ("14155550100", "+1 415-555-0100"),
        ("5491123456789", "+54 9 11 2345-6789"),
        ("541123456789", "+54 11 2345-6789"),
        ("1", "+1"),
    ],
)
def test_a_number_is_shown_as_people_write_it(number: str, shown: str) -> None:
    assert phones.display(number) == shown


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("+55 (11) 98765-4321", "5511987654321"),
        (5511987654321, "5511987654321"),
        ("", None),
        ("BR.x", None),
        (None, None),
        ("9" * 21, None),
        (["1"], None),
    ],
)
def test_only_digits_of_a_plausible_number_are_taken(value: object, digits: str | None) -> None:
    assert phones.digits(value) == digits


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("11 98765-4321", "5511987654321"),
        ("(11) 8765-4321", "5511987654321"),
        ("011 98765-4321", "5511987654321"),
        ("015 11 98765.4321", "5511987654321"),
        ("55 11 98765 4321", "5511987654321"),
        ("0055 11 98765-4321", "5511987654321"),
        ("11 3876-5432", "551138765432"),
        ("+1 (415) 555-2671", "14155552671"),
        ("1 415 555 2671", "14155552671"),
        ("00351 912 345 678", "351912345678"),
    ],
)
def test_a_number_is_read_as_people_type_it(text: str, number: str) -> None:
    assert phones.typed(text) == number


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("98765-4321", "DDD"),
        ("8765-4321", "DDD"),
        ("11 9876", "incompleto"),
        ("", "incompleto"),
        ("maria", "incompleto"),
        ("11 98765-43210", "demais"),
        ("1" * 40, "demais"),
        ("20 98765-4321", "não existe"),
        ("+999 12345678", "país"),
    ],
)
def test_what_is_no_number_says_why(text: str, says: str) -> None:
    with pytest.raises(phones.InvalidNumberError, match=says):
        phones.typed(text)
