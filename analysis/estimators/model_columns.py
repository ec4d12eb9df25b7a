"""Covariates of any kind as the numeric columns of a regression."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.estimators.risk_table import InvalidSurvivalInput, numeric, refuse
from analysis.estimators.standardised_difference import is_categorical


def model_columns(frame: pd.DataFrame, covariates: list[str]) -> pd.DataFrame:
    """Numbers as they are; one indicator for each level but the first of everything else.

    Returns
    -------
    DataFrame, index of `frame`
        An indicator is named "covariate=level"; categoricals keep their order of levels, others
        are sorted. A level that no row has gets no column.

    Raises
    ------
    InvalidSurvivalInput
        For absent columns, missing or infinite values, and covariates with one level.
    """
    absent = [name for name in covariates if name not in frame.columns]
    if absent:
        raise InvalidSurvivalInput(f"The data have no column named {', '.join(absent)}.")
    if len(set(covariates)) < len(covariates):
        raise InvalidSurvivalInput("A covariate is named twice.")
    columns: dict[str, np.typing.NDArray[np.float64]] = {}
    for name in covariates:
        values = frame[name]
        refuse(values.isna().to_numpy(), f"values of {name} are missing")
        if values.nunique() < 2:
            raise InvalidSurvivalInput(f"{name} has one level only, so it has no effect.")
        if not is_categorical(values):
            numbers = numeric(values, f"values of {name}")
            refuse(~np.isfinite(numbers), f"values of {name} are not finite")
            columns[name] = np.asarray(numbers, dtype=np.float64)
            continue
        levels = values.astype("category").cat.remove_unused_categories().cat.categories
        for level in levels[1:]:
            columns[f"{name}={level}"] = (values == level).to_numpy(dtype=np.float64)
    return pd.DataFrame(columns, index=frame.index)
