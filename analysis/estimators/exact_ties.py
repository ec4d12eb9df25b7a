"""Cox's exact partial likelihood for discrete time: tied deaths are a draw from the risk set.

The denominator, a sum over all subsets of the risk set as large as the set of tied deaths, is an
elementary symmetric polynomial and is built by adding one patient at a time (Gail, Lubin and
Rubinstein 1981), together with its first two derivatives.
"""

from __future__ import annotations

import numpy as np

from analysis.estimators.partial_likelihood import Derivatives, Stratum
from analysis.estimators.risk_table import FloatArray


def exact_derivatives(strata: list[Stratum], beta: FloatArray) -> Derivatives:
    """Log-likelihood, score and information, summed over strata.

    The log-likelihood is -inf where the sum over subsets overflows: of so many tied deaths, or with
    coefficients that large.
    """
    p = len(beta)
    loglik, score, information = 0.0, np.zeros(p), np.zeros((p, p))
    for stratum in strata:
        with np.errstate(over="ignore", invalid="ignore"):
            part = _stratum_derivatives(stratum, beta)
        loglik += part.loglik
        score += part.score
        information += part.information
    return Derivatives(loglik, score, information)


class _SubsetSums:
    """Sums over the subsets of size 0..d of what was added: value, gradient, Hessian."""

    def __init__(self, size: int, p: int) -> None:
        self.value = np.zeros(size + 1)
        self.value[0] = 1.0
        self.gradient = np.zeros((size + 1, p))
        self.hessian = np.zeros((size + 1, p, p))

    def add(self, risk: float, x: FloatArray) -> None:
        """Add one patient with relative risk `risk` and covariates `x`."""
        value, gradient = self.value[:-1], self.gradient[:-1]
        cross = gradient[:, :, None] * x
        hessian = (
            self.hessian[:-1]
            + cross
            + cross.transpose(0, 2, 1)
            + value[:, None, None] * np.outer(x, x)
        )
        self.hessian[1:] += risk * hessian
        self.gradient[1:] += risk * (gradient + value[:, None] * x)
        self.value[1:] += risk * value


def _stratum_derivatives(stratum: Stratum, beta: FloatArray) -> Derivatives:
    rows, x = stratum.survival, stratum.x
    linear = x @ beta
    # A common factor of all risks cancels; this one keeps the sums near 1.
    shift = float(linear.max()) if len(linear) else 0.0
    risk = np.exp(linear - shift)
    p = len(beta)
    loglik, score, information = 0.0, np.zeros(p), np.zeros((p, p))
    deaths = rows.leave(rows.event).astype(np.int64)
    most = int(deaths.max())
    sums = _SubsetSums(most, p)
    order = np.argsort(-rows.exit_code, kind="stable")
    added = 0
    for cell in range(len(rows.grid) - 1, -1, -1):
        d = int(deaths[cell])
        if rows.entry_code is None:
            while added < len(order) and rows.exit_code[order[added]] >= cell:
                sums.add(float(risk[order[added]]), x[order[added]])
                added += 1
        elif d:
            # Risk sets with late entry are not nested, so each is built anew.
            sums = _SubsetSums(d, p)
            for row in np.flatnonzero((rows.entry_code <= cell) & (rows.exit_code >= cell)):
                sums.add(float(risk[row]), x[row])
        if d == 0:
            continue
        total = sums.value[d]
        if not np.isfinite(total) or total <= 0:
            return Derivatives(-np.inf, score, np.zeros((p, p)))
        dead = (rows.exit_code == cell) & (rows.event == 1)
        mean = sums.gradient[d] / total
        loglik += float(np.sum(linear[dead]) - d * shift - np.log(total))
        score += x[dead].sum(axis=0) - mean
        information += sums.hessian[d] / total - np.outer(mean, mean)
    return Derivatives(loglik, score, information)
