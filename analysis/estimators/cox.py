"""Cox regression with the ties, variances and tests of R's coxph and of SPSS's COXREG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from analysis.estimators.concordance import concordance_index
from analysis.estimators.distributions import (
    chi_square_tail,
    normal_multiplier,
    two_sided_normals,
)
from analysis.estimators.exact_ties import exact_derivatives
from analysis.estimators.log_rank import quadratic_form
from analysis.estimators.partial_likelihood import (
    Derivatives,
    Stratum,
    derivatives,
    score_residuals,
)
from analysis.estimators.results import Estimate, TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    group_codes,
    merge_near_ties,
    numeric,
    refuse,
    survival_rows,
)

Ties = Literal["efron", "breslow", "exact"]

#: Relative change of the log-likelihood at which R's coxph stops (coxph.control eps).
LOGLIK_TOLERANCE = 1e-9
#: Newton steps allowed to reach it (R allows 20; step halving may need more).
MAX_ITERATIONS = 50
MAX_HALVINGS = 30
#: Relative loss of log-likelihood that is rounding of a sum over a million patients.
ROUNDING = 1e-12
#: Newton steps, on the scale of the standard error, that end the polishing of the estimate.
STEP_TOLERANCE = 1e-10
#: Once the likelihood is flat a regular fit needs two or three more steps; one whose estimate is
#: infinite moves on by a constant step for ever.
POLISHING_STEPS = 6
#: Step of a log hazard ratio, for a standard deviation of its covariate, that ends in a finite
#: estimate: an infinite one moves on by about 1, the others by less than their tolerance.
STANDING_STILL = 1e-3
#: Smallest eigenvalue of the information, scaled to unit diagonal, that is not taken for
#: collinearity.
COLLINEARITY_TOLERANCE = 1e-10
#: Share of the usual variance below which a robust one is rounding.
NO_ERROR = 1e-16


@dataclass(frozen=True, eq=False)
class CoxDesign:
    """The data of a fit, checked and centred, for the tests that come after it."""

    terms: tuple[str, ...]
    x: FloatArray
    survival: SurvivalRows
    strata: list[Stratum]
    weights: FloatArray | None
    cluster: IntArray | None


@dataclass(frozen=True, eq=False)
class CoxModel:
    """A fitted model.

    Attributes
    ----------
    n, events : int
        Rows and events.
    ties : str
        "efron", "breslow" or "exact".
    loglik_null, loglik : float
        Log partial likelihood without and with the covariates (penalised for Firth's).
    table : DataFrame
        term, coefficient, std_error, hazard_ratio, lower, upper, z, p_value. Limits of a model
        with monotone likelihood may be 0 and infinity.
    likelihood_ratio, wald, score : TestResult
        Of the hypothesis that all coefficients are zero; the Wald test uses the robust variance
        where one was asked for.
    converged : bool
    monotone : bool
        True if the likelihood rises for ever along some direction, so that an estimate is
        infinite and its standard error meaningless: report `firth_cox` instead.
    infinite : tuple of str
        The terms whose estimates these are. The other estimates and their errors are those of the
        limit, as R and SPSS print them.
    events_per_variable : float
    covariance : float array, shape (p, p)
        Of the coefficients; robust where asked for.
    penalised : bool
        True for Firth's model.
    """

    n: int
    events: int
    ties: str
    loglik_null: float
    loglik: float
    table: pd.DataFrame
    likelihood_ratio: TestResult
    wald: TestResult
    score: TestResult
    converged: bool
    monotone: bool
    infinite: tuple[str, ...]
    events_per_variable: float
    covariance: FloatArray
    penalised: bool
    design: CoxDesign = field(repr=False)

    @property
    def coefficients(self) -> FloatArray:
        """Log hazard ratios, shape (p,)."""
        return self.table["coefficient"].to_numpy(dtype=np.float64)

    @property
    def aic(self) -> float:
        """Akaike's criterion: twice the coefficients less the log-likelihood."""
        return 2 * (len(self.table) - self.loglik)

    @cached_property
    def concordance(self) -> Estimate:
        """Harrell's C of the linear predictor; computed when first asked for."""
        # A row sum, unlike a matrix product, gives equal rows equal predictors to the last bit.
        # Levels with equal coefficients have them up to rounding.
        predictor = merge_near_ties(np.sum(self.design.x * self.coefficients, axis=1))
        return concordance_index(
            [(stratum.rows, stratum.survival) for stratum in self.design.strata],
            predictor,
            weights=self.design.weights,
            cluster=self.design.cluster,
        )


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where Newton's method ended, and its last step if that was on the way to infinity."""

    beta: FloatArray
    at: Derivatives
    covariance: FloatArray
    converged: bool
    step: FloatArray | None = None

    @property
    def monotone(self) -> bool:
        """Whether the likelihood rises for ever along some direction."""
        return self.step is not None


def cox(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: list[str],
    ties: Ties = "efron",
    entry: str | None = None,
    strata: str | list[str] | None = None,
    weights: str | None = None,
    cluster: str | None = None,
    robust: bool = False,
    level: float = 0.95,
) -> CoxModel:
    """Fit Cox's proportional hazards model (Cox 1972).

    Parameters
    ----------
    frame
        One row a patient, or one row a patient and interval (with `entry` and `cluster`).
    duration, event, entry, weights
        Column names; contents as for `risk_table`.
    covariates
        Numeric columns; the caller makes indicators.
    ties
        "efron" (1977), "breslow" (1974; SPSS's), or "exact": the discrete partial likelihood
        (Cox 1972; R's coxph(ties="exact")).
    strata
        Column or columns whose levels have baseline hazards of their own.
    cluster
        Column naming whose rows belong together; implies `robust`.
    robust
        Sandwich variance (Lin and Wei 1989) with Efron's ties and late entry accounted for.
        Weights that are not whole numbers need it; R then turns it on by itself.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also for no events, missing values, covariates that are not numeric, have
        one level, or are linearly dependent where events happen; for a robust variance of
        zero, as of a single cluster; and for exact ties with weights or a robust variance, which
        are not defined.
    """
    design = cox_design(
        frame,
        duration=duration,
        event=event,
        covariates=covariates,
        entry=entry,
        strata=strata,
        weights=weights,
        cluster=cluster,
    )
    wants_robust = robust or cluster is not None
    if ties not in ("efron", "breslow", "exact"):
        raise ValueError("ties must be 'efron', 'breslow' or 'exact'.")
    if ties == "exact" and (weights is not None or wants_robust):
        raise InvalidSurvivalInput(
            "Exact ties are not defined with weights or a robust variance; use Efron's."
        )

    def likelihood(beta: FloatArray) -> Derivatives:
        if ties == "exact":
            return exact_derivatives(design.strata, beta)
        return derivatives(design.strata, beta, ties)

    null = likelihood(np.zeros(len(covariates)))
    if not np.isfinite(null.loglik):
        raise InvalidSurvivalInput(
            "Too many deaths are tied at one time for exact ties; use Efron's."
        )
    require_estimable(null.information, design)
    best = maximise(likelihood, null, design.x.std(axis=0))
    covariance = best.covariance
    # Where the likelihood is monotone no standard error means anything, and residuals overflow.
    if ties != "exact" and wants_robust and not best.monotone:
        residuals = score_residuals(design.strata, best.beta, ties, len(design.x))
        covariance = sandwich(residuals, best.covariance, design)
        require_error(covariance, best.covariance, design.terms)
    df = len(covariates)
    events = int(design.survival.event.sum())
    return CoxModel(
        n=len(design.x),
        events=events,
        ties=ties,
        loglik_null=null.loglik,
        loglik=best.at.loglik,
        table=coefficient_table(design.terms, best.beta, covariance, level),
        likelihood_ratio=chi_square_test(
            2 * (best.at.loglik - null.loglik), df, "likelihood ratio test"
        ),
        wald=wald_test(best.beta, covariance, "robust Wald test" if wants_robust else "Wald test"),
        score=chi_square_test(_quadratic(null.score, null.information), df, "score test"),
        converged=best.converged,
        monotone=best.monotone,
        infinite=infinite_terms(best, design),
        events_per_variable=events / df,
        covariance=covariance,
        penalised=False,
        design=design,
    )


def cox_design(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: Sequence[str],
    entry: str | None = None,
    strata: str | list[str] | None = None,
    weights: str | None = None,
    cluster: str | None = None,
) -> CoxDesign:
    """Check the columns of a model and lay its rows out by stratum."""
    strata_columns = [strata] if isinstance(strata, str) else list(strata or [])
    optional = [name for name in (entry, weights, cluster) if name is not None]
    needed = [duration, event, *covariates, *optional, *strata_columns]
    absent = sorted({name for name in needed if name not in frame.columns})
    if absent:
        raise InvalidSurvivalInput(f"The data have no column named {', '.join(absent)}.")
    if not covariates:
        raise InvalidSurvivalInput("A Cox model needs at least one covariate.")
    if len(set(covariates)) < len(covariates):
        raise InvalidSurvivalInput("A covariate is named twice.")

    survival = survival_rows(
        frame[duration],
        frame[event],
        entry=None if entry is None else frame[entry],
        weights=None if weights is None else frame[weights],
    )
    if not survival.event.any():
        raise InvalidSurvivalInput("There are no events, so no hazard ratio can be estimated.")
    # Sums over risk sets run down the columns.
    x = np.empty((len(survival), len(covariates)), order="F")
    for column, name in enumerate(covariates):
        values = numeric(frame[name], f"values of {name}")
        refuse(~np.isfinite(values), f"values of {name} are missing or not finite")
        if values.min() == values.max():
            raise InvalidSurvivalInput(
                f"{name} has one level only, so its hazard ratio cannot be estimated."
            )
        x[:, column] = values - values.mean()

    if strata_columns:
        for name in strata_columns:
            refuse(frame[name].isna().to_numpy(), f"values of {name} are missing")
        code = frame.groupby(strata_columns, observed=True).ngroup().to_numpy()
    else:
        code = np.zeros(len(survival), dtype=np.int64)
    cluster_code = None
    if cluster is not None:
        cluster_code = group_codes(frame[cluster], len(survival), f"values of {cluster}")[1]
    return CoxDesign(
        terms=tuple(covariates),
        x=x,
        survival=survival,
        strata=[_stratum(survival, x, np.flatnonzero(code == k)) for k in np.unique(code)],
        weights=survival.weights,
        cluster=cluster_code,
    )


def _stratum(survival: SurvivalRows, x: FloatArray, rows: IntArray) -> Stratum:
    if len(rows) == len(survival):
        return Stratum(rows, x, survival)
    part = survival_rows(
        survival.grid[survival.exit_code[rows]],
        survival.event[rows],
        entry=None if survival.entry is None else survival.entry[rows],
        weights=None if survival.weights is None else survival.weights[rows],
    )
    return Stratum(rows, np.asfortranarray(x[rows]), part)


def require_estimable(information: FloatArray, design: CoxDesign) -> None:
    """Refuse covariates that carry no information at zero, or only what others carry."""
    spread = np.diag(information)
    possible = design.x.var(axis=0) * design.survival.event.sum()
    for name, own, most in zip(design.terms, spread, possible, strict=True):
        if own <= COLLINEARITY_TOLERANCE * most:
            raise InvalidSurvivalInput(
                f"{name} does not vary among those at risk when an event happens, "
                "so its hazard ratio cannot be estimated."
            )
    scaled = information / np.sqrt(np.outer(spread, spread))
    if np.linalg.eigvalsh(scaled)[0] < COLLINEARITY_TOLERANCE:
        raise InvalidSurvivalInput(
            f"The covariates {', '.join(design.terms)} are linearly dependent; leave one out."
        )


def maximise(
    likelihood: Callable[[FloatArray], Derivatives], start: Derivatives, spread: FloatArray
) -> Maximum:
    """Newton's method from zero; tells an infinite estimate from a finite one.

    Where the likelihood has become flat, a regular maximum is reached in two or three further
    steps. Under monotone likelihood the steps do not shrink while the information vanishes
    (Heinze and Schemper 2001); the values at the flat point, R's, are then returned. `spread` is
    the standard deviation of each covariate, which tells a step from rounding.
    """
    beta: FloatArray = np.zeros(len(start.score))
    here = start
    covariance: FloatArray = np.linalg.inv(start.information)
    for _ in range(MAX_ITERATIONS):
        before = here
        beta, here = _climb(likelihood, beta, here, covariance @ here.score)
        new_covariance = _inverse(here.information)
        if new_covariance is None:
            return Maximum(beta, here, covariance, False, np.full(len(beta), np.inf))
        covariance = new_covariance
        if here.loglik - before.loglik <= LOGLIK_TOLERANCE * max(abs(here.loglik), 1.0):
            return _polish(likelihood, beta, here, covariance, spread)
    return Maximum(beta, here, covariance, converged=False)


def _climb(
    likelihood: Callable[[FloatArray], Derivatives],
    beta: FloatArray,
    here: Derivatives,
    step: FloatArray,
) -> tuple[FloatArray, Derivatives]:
    """Take the step, or the largest half, quarter, ... of it that does not go downhill."""
    for halving in range(MAX_HALVINGS):
        moved = beta + step / 2**halving
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            there = likelihood(moved)
        if there.loglik >= here.loglik - ROUNDING * abs(here.loglik):
            return moved, there
    return beta, here


def _polish(
    likelihood: Callable[[FloatArray], Derivatives],
    flat_beta: FloatArray,
    flat: Derivatives,
    flat_covariance: FloatArray,
    spread: FloatArray,
) -> Maximum:
    beta, here, covariance = flat_beta, flat, flat_covariance
    for _ in range(POLISHING_STEPS):
        step = covariance @ here.score
        if np.all(np.abs(step) <= STEP_TOLERANCE * np.sqrt(np.diag(covariance))):
            return Maximum(beta, here, covariance, converged=True)
        beta = beta + step
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            here = likelihood(beta)
        new_covariance = _inverse(here.information)
        if new_covariance is None:
            break
        covariance = new_covariance
    else:
        if np.all(np.abs(step) * spread <= STANDING_STILL):
            return Maximum(beta, here, covariance, converged=True)
    return Maximum(flat_beta, flat, flat_covariance, False, step)


def infinite_terms(best: Maximum, design: CoxDesign) -> tuple[str, ...]:
    """Terms that Newton's last step still moved, while the others stood still."""
    if best.step is None:
        return ()
    moving = np.abs(best.step) * design.x.std(axis=0) > STANDING_STILL
    return tuple(np.array(design.terms)[moving] if moving.any() else design.terms)


def _inverse(information: FloatArray) -> FloatArray | None:
    """Inverse of a positive definite matrix, or None."""
    if not np.all(np.isfinite(information)):
        return None
    try:
        np.linalg.cholesky(information)
        inverse: FloatArray = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return None
    return inverse


def sandwich(residuals: FloatArray, covariance: FloatArray, design: CoxDesign) -> FloatArray:
    """Robust covariance: weighted score residuals summed over clusters (Lin and Wei 1989)."""
    influence = residuals @ covariance
    if design.weights is not None:
        influence = influence * design.weights[:, None]
    if design.cluster is not None:
        influence = np.column_stack(
            [np.bincount(design.cluster, weights=column) for column in influence.T]
        )
    robust: FloatArray = influence.T @ influence
    return robust


def require_error(robust: FloatArray, usual: FloatArray, terms: Sequence[str]) -> None:
    """Refuse a robust variance that is zero but for rounding."""
    for name, own, other in zip(terms, np.diag(robust), np.diag(usual), strict=True):
        if own <= NO_ERROR * other:
            raise InvalidSurvivalInput(
                f"The robust variance of {name} is zero: the residuals of its rows or clusters "
                "leave nothing to estimate an error from."
            )


def coefficient_table(
    terms: Sequence[str], beta: FloatArray, covariance: FloatArray, level: float
) -> pd.DataFrame:
    """The printed table with Wald intervals and P."""
    std_error = np.sqrt(np.diag(covariance))
    margin = normal_multiplier(level) * std_error
    z = beta / std_error
    with np.errstate(over="ignore"):
        hazard_ratio = np.exp(beta)
        lower, upper = np.exp(beta - margin), np.exp(beta + margin)
    return pd.DataFrame(
        {
            "term": list(terms),
            "coefficient": beta,
            "std_error": std_error,
            "hazard_ratio": hazard_ratio,
            "lower": lower,
            "upper": upper,
            "z": z,
            "p_value": two_sided_normals(z),
        }
    )


def chi_square_test(statistic: float, df: int, method: str) -> TestResult:
    """A test whose statistic is chi-square with `df` degrees of freedom."""
    return TestResult(statistic, df, chi_square_tail(statistic, df), method)


def wald_test(beta: FloatArray, covariance: FloatArray, method: str) -> TestResult:
    """Of beta = 0; few clusters give a covariance of lower rank, which is then the df, as in R."""
    std_error = np.sqrt(np.diag(covariance))
    statistic, df = quadratic_form(beta / std_error, covariance / np.outer(std_error, std_error))
    return chi_square_test(statistic, df, method)


def _quadratic(score: FloatArray, matrix: FloatArray) -> float:
    """score' matrix^-1 score."""
    return float(score @ np.linalg.solve(matrix, score))
