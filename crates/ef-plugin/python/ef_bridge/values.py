"""Python values as strict JSON, and what components return as the protocol's answers."""

import dataclasses
import datetime
import decimal
import enum
import json
import os
import uuid
from collections.abc import Mapping


class InvalidOutput(Exception):
    """What a component returned cannot be an answer."""

    kind = "invalid_output"

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def _convert(value):
    """What the encoder does not know itself, in terms of what it knows."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and value.is_finite() else float(value)
    if isinstance(value, (set, frozenset)):
        # The order of a set changes from process to process; an answer must not.
        return sorted(value, key=_ENCODER.encode)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, os.PathLike)):
        return str(value)
    for method in ("model_dump", "tolist", "item"):  # pydantic's models; arrays, tensors and scalars of numpy and its kin
        if callable(getattr(value, method, None)) and not isinstance(value, type):
            return getattr(value, method)()
    raise InvalidOutput("not_json", "a value of the type %s is not JSON" % type(value).__name__)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_convert)


def encode(value):
    """A value as one line of strict JSON.

    Raises InvalidOutput where it cannot be said in JSON: NaN and infinities, bytes, lone surrogates, keys that are no
    scalars, a list that holds itself, objects of unknown types.
    """
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except InvalidOutput:
        raise
    except UnicodeEncodeError:
        raise InvalidOutput("not_json", "a text has a lone surrogate, which no JSON may have") from None
    except RecursionError:
        raise InvalidOutput("not_json", "a value is nested too deeply") from None
    except (TypeError, ValueError, ArithmeticError) as problem:
        raise InvalidOutput("not_json", "a value is not JSON: %s" % problem) from None


def loads(line):
    """A line of JSON as Python values. Integers keep all their digits, decimals are rounded to Python's float."""
    return json.loads(line.decode("utf-8"))


def _usage(fields):
    """The protocol's usage, of `usage` and `cost_usd` in what a component returned."""
    usage = dict(fields.get("usage") or {})
    if fields.get("cost_usd") is not None:
        usage["cost_usd"] = fields["cost_usd"]
    return {name: amount for name, amount in usage.items() if amount is not None}


def _filled(answer, **fields):
    answer.update((name, value) for name, value in fields.items() if value is not None and value != {})
    return answer


def evaluator_answer(value):
    """The answer to `evaluate`: of a record with `output` and `metadata`, or of any other value as the output."""
    if hasattr(value, "output") and hasattr(value, "metadata"):
        usage = _usage({"usage": getattr(value, "usage", None), "cost_usd": getattr(value, "cost_usd", None)})
        return _filled({"output": value.output}, metadata=value.metadata, usage=usage)
    return {"output": value}


def judge_answer(value):
    """The answer to `judge`: of a record or a dict with `score`, of a pair (score, rationale), or of a bare score."""
    if isinstance(value, Mapping):
        if "score" not in value:
            return {"score": value}
        fields = value
    elif isinstance(value, tuple):
        if len(value) != 2:
            raise InvalidOutput("not_a_verdict", "a judge returns a score, a pair (score, rationale), a dict or a record")
        return _filled({"score": value[0]}, rationale=value[1])
    elif hasattr(value, "score"):
        fields = {name: getattr(value, name, None) for name in ("score", "rationale", "usage", "cost_usd", "error")}
        if fields["error"]:
            raise ReportedError(str(fields["error"]), _usage(fields))
    else:
        return {"score": value}
    return _filled({"score": fields["score"]}, rationale=fields.get("rationale"), usage=_usage(fields))


class ReportedError(Exception):
    """A record that says it has no score but an error: an error is not a score."""

    kind = "permanent"
    code = "reported"

    def __init__(self, message, usage):
        super().__init__(message)
        self.usage = usage
