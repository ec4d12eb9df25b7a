"""Survival estimators: pure functions from columns to frozen results.

Conventions, formulas and where they differ from R and SPSS: docs/statistics.md.
"""

from analysis.estimators.agreement import Agreement, agreement
from analysis.estimators.competing_risks import AalenJohansen, aalen_johansen, gray_test
from analysis.estimators.concordance import uno_concordance
from analysis.estimators.cox import CoxModel, cox
from analysis.estimators.e_value import EValue, e_value
from analysis.estimators.exposure import landmark, split_at_exposure
from analysis.estimators.fine_gray import FineGrayModel, fine_gray
from analysis.estimators.firth import firth_cox
from analysis.estimators.imputation import ImputedCox, impute, imputed_cox, rubin
from analysis.estimators.kaplan_meier import KaplanMeier, kaplan_meier, reverse_kaplan_meier
from analysis.estimators.lifelines_objects import lifelines_curve, lifelines_model
from analysis.estimators.log_rank import log_rank, pairwise_log_rank
from analysis.estimators.logistic import LogisticModel, logistic
from analysis.estimators.max_combo import max_combo
from analysis.estimators.model_columns import model_columns
from analysis.estimators.multiplicity import adjust_p_values
from analysis.estimators.permutation import permutation_log_rank
from analysis.estimators.proportional_hazards import proportional_hazards_test
from analysis.estimators.resampling import (
    Candidates,
    CorrectedConcordance,
    ResampledCox,
    corrected_concordance,
    resampled_cox,
    selected_by_log_rank,
)
from analysis.estimators.restricted_mean import (
    adjusted_restricted_mean_difference,
    restricted_mean,
    restricted_mean_difference,
    restricted_mean_ratio,
)
from analysis.estimators.results import Estimate, TestResult
from analysis.estimators.risk_table import InvalidSurvivalInput, RiskTable, risk_table
from analysis.estimators.standardised_difference import balance_table, standardised_difference
from analysis.estimators.treatment_weights import (
    TreatmentWeights,
    effective_sample_size,
    treatment_weights,
)
from analysis.estimators.turnbull import Turnbull, turnbull, turnbull_median

__all__ = [
    "AalenJohansen",
    "Agreement",
    "Candidates",
    "CorrectedConcordance",
    "CoxModel",
    "EValue",
    "Estimate",
    "FineGrayModel",
    "ImputedCox",
    "InvalidSurvivalInput",
    "KaplanMeier",
    "LogisticModel",
    "ResampledCox",
    "RiskTable",
    "TestResult",
    "TreatmentWeights",
    "Turnbull",
    "aalen_johansen",
    "adjust_p_values",
    "adjusted_restricted_mean_difference",
    "agreement",
    "balance_table",
    "corrected_concordance",
    "cox",
    "e_value",
    "effective_sample_size",
    "fine_gray",
    "firth_cox",
    "gray_test",
    "impute",
    "imputed_cox",
    "kaplan_meier",
    "landmark",
    "lifelines_curve",
    "lifelines_model",
    "log_rank",
    "logistic",
    "max_combo",
    "model_columns",
    "pairwise_log_rank",
    "permutation_log_rank",
    "proportional_hazards_test",
    "resampled_cox",
    "restricted_mean",
    "restricted_mean_difference",
    "restricted_mean_ratio",
    "reverse_kaplan_meier",
    "risk_table",
    "rubin",
    "selected_by_log_rank",
    "split_at_exposure",
    "standardised_difference",
    "treatment_weights",
    "turnbull",
    "turnbull_median",
    "uno_concordance",
]
