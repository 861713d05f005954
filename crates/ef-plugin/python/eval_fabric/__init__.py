"""Stands in for the package `eval_fabric` where it is not installed: what plugins written for it import.

Running evaluations is ef's part; here is only what an evaluator or a judge sees.
"""

from eval_fabric.errors import (
    DuplicateRegistrationError,
    EvalFabricError,
    PluginContractError,
    SpecValidationError,
    TraceStoreError,
    TransientError,
)
from eval_fabric.models import EvalItem, EvaluatorOutput, Judgment, JudgmentId, RunId, RunResult, Span, Trace, TraceId

__version__ = "0.1.0"

__all__ = [
    "DuplicateRegistrationError",
    "EvalFabricError",
    "EvalItem",
    "EvaluatorOutput",
    "Judgment",
    "JudgmentId",
    "PluginContractError",
    "RunId",
    "RunResult",
    "Span",
    "SpecValidationError",
    "Trace",
    "TraceId",
    "TraceStoreError",
    "TransientError",
]
