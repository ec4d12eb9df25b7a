"""The bootstrap of a Cox model, and how far a model's concordance is flattered by its own data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.cox import cox_design
from analysis.estimators.distributions import chi_square_tail
from analysis.estimators.log_rank import group_tables, quadratic_form, score_and_variance
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    order_for_drawing,
    survival_rows,
)

#: Penalty where a resample has no finite estimate: a normal prior of the log hazard ratio of a
#: standard deviation, with standard deviation 10, which puts patients in the order of the infinite
#: estimate. To leave such resamples out would be to leave out the worst of the optimism.
PENALTY = 0.01

BoolArray = npt.NDArray[np.bool_]

#: Resamples that Steyerberg (2019, Clinical Prediction Models, 5.3) finds enough for validation.
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class ResampledCox:
    """Cox models of bootstrap resamples.

    Attributes
    ----------
    terms : tuple of str
    drawn : int array, shape (n_resamples, n)
        How often each row was drawn.
    coefficients : float array, shape (n_resamples, p)
        Log hazard ratios, Efron's ties; NaN where a resample has no finite estimate.
    """

    terms: tuple[str, ...]
    drawn: IntArray
    coefficients: FloatArray

    @property
    def failed(self) -> int:
        """Resamples without a finite estimate."""
        return int(np.isnan(self.coefficients[:, 0]).sum())


@dataclass(frozen=True, eq=False)
class Candidates:
    """Variables from which those of a model are selected, one at a time.

    Attributes
    ----------
    labels : dict of Series
        Groups by variable, in the order of the rows; missing where unknown.
    level : float
        Selected is what has a smaller log-rank P.
    """

    labels: dict[str, pd.Series]
    level: float = 0.05


@dataclass(frozen=True)
class CorrectedConcordance:
    """Harrell's C of a model: as found on its own data, and corrected for optimism.

    Attributes
    ----------
    apparent, optimism, corrected : float
    resamples, penalised : int
        Drawn, and of them those without a finite estimate, which are fitted with PENALTY.
    """

    apparent: float
    optimism: float
    corrected: float
    resamples: int
    penalised: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """A design with its rows by falling time, as the compiled loops want it."""

    terms: tuple[str, ...]
    survival: SurvivalRows
    order: IntArray
    x: FloatArray
    scale: FloatArray
    cell: IntArray
    event: FloatArray

    def placed(self, drawn: IntArray) -> IntArray:
        """Counts of the rows in their order here, laid out as the loops are compiled for."""
        return np.ascontiguousarray(drawn[:, self.order])


def resampled_cox(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: list[str],
    n_resamples: int = RESAMPLES,
    seed: int = 20261122,
) -> ResampledCox:
    """Fit Cox's model to bootstrap resamples of the rows (Efron 1979).

    Parameters
    ----------
    frame, duration, event, covariates
        As `cox`; one row a patient.
    n_resamples
        Each draws as many rows as there are, with replacement.
    seed
        The same seed gives the same resamples.

    Raises
    ------
    InvalidSurvivalInput
        As `cox`, and for no resample.
    """
    from analysis.estimators.cox_kernel import coefficients

    rows = _rows(frame, duration, event, covariates)
    drawn = _drawn(rows, n_resamples, seed)
    found = coefficients(rows.x, rows.cell, rows.event, rows.placed(drawn), 0.0)
    return ResampledCox(rows.terms, drawn, found / rows.scale)


def corrected_concordance(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: list[str],
    candidates: Candidates | None = None,
    n_resamples: int = RESAMPLES,
    seed: int = 20261122,
) -> CorrectedConcordance:
    """Harrell's C of a Cox model, corrected for optimism by the bootstrap.

    Each resample's model is judged on the resample and on the data; the mean difference is what a
    model gains from being judged on the data that made it (Harrell, Lee and Mark 1996, Stat Med
    15:361). Takes time with the square of the patients.

    Parameters
    ----------
    frame, duration, event, covariates, n_resamples, seed
        As `resampled_cox`.
    candidates
        From which the model's variables were selected, by `selected_by_log_rank`; a resample's
        model is then of what is selected on it, since selecting flatters a model too (as Harrell,
        Lee and Mark repeat it). Without: the same covariates in every resample.

    Raises
    ------
    InvalidSurvivalInput
        As `resampled_cox`, and if the model has no finite estimate or no resample an event.
    """
    from analysis.estimators.cox_kernel import coefficients, concordances

    rows = _rows(frame, duration, event, covariates, candidates)
    drawn = _drawn(rows, n_resamples, seed)
    once = np.ones_like(drawn[:1])

    def judged(x: FloatArray, estimates: FloatArray, on: IntArray) -> FloatArray:
        # A row sum, unlike a matrix product, gives equal rows equal predictors to the last bit.
        predictor = np.sum(estimates[:, None, :] * x, axis=2)
        found: FloatArray = concordances(predictor, rows.cell, rows.event, on)
        return found

    own = coefficients(rows.x, rows.cell, rows.event, once, 0.0)
    if np.isnan(own).any():
        raise InvalidSurvivalInput("There is no finite estimate to judge.")
    gains, penalised = np.full(n_resamples, np.nan), 0
    for x, known, chosen in _models(rows, drawn, candidates):
        if not x.shape[1]:
            gains[chosen] = 0.0  # nothing selected: nobody is told apart, here or there
            continue
        resampled = rows.placed(drawn[chosen]) * known
        beta = coefficients(x, rows.cell, rows.event, resampled, 0.0)
        infinite = np.isnan(beta[:, 0])
        beta[infinite] = coefficients(x, rows.cell, rows.event, resampled[infinite], PENALTY)
        penalised += int(infinite.sum())
        data = np.repeat(once * known, len(beta), axis=0)
        gains[chosen] = judged(x, beta, resampled) - judged(x, beta, data)
    if np.isnan(gains).all():
        raise InvalidSurvivalInput("No resample has an event to judge a model by.")
    (apparent,) = judged(rows.x, own, once)
    optimism = float(np.nanmean(gains))
    return CorrectedConcordance(
        float(apparent),
        optimism,
        float(apparent) - optimism,
        n_resamples,
        penalised,
    )


def selected_by_log_rank(
    frame: pd.DataFrame, *, duration: str, event: str, candidates: Candidates
) -> list[str]:
    """Candidates whose log-rank test has a P below the level; rows without a label are left out.

    Parameters
    ----------
    frame, duration, event
        As `cox`; one row a patient.
    """
    survival = survival_rows(frame[duration], frame[event])
    once = np.ones((1, len(frame)), dtype=np.int64)
    chosen = _selected(survival, candidates, once)[0]
    return [name for name, one in zip(candidates.labels, chosen, strict=True) if one]


def _selected(survival: SurvivalRows, candidates: Candidates, drawn: IntArray) -> BoolArray:
    """Which candidates each resample selects, shape (n_resamples, candidates)."""
    chosen = np.zeros((len(drawn), len(candidates.labels)), dtype=np.bool_)
    for place, labels in enumerate(candidates.labels.values()):
        code, levels = pd.factorize(labels, sort=True)
        if len(levels) < 2:
            continue
        counts, group = drawn * (code >= 0), np.maximum(code, 0)
        for sample, weights in enumerate(counts):
            rows = replace(survival, weights=weights.astype(np.float64))
            (table,) = group_tables(rows, group, len(levels), None, sampling=False)
            statistic, df = quadratic_form(*score_and_variance(table, np.ones(len(table.n))))
            chosen[sample, place] = df > 0 and chi_square_tail(statistic, df) < candidates.level
    return chosen


def _models(
    rows: _Rows, drawn: IntArray, candidates: Candidates | None
) -> Iterator[tuple[FloatArray, BoolArray, BoolArray]]:
    """Each design that resamples are fitted with, the rows it knows, and for which resamples."""
    if candidates is None:
        every = np.ones(len(rows.order), dtype=np.bool_)
        yield rows.x, every, np.ones(len(drawn), dtype=np.bool_)
        return
    columns, of, known = [], [], []
    for place, labels in enumerate(candidates.labels.values()):
        column = labels.iloc[rows.order]
        # Against the most frequent level, which hardly any resample is without.
        for level in column.value_counts().index[1:]:
            columns.append((column == level).to_numpy(dtype=np.float64))
            of.append(place)
            known.append(column.notna().to_numpy())
    indicators, is_known = np.column_stack(columns), np.column_stack(known)
    there = rows.placed(drawn) @ (indicators * is_known)
    # A level that nobody of a resample has is no column of its model.
    used = _selected(rows.survival, candidates, drawn)[:, of] & (there > 0)
    designs, which = np.unique(used, axis=0, return_inverse=True)
    spread = indicators.std(axis=0)
    for number, design in enumerate(designs):
        x = np.ascontiguousarray((indicators / np.where(spread > 0, spread, 1.0))[:, design])
        yield x, np.all(is_known, axis=1, where=design), which.reshape(-1) == number


def _drawn(rows: _Rows, n_resamples: int, seed: int) -> IntArray:
    if n_resamples < 1:
        raise InvalidSurvivalInput("At least one resample is needed.")
    n = len(rows.order)
    drawn = np.empty((n_resamples, n), dtype=np.int64)
    drawn[:, rows.order] = np.random.default_rng(seed).multinomial(
        n, np.full(n, 1 / n), size=n_resamples
    )
    return drawn


def _rows(
    frame: pd.DataFrame,
    duration: str,
    event: str,
    covariates: list[str],
    candidates: Candidates | None = None,
) -> _Rows:
    design = cox_design(frame, duration=duration, event=event, covariates=covariates)
    survival = design.survival
    labels = candidates.labels.values() if candidates else ()
    # Those censored at a time come before those who die then, as concordances expects.
    order = order_for_drawing(-survival.exit_code, survival.event, *design.x.T, *labels)
    scale = design.x.std(axis=0)
    return _Rows(
        design.terms,
        survival,
        order,
        np.ascontiguousarray((design.x / scale)[order]),
        scale,
        -survival.exit_code[order].astype(np.int64),
        survival.event[order].astype(np.float64),
    )
