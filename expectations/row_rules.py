"""An expectation of Great Expectations for rules in SQL: a batch is scanned once for all its rules.

The library's own expectation for SQL costs three queries a rule. Here a rule is two aggregates, and
the library computes all aggregates of a batch together.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine.sqlalchemy_execution_engine import (
    SqlAlchemyExecutionEngine,
)
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.validator.metric_configuration import MetricConfiguration

METRIC = "table.rows_where"


class RowsWhere(TableMetricProvider):
    """The number of rows on which a condition is true."""

    metric_name = METRIC
    value_keys = ("condition",)

    @metric_partial(
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(
        cls,  # noqa: N805 - the decorator makes it a class method
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        condition: Any = sqlalchemy.literal_column(f"({metric_value_kwargs['condition']})")
        return sqlalchemy.func.count().filter(condition), metric_domain_kwargs, {}


class ExpectNoRowToViolate(BatchExpectation):
    """Of the rows where `applies_to` is true, none has `violation` true.

    The result counts both: `element_count` rows were checked, `unexpected_count` violate the rule.
    """

    applies_to: str
    violation: str

    success_keys = ("applies_to", "violation")
    domain_keys = ("batch_id",)

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: Any = None
    ) -> Any:
        """Ask for the two counts."""
        dependencies = super().get_validation_dependencies(execution_engine, runtime_configuration)
        conditions = {
            "element_count": self.applies_to,
            "unexpected_count": f"({self.applies_to}) and ({self.violation})",
        }
        for name, condition in conditions.items():
            dependencies.set_metric_configuration(
                name,
                MetricConfiguration(
                    metric_name=METRIC,
                    metric_domain_kwargs={"batch_id": self.batch_id},
                    metric_value_kwargs={"condition": condition},
                ),
            )
        return dependencies

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        return {"success": metrics["unexpected_count"] == 0, "result": dict(metrics)}
