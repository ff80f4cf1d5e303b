"""Tests, intervals and rankings against scipy and a hand's calculation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from MedSegDLLib.errors import InputError
from MedSegTrainLib.evaluation.definitions import measure
from MedSegTrainLib.evaluation.ranking import (
    mean_ranks,
    mean_then_rank,
    rank_then_mean,
    significance_rank,
    stability,
)
from MedSegTrainLib.evaluation.rows import Row
from MedSegTrainLib.evaluation.scoreboard import Scoreboard, scoreboard
from MedSegTrainLib.evaluation.statistics import (
    bootstrap_mean,
    compare_pairs,
    holm,
    intervals,
    patient_means,
    signed_rank,
)
from MedSegTrainLib.evaluation.tables import comparison


def board(values, patients=None, name="dice") -> Scoreboard:
    values = np.asarray(values, dtype=float)
    cases = tuple(f"case {n}" for n in range(len(values)))
    methods = tuple("ABCDEFGH"[: values.shape[1]])
    return Scoreboard(measure(name), methods, cases, tuple(patients or cases), values)


def noisy(cases=30, gains=(0.0, 0.0, -0.05), seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.8 + np.array(gains) + rng.normal(0, 0.03, (cases, 1)) + rng.normal(0, 0.01, (cases, len(gains)))


def test_wilcoxon_by_hand():
    """Of the 2^6 sign patterns of six differences, four have a rank sum as extreme as 20 : 1."""
    p, effect = signed_rank(np.array([-1.0, 2, 3, 4, 5, 6]))
    assert p == pytest.approx(4 / 64) and effect == pytest.approx((20 - 1) / 21)


def test_wilcoxon_as_scipy_has_it():
    differences = np.random.default_rng(0).normal(0.3, 1, 40)
    assert signed_rank(differences)[0] == stats.wilcoxon(differences).pvalue
    positive = stats.wilcoxon(differences, alternative="greater").statistic  # the sum of the positive ranks
    assert signed_rank(differences)[1] == pytest.approx(2 * positive / (40 * 41 / 2) - 1)


def test_equal_results_are_no_difference():
    assert signed_rank(np.zeros(12)) == (1.0, 0.0)
    assert signed_rank(np.array([0.0, 0, 1, 2, 3])) == signed_rank(np.array([1.0, 2, 3]))


def test_holm_by_hand():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, and none below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_pairs_say_who_is_better():
    pairs = {(pair.first, pair.second): pair for pair in compare_pairs(board(noisy()))}
    assert set(pairs) == {("A", "B"), ("A", "C"), ("B", "C")}
    assert not pairs["A", "B"].significant() and pairs["A", "C"].significant()
    assert pairs["A", "C"].difference == pytest.approx(0.05, abs=0.01) and pairs["A", "C"].effect > 0.9
    assert [pair.p_holm for pair in pairs.values()] == holm([pair.p for pair in pairs.values()])
    far = compare_pairs(board(noisy(gains=(0, 5)) * 10, name="hd95_mm"))[0]  # where less is better
    assert far.effect == 1 and far.difference < 0


def test_cases_of_a_patient_count_once():
    values = np.repeat(noisy(6, (0.0, -0.05)), 10, axis=0)
    alone = compare_pairs(board(noisy(6, (0.0, -0.05))))[0]
    repeated = compare_pairs(board(values, [str(n // 10) for n in range(60)]))[0]
    assert repeated.p == alone.p and repeated.patients == 6
    assert compare_pairs(board(values))[0].p < alone.p / 100
    assert patient_means(np.array([1.0, 3, 10]), ["x", "x", "y"]).tolist() == [2, 10]


def test_the_interval_is_scipys():
    values = np.random.default_rng(1).gamma(2, 1, 60)
    ours = bootstrap_mean(values, [str(n) for n in range(60)], resamples=4000, seed=3)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=5).confidence_interval
    assert ours == pytest.approx(list(theirs), abs=0.02)
    assert ours[0] < values.mean() < ours[1]


def test_the_interval_of_few_patients_by_hand():
    """Two patients, one with a case of 0, one with two cases of 1: means 0, 2/3 and 1 with 1, 2 and 1 chances of 4."""
    low, high = bootstrap_mean(np.array([0.0, 1, 1]), ["x", "y", "y"], resamples=4000, seed=0, level=0.9)
    assert (low, high) == (0, 1)
    low, high = bootstrap_mean(np.array([0.0, 1, 1]), ["x", "y", "y"], resamples=4000, seed=0, level=0.4)
    assert (low, high) == pytest.approx((2 / 3, 2 / 3))


def test_intervals_are_repeatable_and_wider_for_patients_with_many_cases():
    values = noisy(40)
    single, again = (intervals(board(values), 500, seed=4)["A"] for _ in range(2))
    assert single == again != intervals(board(values), 500, seed=5)["A"]
    together = intervals(board(np.sort(values, axis=0), [str(n // 10) for n in range(40)]), 500)["A"]
    assert together.high - together.low > 1.5 * (single.high - single.low)


RANKED = [
    [0.90, 0.80, 0.70],
    [0.91, 0.85, 0.60],
    [0.10, 0.80, 0.75],
    [0.92, 0.80, 0.80],
]
"""A is best in three cases of four and fails in one: the mean says B, the ranks say A."""


def test_rankings_by_hand():
    assert mean_then_rank(board(RANKED)).tolist() == [3, 1, 2]
    assert mean_ranks(board(RANKED)) == pytest.approx([6 / 4, 7 / 4, (3 + 3 + 2 + 2) / 4])
    assert rank_then_mean(board(RANKED)).tolist() == [1, 2, 3]
    assert rank_then_mean(board(RANKED, name="hd_mm")).tolist() == [3, 2, 1]


def test_equals_share_a_rank():
    values = [[0.3 - 0.1, 0.2, 0.5]] * 4  # 0.3 - 0.1 is 0.2 but for rounding
    assert mean_then_rank(board(values)).tolist() == [2, 2, 1] == rank_then_mean(board(values)).tolist()


def test_the_ranking_by_wins():
    assert significance_rank(board(noisy(gains=(0.0, 0.0, -0.05, -0.1)))).tolist() == [1, 1, 3, 4]
    assert significance_rank(board(noisy(4))).tolist() == [1, 1, 1]  # four cases prove nothing


def test_a_clear_ranking_is_stable_and_a_lucky_one_is_not():
    clear = stability(board(noisy(gains=(0.1, 0.0, -0.1))), resamples=200)
    assert clear.tau == 1 and clear.frequency == pytest.approx(np.eye(3))
    lucky = stability(board(noisy(12, gains=(0.0, 0.0, 0.0))), resamples=200)
    assert lucky.tau < 0.9 and lucky.frequency.max() < 1
    assert lucky.frequency.sum(axis=1) == pytest.approx([1, 1, 1])
    again = stability(board(noisy(12, gains=(0.0, 0.0, 0.0))), resamples=200)
    assert np.array_equal(lucky.taus, again.taus)


def test_stability_over_all_resamples_of_two_patients():
    """Each alone or both: AA and BB with a chance of 1/4 each, AB with 1/2."""
    values = [[1.0, 0.0], [0.0, 0.4]]
    found = stability(board(values), mean_then_rank, resamples=1500)
    assert found.ranks.tolist() == [1, 2]
    assert found.frequency == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]), abs=0.03)
    assert found.tau == pytest.approx(0.75 - 0.25, abs=0.06)


def test_a_drawn_patient_brings_all_cases_and_counts_as_often_as_drawn():
    values = np.arange(12.0).reshape(6, 2)
    drawn = board(values, ["x", "x", "y", "y", "z", "z"]).resampled(np.random.default_rng(1))
    assert len(drawn.values) == 6 and len(set(drawn.patients)) == 3
    for _, its in itertools.groupby(zip(drawn.patients, drawn.values[:, 0]), key=lambda item: item[0]):
        first, second = (value for _, value in its)
        assert second == first + 2


def row(case, structure, status="found", **values) -> Row:
    return Row(case, f"p {case}", structure, status, values, worst_mm=50.0)


def test_methods_are_compared_on_what_all_were_asked():
    rows = {
        "A": [row("1", "x", dice=0.9), row("2", "x", dice=0.8), row("3", "x", dice=0.1)],
        "B": [row("2", "x", dice=0.6), row("1", "x", dice=0.7), row("4", "x", dice=0.1)],
    }
    found = scoreboard(rows, "dice")
    assert (found.cases, found.patients) == (("1", "2"), ("p 1", "p 2"))
    assert found.values == pytest.approx(np.array([[0.9, 0.7], [0.8, 0.6]]))


def test_a_miss_is_worst_and_a_find_of_nothing_costs():
    rows = {
        "A": [row("1", "x", hd_mm=2), row("1", "y", "missed"), row("2", "x", "both empty"), row("3", "x", "failed")],
        "B": [row("1", "x", hd_mm=4), row("1", "y", hd_mm=8), row("2", "x", "false positive"), row("3", "x", hd_mm=1)],
    }
    found = scoreboard(rows, "hd_mm")
    assert found.cases == ("1", "2", "3")
    assert found.values == pytest.approx(np.array([[(2 + 50) / 2, (4 + 8) / 2], [0, 50], [50, 1]]))


def test_what_says_nothing_of_a_method_is_left_out():
    others = [row("2", "x", "damaged"), row("3", "x", "both empty"), row("1", "y", "not contoured")]
    rows = {"A": [row("1", "x", dice=0.5), *others], "B": [row("1", "x", dice=0.6), *others]}
    found = scoreboard(rows, "dice")
    assert found.cases == ("1",) and found.values.tolist() == [[0.5, 0.6]]


def test_seeds_count_with_their_mean():
    rows = {"A": [row("1", "x", dice=0.5), row("1", "x", dice=0.7)], "B": [row("1", "x", dice=0.6)]}
    assert scoreboard(rows, "dice").values == pytest.approx(np.array([[0.6, 0.6]]))


def test_nothing_to_compare_is_said():
    one = {"A": [row("1", "x", dice=0.5)]}
    for rows in (one, {}):
        with pytest.raises(InputError, match="needs two methods"):
            scoreboard(rows, "dice")
    with pytest.raises(InputError, match="no case for which each of these 2 methods"):
        scoreboard(one | {"B": [row("2", "x", dice=0.5)]}, "dice")
    with pytest.raises(InputError, match="better"):
        scoreboard(one, "volume_error_ml")


def test_the_tables_of_a_comparison():
    rows = {
        method: [row(str(n), "x", dice=value) for n, value in enumerate(column)]
        for method, column in zip(("unet", "fcn"), noisy(gains=(0.0, -0.05)).T)
    }
    (title, methods), (_, pairs) = comparison(rows, "dice", resamples=200).items()
    assert title.startswith("Dice, mean over 30 cases of 30 patients") and "tau 1.00" in title
    assert [line[0] for line in methods[1:]] == ["unet", "fcn"]
    assert methods[1][3:8] == ("1", "1.00", "1", "1", "100%")
    assert pairs[1][:2] == ("unet", "fcn") and pairs[1][-1] == "unet" and float(pairs[1][2]) > 0.03
