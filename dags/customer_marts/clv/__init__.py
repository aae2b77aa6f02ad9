"""Customer lifetime value: who buys again, how often, at what margin, and what that is worth.

numpy and scipy only; arrays in, arrays out. Group customers by (x, t_x, T) in SQL, make a ``Book``
of the groups, fit a model, and ask it about the groups; join the answers back to the customers.
"""

from customer_marts.clv.backtest import (
    Backtest,
    Calibration,
    Metrics,
    Verdict,
    backtest_model,
    calibration_curve,
    cumulative_tracking,
    metrics,
    naive_rate,
    naive_silence,
    promotion_verdict,
    rolling_origins,
)
from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import Book
from customer_marts.clv.covariates import CovariateModel, fit_with_covariates
from customer_marts.clv.fitting import Fit, FitStatus
from customer_marts.clv.gammagamma import (
    GammaGamma,
    fit_gammagamma,
    frequency_value_correlation,
)
from customer_marts.clv.margin import (
    Credibility,
    MarginBasis,
    expected_margin,
    fit_credibility,
)
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd, fit_mbgcnbd_best, fit_mbgnbd
from customer_marts.clv.paretonbd import ParetoNbd, fit_paretonbd
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.regularity import regularity_of_gaps, regularity_of_variance
from customer_marts.clv.sbg import ShiftedBetaGeometric, fit_sbg, fit_sbg_cohort
from customer_marts.clv.value import Interval, customer_value, parameter_interval

__all__ = [
    "Backtest",
    "BgNbd",
    "Book",
    "Calibration",
    "CovariateModel",
    "Credibility",
    "Fit",
    "FitStatus",
    "GammaGamma",
    "Interval",
    "MarginBasis",
    "MbgCnbdK",
    "Metrics",
    "ParetoNbd",
    "PurchaseModel",
    "ShiftedBetaGeometric",
    "Verdict",
    "backtest_model",
    "calibration_curve",
    "cumulative_tracking",
    "customer_value",
    "expected_margin",
    "fit_bgnbd",
    "fit_credibility",
    "fit_gammagamma",
    "fit_mbgcnbd",
    "fit_mbgcnbd_best",
    "fit_mbgnbd",
    "fit_paretonbd",
    "fit_sbg",
    "fit_sbg_cohort",
    "fit_with_covariates",
    "frequency_value_correlation",
    "metrics",
    "naive_rate",
    "naive_silence",
    "parameter_interval",
    "promotion_verdict",
    "regularity_of_gaps",
    "regularity_of_variance",
    "rolling_origins",
]
