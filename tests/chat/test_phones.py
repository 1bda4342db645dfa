"""Phone numbers: one form for finding, one for showing."""

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
