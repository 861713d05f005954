"""The decorator for evaluators, and helpers for those that call services."""

import inspect

from eval_fabric.evaluators.rate_limit import RateLimiter
from eval_fabric.evaluators.retry import retry
from eval_fabric.models import EvalItem, EvaluatorOutput
from eval_fabric.registry import register_evaluator

__all__ = ["Evaluator", "EvaluatorOutput", "RateLimiter", "evaluator", "retry"]


class Evaluator:
    """What an evaluator has: `id`, `version`, and that it can be called with an item. Nothing needs to inherit from it."""

    id: str
    version: str

    async def __call__(self, item: EvalItem) -> EvaluatorOutput:
        raise NotImplementedError


def evaluator(id, version):
    """Makes an evaluator of a function, async or not, or of a class whose instances are called with an item.

    What it returns is the output, unless it is an EvaluatorOutput.
    """

    def decorate(function):
        made = _FunctionEvaluator(id, version, function)
        register_evaluator(id, lambda **_: made)
        return made

    return decorate


class _FunctionEvaluator:
    """A function with an id and a version."""

    def __init__(self, id, version, function):
        self.id, self.version, self._fn = id, version, function
        self.__doc__ = function.__doc__

    async def __call__(self, item):
        value = self._fn(item)
        if inspect.isawaitable(value):
            value = await value
        return value if isinstance(value, EvaluatorOutput) else EvaluatorOutput(output=value)
