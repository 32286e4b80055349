from __future__ import annotations

import random
from collections import Counter

from tests.faults.nemesis import NEED_NETWORK, Harm, schedule


def test_every_harm_comes_and_a_seed_repeats_itself() -> None:
    faults = schedule(random.Random(7), 18, list(Harm))
    assert Counter(group[0].harm for group in faults) == dict.fromkeys(Harm, 2)
    assert faults == schedule(random.Random(7), 18, list(Harm))
    assert faults != schedule(random.Random(8), 18, list(Harm))


def test_two_faults_at_once_have_two_victims_and_the_dark_comes_alone() -> None:
    groups = schedule(random.Random(1), 500, list(Harm))
    pairs = [group for group in groups if len(group) == 2]
    assert 50 < len(pairs) < 150
    assert all(one.node != other.node and other.harm not in NEED_NETWORK for one, other in pairs)
    assert all(Harm.BLACKOUT not in (fault.harm for fault in pair) for pair in pairs)
    assert all(fault.node != fault.other for group in groups for fault in group)


def test_nobody_is_cut_off_where_there_is_no_network() -> None:
    harms = [harm for harm in Harm if harm not in NEED_NETWORK]
    groups = schedule(random.Random(1), 100, harms)
    assert not NEED_NETWORK & {fault.harm for group in groups for fault in group}
