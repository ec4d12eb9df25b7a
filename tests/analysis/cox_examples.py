"""The Cox models of r_reference.R."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from survival_examples import data, reference

from analysis.estimators import CoxModel, cox

COX = reference()["cox"]
TIES = ("efron", "breslow", "exact")


def model(key: str) -> CoxModel:
    """The model behind reference()["cox"][key]."""
    frame, arguments = specification(key)
    return cox(frame, **arguments)


def specification(key: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    name, _, ties = key.rpartition("_")
    if ties in TIES and name != "heart_tv":
        frame, arguments = plain(name)
        return frame, {**arguments, "ties": ties}
    return special(key)


def plain(name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    if name == "lung_age_sex_ecog":
        return data("lung").dropna(subset=["ph.ecog"]), outcome("time event age sex ph.ecog")
    if name == "veteran_full":
        return data("veteran"), outcome("time status trt karno diagtime age prior")
    if name == "veteran_celltype":
        veteran = data("veteran")
        for level in ("smallcell", "adeno", "large"):
            veteran[level] = (veteran.celltype == level).astype(int)
        return veteran, outcome("time status trt smallcell adeno large karno")
    if name == "rossi":
        return data("ll_rossi"), outcome("week arrest fin age race wexp mar paro prio")
    if name == "gehan":
        gehan = data("gehan")
        gehan["control"] = (gehan.treat == "control").astype(int)
        return gehan, outcome("time cens control")
    return data("gbsg"), outcome("rfstime status age meno size grade nodes pgr er hormon")


def special(key: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    lung = data("lung").dropna(subset=["ph.ecog"])
    heart = outcome("stop event age year surgery transplant")
    if key == "colon_death":
        colon = data("colon").dropna(subset=["nodes"])
        colon = colon[colon.etype == 2].assign(
            lev=lambda d: d.rx == "Lev", lev_5fu=lambda d: d.rx == "Lev+5FU"
        )
        return colon, outcome("time status lev lev_5fu sex age obstruct perfor adhere nodes")
    if key == "pbc_classic":
        pbc = data("pbc").dropna(subset=["protime"]).assign(dead=lambda d: (d.status == 2) * 1)
        for column in ("bili", "protime", "albumin"):
            pbc[column] = np.log(pbc[column])
        return pbc, outcome("time dead age edema bili protime albumin")
    weighted = outcome("time event age sex")
    found: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
        "rotterdam": (data("rotterdam"), outcome("dtime death age meno nodes grade hormon chemo")),
        "strata_veteran": (
            data("veteran"),
            {**outcome("time status trt karno"), "strata": "celltype"},
        ),
        "robust_lung": (lung, {**outcome("time event age sex ph.ecog"), "robust": True}),
        "cluster_rats": (data("rats"), {**outcome("time status rx"), "cluster": "litter"}),
        "cluster_kidney": (data("kidney"), {**outcome("time status age sex"), "cluster": "id"}),
        "weights_lung_robust": (data("lung_w"), {**weighted, "weights": "w", "robust": True}),
        "weights_lung_naive": (data("lung_w"), {**weighted, "weights": "w"}),
        "heart_tv": (data("heart"), {**heart, "entry": "start"}),
        "heart_tv_breslow": (data("heart"), {**heart, "entry": "start", "ties": "breslow"}),
        "bladder2_ag": (
            data("bladder2"),
            {**outcome("stop event rx number size"), "entry": "start", "cluster": "id"},
        ),
        "lt_rotterdam": (
            data("rotterdam_lt"),
            {**outcome("dtime death age nodes grade hormon"), "entry": "entry"},
        ),
    }
    return found[key]


def outcome(words: str) -> dict[str, Any]:
    duration, event, *covariates = words.split()
    return {"duration": duration, "event": event, "covariates": covariates}
