"""Multiple imputation of covariates by chained equations, for Cox models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import log_softmax, stdtr, stdtrit

from analysis.estimators.cox import CoxModel, Ties, cox
from analysis.estimators.model_columns import model_columns
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    numeric,
    order_for_drawing,
    refuse,
    survival_rows,
)
from analysis.estimators.standardised_difference import is_categorical

#: Observed values among which predictive mean matching draws (R's mice).
DONORS = 5
#: Share of a diagonal added to keep a normal equation solvable (R's mice).
RIDGE = 1e-5
#: Standard deviation of the prior on the log odds ratio of one standard deviation, which keeps the
#: draws finite where levels are separated (Gelman et al. 2008).
PRIOR_SD = 2.5
NEWTON_STEPS = 50
NEWTON_TOLERANCE = 1e-8
MONOTONE = "The likelihood has no maximum, as where a level has no event, so that a hazard ratio"


@dataclass(frozen=True, eq=False)
class ImputedCox:
    """Cox's model over m completed data sets, beside the complete cases.

    Attributes
    ----------
    n, events, n_complete, events_complete : int
        Patients and events in all, and with every covariate known.
    missing : DataFrame
        covariate, missing, share.
    table : DataFrame
        term, coefficient, std_error, hazard_ratio, lower, upper, t, degrees_of_freedom, p_value,
        fraction_missing_information.
    complete_case : CoxModel or None
        None where the complete cases do not allow the model.
    complete_case_reason : str or None
        Why they do not.
    m, seed : int
    method : str
        Fit for a footnote.
    """

    n: int
    events: int
    n_complete: int
    events_complete: int
    missing: pd.DataFrame
    table: pd.DataFrame
    complete_case: CoxModel | None
    complete_case_reason: str | None
    m: int
    seed: int
    method: str


def imputed_cox(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: list[str],
    auxiliary: Sequence[str] = (),
    m: int = 20,
    iterations: int = 10,
    seed: int = 20261122,
    entry: str | None = None,
    ties: Ties = "efron",
    level: float = 0.95,
) -> ImputedCox:
    """Cox's model with missing covariates imputed m times and pooled by Rubin's rules.

    Valid if, given what is observed (covariates, auxiliaries and outcome), whether a value is
    missing does not depend on the value; the data cannot show that. The imputation model is an
    approximation to the one the Cox model implies: strong effects of heavily missing covariates
    come out a little too small (White and Royston 2009).

    Parameters
    ----------
    frame, duration, event, entry, ties
        As `cox`.
    covariates
        Columns of any kind (`model_columns`), with or without missing values.
    auxiliary
        Further columns for the imputation only.
    m, iterations, seed
        As `impute`.

    Raises
    ------
    InvalidSurvivalInput
        As `cox` and `impute`; also if the likelihood of a completed data set is monotone.
    """
    completed = impute(
        frame,
        duration=duration,
        event=event,
        columns=[*covariates, *auxiliary],
        m=m,
        iterations=iterations,
        seed=seed,
        entry=entry,
    )

    def fit(data: pd.DataFrame) -> CoxModel:
        columns = model_columns(data, covariates)
        names = [name for name in (duration, event, entry) if name is not None]
        together = pd.concat([columns, data[names]], axis=1)
        return cox(
            together,
            duration=duration,
            event=event,
            covariates=list(columns.columns),
            entry=entry,
            ties=ties,
            level=level,
        )

    models = [fit(data) for data in completed]
    if any(model.monotone for model in models):
        raise InvalidSurvivalInput(f"{MONOTONE} cannot be pooled; use fewer levels.")
    events = models[0].events
    pooled = rubin(
        np.array([model.coefficients for model in models]),
        np.array([np.diag(model.covariance) for model in models]),
        complete_df=events - len(models[0].table),
        level=level,
    )
    missing = frame[covariates].isna()
    known = ~missing.any(axis=1)
    complete_case: CoxModel | None = None
    reason: str | None = "Nobody has every covariate known."
    if known.any():
        try:
            fitted = fit(frame[known])
        except InvalidSurvivalInput as error:
            reason = str(error)
        else:
            if fitted.monotone:
                reason = f"{MONOTONE} is infinite."
            else:
                complete_case, reason = fitted, None
    with np.errstate(over="ignore"):
        ratios = np.exp(pooled[["estimate", "lower", "upper"]].to_numpy())
    return ImputedCox(
        n=len(frame),
        events=events,
        n_complete=int(known.sum()),
        events_complete=int(numeric(frame[event], "events")[known.to_numpy()].sum()),
        missing=pd.DataFrame(
            {
                "covariate": covariates,
                "missing": missing.sum().to_numpy(),
                "share": missing.mean().to_numpy(),
            }
        ),
        table=pd.DataFrame(
            {
                "term": models[0].table["term"],
                "coefficient": pooled["estimate"],
                "std_error": pooled["std_error"],
                "hazard_ratio": ratios[:, 0],
                "lower": ratios[:, 1],
                "upper": ratios[:, 2],
                "t": pooled["t"],
                "degrees_of_freedom": pooled["degrees_of_freedom"],
                "p_value": pooled["p_value"],
                "fraction_missing_information": pooled["fraction_missing_information"],
            }
        ),
        complete_case=complete_case,
        complete_case_reason=reason,
        m=m,
        seed=seed,
        method=f"multiple imputation by chained equations with the event and its cumulative "
        f"hazard (m={m}, {iterations} iterations, seed {seed}), Rubin's rules",
    )


def impute(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    columns: list[str],
    m: int = 20,
    iterations: int = 10,
    seed: int = 20261122,
    entry: str | None = None,
) -> list[pd.DataFrame]:
    """Complete the data m times by chained equations (van Buuren and Groothuis-Oudshoorn 2011).

    Parameters
    ----------
    frame, duration, event, entry
        As `cox`. The event indicator and the Nelson-Aalen cumulative hazard at the patient's time
        are in every imputation model (White and Royston 2009).
    columns
        To be imputed, or used to impute. Numbers with more than two values: predictive mean
        matching, five donors, so that only values that occur are imputed. Everything else:
        multinomial logistic regression with a weak prior.
    m, iterations, seed
        Completed data sets, cycles through the columns before each, seed of the generator.

    Returns
    -------
    list of m copies of `frame` with the columns completed

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also for absent columns, infinite values, and columns of which nothing or
        only one value is known.
    """
    if m < 2 or iterations < 1:
        raise ValueError("m must be at least 2 and iterations at least 1.")
    needed = [duration, event, *columns, *([entry] if entry else [])]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise InvalidSurvivalInput(f"The data have no column named {', '.join(absent)}.")
    rows = survival_rows(
        frame[duration], frame[event], entry=None if entry is None else frame[entry]
    )
    kinds = {name: _kind(frame[name], name) for name in columns}
    drawing = order_for_drawing(*(frame[name] for name in needed))
    as_given = np.argsort(drawing)
    outcome = np.column_stack([rows.event, _cumulative_hazard(rows)])[drawing]
    frame = frame.iloc[drawing]
    missing = {name: int(frame[name].isna().to_numpy().sum()) for name in columns}
    order = sorted((name for name in columns if missing[name]), key=lambda name: missing[name])
    generator = np.random.default_rng(seed)
    completed = []
    for _ in range(m):
        data = frame.copy()
        for name in order:
            known = frame[name].dropna().to_numpy()
            gaps = frame[name].isna().to_numpy()
            data[name] = _filled(frame[name], gaps, generator.choice(known, gaps.sum()))
        for _ in range(iterations if order else 0):
            for name in order:
                gaps = frame[name].isna().to_numpy()
                others = [other for other in columns if other != name]
                x = _predictors(data, others, outcome)
                draw = _draw_levels if kinds[name] == "levels" else _draw_numbers
                data[name] = _filled(frame[name], gaps, draw(frame[name], gaps, x, generator))
        completed.append(data.iloc[as_given])
    return completed


def rubin(
    estimates: npt.ArrayLike,
    variances: npt.ArrayLike,
    *,
    complete_df: float = np.inf,
    level: float = 0.95,
) -> pd.DataFrame:
    """Pool m estimates of p quantities by Rubin's rules (Rubin 1987; Barnard and Rubin 1999).

    Parameters
    ----------
    estimates, variances : shape (m, p)
        Of each completed data set.
    complete_df
        Degrees of freedom if nothing were missing; for a Cox model events less coefficients.

    Returns
    -------
    DataFrame, one row a quantity
        estimate, std_error, within, between (variances), degrees_of_freedom, t, p_value, lower,
        upper, fraction_missing_information (with the small-sample term, as R's mice).
    """
    value, within_each = (np.asarray(array, dtype=np.float64) for array in (estimates, variances))
    if value.ndim != 2 or value.shape != within_each.shape or len(value) < 2:
        raise ValueError("estimates and variances must have the same shape (m, p), m at least 2.")
    if not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1.")
    m = len(value)
    estimate = value.mean(axis=0)
    within, between = within_each.mean(axis=0), value.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    with np.errstate(divide="ignore"):
        df = (m - 1) / share**2
    if np.isfinite(complete_df):
        usable = max(complete_df, 1.0)
        observed = (usable + 1) / (usable + 3) * usable * (1 - share)
        df = 1 / (1 / df + 1 / observed)
    increase = share / (1 - share)
    std_error = np.sqrt(total)
    t = estimate / std_error
    # Beyond this many the t distribution is the normal to the last digit.
    known_df = np.minimum(df, 1e10)
    margin = stdtrit(known_df, 0.5 + level / 2) * std_error
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": std_error,
            "within": within,
            "between": between,
            "degrees_of_freedom": df,
            "t": t,
            "p_value": 2 * stdtr(known_df, -np.abs(t)),
            "lower": estimate - margin,
            "upper": estimate + margin,
            "fraction_missing_information": (increase + 2 / (df + 3)) / (increase + 1),
        }
    )


def _cumulative_hazard(rows: SurvivalRows) -> FloatArray:
    """Nelson-Aalen at each row's time."""
    hazard = np.cumsum(rows.leave(rows.event) / rows.at_risk())
    return np.asarray(hazard[rows.exit_code])


def _kind(column: pd.Series[Any], name: str) -> str:
    known = column.dropna()
    if known.nunique() < 2:
        raise InvalidSurvivalInput(f"Fewer than two values of {name} are known.")
    if is_categorical(column):
        return "levels"
    numbers = numeric(column, f"values of {name}")
    refuse(np.isinf(numbers), f"values of {name} are not finite")
    return "levels" if known.nunique() == 2 else "numbers"


def _filled(
    column: pd.Series[Any], gaps: npt.NDArray[np.bool_], values: npt.NDArray[Any]
) -> pd.Series[Any]:
    filled = column.copy()
    filled.loc[gaps] = values
    return filled


def _predictors(data: pd.DataFrame, others: list[str], outcome: FloatArray) -> FloatArray:
    """Intercept and standardised predictors, shape (n, q)."""
    parts = [outcome]
    if others:
        parts.append(model_columns(data, others).to_numpy())
    x = np.column_stack(parts)
    x = x[:, np.ptp(x, axis=0) > 0]
    return np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)])


