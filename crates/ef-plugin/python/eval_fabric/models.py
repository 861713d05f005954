"""The records that plugins take and return."""

import datetime
import enum
import uuid

from ef_bridge.records import EvalItem, EvaluatorOutput, Record

RunId = TraceId = JudgmentId = str

__all__ = [
    "Determinism",
    "EvalItem",
    "EvaluatorOutput",
    "Judgment",
    "JudgmentId",
    "RunId",
    "RunMetric",
    "RunResult",
    "Span",
    "Trace",
    "TraceId",
    "new_id",
    "utcnow",
]


def new_id(prefix):
    """A new id that begins with a prefix."""
    return "%s_%s" % (prefix, uuid.uuid4().hex[:12])


def utcnow():
    """Now, with UTC as its time zone."""
    return datetime.datetime.now(tz=datetime.timezone.utc)


class Determinism(str, enum.Enum):
    """What a judge promises about judging the same output again."""

    DETERMINISTIC = "deterministic"
    SAMPLING_DETERMINISTIC = "sampling_deterministic"
    STOCHASTIC = "stochastic"


class Span(Record):
    """A span of a trace."""

    required = ("name", "started_at", "finished_at")
    defaults = {"attributes": {}, "events": []}


class Trace(Record):
    """One evaluator's call."""

    required = (
        "id",
        "run_id",
        "item_id",
        "evaluator_id",
        "evaluator_version",
        "input",
        "output",
        "status",
        "started_at",
        "finished_at",
    )
    defaults = {"spans": [], "attempt": 1, "error": None}
    allows_more = False


class Judgment(Record):
    """One judge's verdict. Of it ef takes the score, the rationale, the cost and the error; the rest it knows itself."""

    required = (
        "id",
        "run_id",
        "trace_id",
        "judge_id",
        "judge_version",
        "score",
        "determinism",
        "started_at",
        "finished_at",
    )
    defaults = {"rationale": None, "cost_usd": None, "cache_key": None, "error": None}
    allows_more = False


class RunMetric(Record):
    """A metric of a run."""

    required = ("name", "value")
    defaults = {"unit": None, "n": None, "ci_low": None, "ci_high": None, "metadata": {}}


class RunResult(Record):
    """What came of a run."""

    required = ("id", "spec_id", "spec_version", "spec", "started_at")
    defaults = {
        "finished_at": None,
        "status": "pending",
        "dataset_size": None,
        "metrics": [],
        "counts": {},
        "metadata": {},
        "total_cost_usd": 0.0,
        "error": None,
    }
    allows_more = False
