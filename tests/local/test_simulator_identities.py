"""Who a simulated customer is, from one run of the simulator to the next."""

from __future__ import annotations

import itertools

from local.simulator.identities import bsuid_of, is_bsuid
from local.simulator.phones import Phones


def test_a_number_has_the_same_bsuid_in_each_run_and_in_both_of_its_forms() -> None:
    bsuids = set()
    for phone in ("5511987654321", "551187654321"):
        bsuids.add(Phones().add(phone=phone).bsuid)
    assert len(bsuids) == 1
    assert all(map(is_bsuid, bsuids))


def test_different_numbers_have_different_bsuids() -> None:
    phones = [f"55119{n:08d}" for n in range(50)] + ["351912345678", "14155550100"]
    for one, other in itertools.combinations(map(bsuid_of, phones), 2):
        assert one != other


def test_the_next_holder_of_a_number_is_somebody_else() -> None:
    phones = Phones()
    first = phones.add(phone="5511987654321")
    was = first.bsuid
    phones.renumber(first, "5521912345678", bsuid_of("5521912345678"))
    assert phones.add(phone="5511987654321").bsuid != was
