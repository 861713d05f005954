"""The decorator for judges."""

import inspect

from eval_fabric.models import Determinism, EvalItem, EvaluatorOutput, Judgment, JudgmentId, new_id, utcnow
from eval_fabric.registry import register_judge

PENDING_RUN_ID = "run_pending"
PENDING_TRACE_ID = "trc_pending"

__all__ = ["Determinism", "Judge", "Judgment", "JudgmentId", "judge"]


class Judge:
    """What a judge has: `id`, `version`, `determinism`, and `judge`. Nothing needs to inherit from it."""

    id: str
    version: str
    determinism: Determinism

    async def judge(self, item: EvalItem, output: EvaluatorOutput) -> Judgment:
        raise NotImplementedError


def judge(id, version, determinism=Determinism.DETERMINISTIC):
    """Makes a judge of a function, async or not, or of a class with a method `judge`.

    It returns a score, a pair (score, rationale), a dict with `score` and perhaps `rationale` and `cost_usd`, or a Judgment.
    """

    def decorate(function):
        made = _FunctionJudge(id, version, determinism, function)
        register_judge(id, lambda **_: made)
        return made

    return decorate


class _FunctionJudge:
    """A function with an id, a version and a determinism."""

    def __init__(self, id, version, determinism, function):
        self.id, self.version, self.determinism, self._fn = id, version, determinism, function
        self.__doc__ = function.__doc__

    async def judge(self, item, output):
        started = utcnow()
        value = self._fn(item, output)
        if inspect.isawaitable(value):
            value = await value
        return _coerce_judgment(
            value,
            judge_id=self.id,
            judge_version=self.version,
            determinism=self.determinism,
            started_at=started,
            finished_at=utcnow(),
        )


def _coerce_judgment(
    raw,
    *,
    judge_id,
    judge_version,
    determinism,
    started_at,
    finished_at,
    run_id=PENDING_RUN_ID,
    trace_id=PENDING_TRACE_ID,
):
    """A judgment of whatever a judge's function returned."""
    if isinstance(raw, Judgment):
        return raw
    if isinstance(raw, tuple) and len(raw) == 2:
        raw = {"score": raw[0], "rationale": raw[1]}
    elif not (isinstance(raw, dict) and "score" in raw):
        raw = {"score": raw}
    return Judgment(
        id=new_id("jdg"),
        run_id=run_id,
        trace_id=trace_id,
        judge_id=judge_id,
        judge_version=judge_version,
        score=raw["score"],
        rationale=raw.get("rationale"),
        determinism=determinism,
        started_at=started_at,
        finished_at=finished_at,
        cost_usd=raw.get("cost_usd"),
    )
