"""What the seed clv_parameters says of fits and of promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from customer_marts.errors import absent_parameter


@dataclass(frozen=True, slots=True)
class RefitRules:
    """What the seed clv_parameters says of fits and of promotion."""

    refit_days: int
    repeat_buyers_at_least: int
    test_repeat_buyers_at_least: int
    margins_at_least: int
    maximum_bias: float
    maximum_mae_loss: float
    renewals_at_least: int
    covariate_customers_at_least: int
    covariate_minimum_mae_gain: float

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> RefitRules:
        """Read the parameters in force; ConfigurationError where one is absent."""
        try:
            return cls(
                int(parameters["refit_days"]),
                int(parameters["repeat_buyers_at_least"]),
                int(parameters["test_repeat_buyers_at_least"]),
                int(parameters["margins_at_least"]),
                parameters["promote_maximum_bias"],
                parameters["promote_maximum_mae_loss"],
                int(parameters["renewals_at_least"]),
                int(parameters["covariate_customers_at_least"]),
                parameters["covariate_minimum_mae_gain"],
            )
        except KeyError as error:
            raise absent_parameter("the value models", "clv_parameters", error) from error
