"""Survival estimators: pure functions from columns to frozen results.

Conventions, formulas and where they differ from R and SPSS: docs/statistics.md.
"""

from analysis.estimators.competing_risks import AalenJohansen, aalen_johansen, gray_test
from analysis.estimators.cox import CoxModel, cox
from analysis.estimators.firth import firth_cox
from analysis.estimators.kaplan_meier import KaplanMeier, kaplan_meier, reverse_kaplan_meier
from analysis.estimators.log_rank import log_rank, pairwise_log_rank
from analysis.estimators.multiplicity import adjust_p_values
from analysis.estimators.permutation import permutation_log_rank
from analysis.estimators.proportional_hazards import proportional_hazards_test
from analysis.estimators.restricted_mean import restricted_mean, restricted_mean_difference
from analysis.estimators.results import Estimate, TestResult
from analysis.estimators.risk_table import InvalidSurvivalInput, RiskTable, risk_table

__all__ = [
    "AalenJohansen",
    "CoxModel",
    "Estimate",
    "InvalidSurvivalInput",
    "KaplanMeier",
    "RiskTable",
    "TestResult",
    "aalen_johansen",
    "adjust_p_values",
    "cox",
    "firth_cox",
    "gray_test",
    "kaplan_meier",
    "log_rank",
    "pairwise_log_rank",
    "permutation_log_rank",
    "proportional_hazards_test",
    "restricted_mean",
    "restricted_mean_difference",
    "reverse_kaplan_meier",
    "risk_table",
]
