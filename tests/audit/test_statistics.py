"""The chances that the statistical rules compare with, against SciPy's own tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detray.audit import statistics


@given(st.integers(1, 300), st.integers(0, 300), st.floats(0.01, 0.99))
def test_an_excess_has_the_chance_of_the_binomial_test(k: int, more: int, p: float) -> None:
    expected = stats.binomtest(k, k + more, p, alternative="greater").pvalue
    assert statistics.chance_of_excess(k, k + more, p) == pytest.approx(expected, rel=1e-6, abs=1e-100)


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_preference_has_the_chance_of_the_sign_test(better: int, worse: int) -> None:
    expected = stats.binomtest(better, better + worse, 0.5, alternative="greater").pvalue if better else 1.0
    assert statistics.chance_of_preference(better, worse) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 300), st.floats(0.1, 300))
def test_a_count_has_the_chance_of_its_side_of_a_poisson_distribution(seen: int, expected: float) -> None:
    counts = stats.poisson(expected)
    chance = counts.sf(seen - 1) if seen > expected else counts.cdf(seen)
    assert statistics.chance_of_count(seen, expected) == pytest.approx(chance, rel=1e-6, abs=1e-100)


@given(st.floats(0, 30))
def test_a_score_has_the_chance_of_both_sides_of_a_normal(score: float) -> None:
    assert statistics.chance_of_score(score) == pytest.approx(2 * stats.norm.sf(score), rel=1e-6, abs=1e-100)


def test_the_exact_chance_is_far_below_its_bound() -> None:
    assert statistics.chance_of_count(3, 10.0) == pytest.approx(0.01034, rel=1e-3)  # Chernoff's bound is .0337
