"""The bootstrap of a Cox model, and how far a model's concordance is flattered by its own data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.estimators.cox import cox_design
from analysis.estimators.risk_table import FloatArray, IntArray, InvalidSurvivalInput

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


@dataclass(frozen=True)
class CorrectedConcordance:
    """Harrell's C of a model: as found on its own data, and corrected for optimism.

    Attributes
    ----------
    apparent, optimism, corrected : float
    resamples, failed : int
        Drawn, and of them those without a finite estimate, which are left out.
    """

    apparent: float
    optimism: float
    corrected: float
    resamples: int
    failed: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """A design with its rows by falling time, as the compiled loops want it."""

    terms: tuple[str, ...]
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
    return _resampled(_rows(frame, duration, event, covariates), n_resamples, seed)


def corrected_concordance(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: list[str],
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

    Raises
    ------
    InvalidSurvivalInput
        As `resampled_cox`, and if the model or every resample's has no finite estimate.
    """
    from analysis.estimators.cox_kernel import coefficients, concordances

    rows = _rows(frame, duration, event, covariates)
    resampled = _resampled(rows, n_resamples, seed)
    once = np.ones((1, len(rows.order)), dtype=np.int64)
    own = coefficients(rows.x, rows.cell, rows.event, once)
    fitted = ~np.isnan(resampled.coefficients[:, 0])
    if np.isnan(own).any() or not fitted.any():
        raise InvalidSurvivalInput("There is no finite estimate to judge.")
    beta = resampled.coefficients[fitted] * rows.scale

    def judged(estimates: FloatArray, on: IntArray) -> FloatArray:
        # A row sum, unlike a matrix product, gives equal rows equal predictors to the last bit.
        predictor = np.sum(estimates[:, None, :] * rows.x, axis=2)
        found: FloatArray = concordances(predictor, rows.cell, rows.event, on)
        return found

    (apparent,) = judged(own, once)
    given = judged(beta, np.repeat(once, len(beta), axis=0))
    optimism = float(np.nanmean(judged(beta, rows.placed(resampled.drawn[fitted])) - given))
    return CorrectedConcordance(
        float(apparent),
        optimism,
        float(apparent) - optimism,
        n_resamples,
        resampled.failed,
    )


def _resampled(rows: _Rows, n_resamples: int, seed: int) -> ResampledCox:
    from analysis.estimators.cox_kernel import coefficients

    if n_resamples < 1:
        raise InvalidSurvivalInput("At least one resample is needed.")
    n = len(rows.order)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    found = coefficients(rows.x, rows.cell, rows.event, rows.placed(drawn))
    return ResampledCox(rows.terms, drawn, found / rows.scale)


def _rows(frame: pd.DataFrame, duration: str, event: str, covariates: list[str]) -> _Rows:
    design = cox_design(frame, duration=duration, event=event, covariates=covariates)
    survival = design.survival
    order = np.argsort(-survival.exit_code, kind="stable")
    # Those censored at a time come before those who die then, as concordances expects.
    order = order[np.lexsort((survival.event[order], -survival.exit_code[order]))]
    scale = design.x.std(axis=0)
    return _Rows(
        design.terms,
        order,
        np.ascontiguousarray((design.x / scale)[order]),
        scale,
        -survival.exit_code[order].astype(np.int64),
        survival.event[order].astype(np.float64),
    )