def _draw_numbers(
    column: pd.Series[Any],
    gaps: npt.NDArray[np.bool_],
    x: FloatArray,
    generator: np.random.Generator,
) -> npt.NDArray[Any]:
    """Predictive mean matching: the value of one of the rows whose prediction is nearest."""
    known = column[~gaps].to_numpy()
    # What does not vary where the column is known predicts nothing (as R's mice).
    x = np.column_stack([x[:, 0], x[:, np.ptp(x[~gaps], axis=0) > 0]])
    y, observed = known.astype(np.float64), x[~gaps]
    cross = observed.T @ observed
    inverse = np.linalg.inv(cross + RIDGE * np.diag(np.diag(cross)))
    beta = inverse @ observed.T @ y
    freedom = max(len(y) - x.shape[1], 1)
    sigma = np.sqrt(np.sum((y - observed @ beta) ** 2) / generator.chisquare(freedom))
    noise = np.linalg.cholesky((inverse + inverse.T) / 2) @ generator.standard_normal(x.shape[1])
    predicted, wanted = observed @ beta, x[gaps] @ (beta + sigma * noise)
    donors = min(DONORS, len(y))
    order = np.argsort(predicted, kind="stable")
    place = np.searchsorted(predicted[order], wanted)
    # The nearest are among as many on either side.
    near = np.clip(place[:, None] + np.arange(-donors, donors), 0, len(y) - 1)
    distance = np.abs(predicted[order][near] - wanted[:, None])
    distance[:, 1:][near[:, 1:] == near[:, :-1]] = np.inf
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :donors]
    pick = nearest[np.arange(len(wanted)), generator.integers(donors, size=len(wanted))]
    return np.array(known[order[near[np.arange(len(wanted)), pick]]])


