"""The pace of image calls when many functions share it, in virtual time.

`python -m bench.pace` simulates 10,000.
"""

from bench.pace_simulation import simulate

FEW, BRIEF = 15, (0.5, 3.0)


def test_few_calls_are_refused_or_slots_wasted() -> None:
    outcome = simulate(items=300, workers=FEW, at_once=FEW, painting=BRIEF)

    assert outcome.pictures == len(outcome.accepted) == 300
    assert outcome.refused_percentage < 1
    assert outcome.throughput_percentage > 95


def test_excessive_setting_slows_but_completes_all() -> None:
    outcome = simulate(items=150, setting=80, limit=50, workers=FEW, at_once=FEW, painting=BRIEF)

    assert outcome.pictures == len(outcome.accepted) == 150
    assert outcome.refused_percentage < 10
    assert outcome.throughput_percentage > 95
