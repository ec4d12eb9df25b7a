"""What the process has done from which the tests fork their commands (tests/processes.py).

All but `pipeline.cli`, whose console looks at the environment once.
"""
# ruff: noqa: E402, F401

import sys

# PySpark takes a process without a main file for one of its doctests, and ends it.
sys.modules["__main__"].__file__ = __file__

import dbt.task.build
import scipy.optimize

import analysis.estimates
import analysis.exhibits
import analysis.exports
import analysis.report
import analysis.second_programming
import expectations.engine
import pipeline.run
import synthetic.dirty
import tests.processes
from expectations import report, run

run.all_checks()
report.compiled()