def _draw_levels(
    column: pd.Series[Any],
    gaps: npt.NDArray[np.bool_],
    x: FloatArray,
    generator: np.random.Generator,
) -> npt.NDArray[Any]:
    """A level from the probabilities of a multinomial regression drawn from its posterior."""
    code, levels = pd.factorize(column[~gaps], sort=True)
    shape = (x.shape[1], len(levels) - 1)
    mode, covariance = _multinomial(x[~gaps], code.astype(np.int64), len(levels))
    drawn = mode + np.linalg.cholesky(covariance) @ generator.standard_normal(len(mode))
    probability = np.exp(_log_probability(x[gaps], drawn.reshape(shape)))
    uniform = generator.random(int(gaps.sum()))
    chosen = np.sum(uniform[:, None] > np.cumsum(probability, axis=1)[:, :-1], axis=1)
    return np.array(np.asarray(levels)[chosen])


def _log_probability(x: FloatArray, coefficients: FloatArray) -> FloatArray:
    predictor = np.column_stack([np.zeros(len(x)), x @ coefficients])
    logged: FloatArray = log_softmax(predictor, axis=1)
    return logged


def _multinomial(x: FloatArray, code: IntArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Posterior mode and covariance of the q (k-1) coefficients, levels varying fastest."""
    n, q = x.shape
    indicator = (code[:, None] == np.arange(1, k)).astype(np.float64)
    precision = np.repeat(np.r_[1e-6, np.full(q - 1, PRIOR_SD**-2)], k - 1)
    beta = np.zeros(q * (k - 1))

    def posterior(at: FloatArray) -> float:
        logged = _log_probability(x, at.reshape(q, k - 1))
        return float(logged[np.arange(n), code].sum() - precision @ at**2 / 2)

    here = posterior(beta)
    covariance = np.eye(len(beta))
    for _ in range(NEWTON_STEPS):
        p = np.exp(_log_probability(x, beta.reshape(q, k - 1)))[:, 1:]
        score = (x.T @ (indicator - p)).ravel() - precision * beta
        information = np.diag(precision)
        for a in range(k - 1):
            for b in range(k - 1):
                spread = p[:, a] * ((a == b) - p[:, b])
                information[a :: k - 1, b :: k - 1] += (x.T * spread) @ x
        covariance = np.linalg.inv(information)
        step = covariance @ score
        if np.all(np.abs(step) <= NEWTON_TOLERANCE * np.sqrt(np.diag(covariance))):
            break
        scale = 1.0
        while (there := posterior(beta + scale * step)) < here - 1e-12 * abs(here) and scale > 1e-6:
            scale /= 2
        beta, here = beta + scale * step, there
    return beta, (covariance + covariance.T) / 2
