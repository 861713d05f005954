"""Exceptions as the protocol's errors."""

import asyncio
import re
import traceback

from ef_bridge.values import InvalidOutput, encode

KINDS = ("transient", "permanent", "quota_exhausted", "invalid_output")

# Failures that pass by themselves, by the names that the usual libraries give them: recognised without importing those.
TRANSIENT_NAMES = frozenset((
    "TransientError",
    "ConnectionError",
    "TimeoutError",
    "Timeout",
    "TimeoutException",
    "NetworkError",
    "APIConnectionError",
    "RateLimitError",
    "InternalServerError",
    "OverloadedError",
    "ServiceUnavailableError",
))


def error_of(problem):
    """The protocol's error object for an exception that a component raised."""
    try:
        return _error_of(problem)
    except Exception:  # an exception of a class that fails when it is asked for its parts
        return {"code": -32000, "message": type(problem).__name__, "data": {"kind": "permanent", "code": "plugin_error"}}


def _error_of(problem):
    name = type(problem).__name__
    data = {"kind": _kind(problem), "code": _code(problem)}
    retry_after = _retry_after_ms(problem)
    if retry_after is not None:
        data["retry_after_ms"] = retry_after
    usage = getattr(problem, "usage", None)
    if isinstance(usage, dict) and usage:
        data["usage"] = usage
    data["detail"] = {"type": name, "message": _text(problem)}
    if not isinstance(problem, InvalidOutput):
        data["detail"]["at"] = _place(problem)
    error = {"code": -32000, "message": "%s: %s" % (name, _text(problem)), "data": data}
    try:
        encode(error)
    except InvalidOutput:
        data.pop("usage", None)  # the one part that was not made here
    return error


def last_line(problem):
    """One line for a person: the exception and where it was raised, in a file of the plugin's."""
    line = " ".join(traceback.format_exception_only(type(problem), problem)[-1].split())
    place = _place(problem)
    return "%s (%s)" % (line, place) if place else line


def _text(problem):
    # An exception may say anything, even what no JSON may hold, or fail to say anything.
    try:
        return str(problem).encode("utf-8", "backslashreplace").decode("utf-8")
    except Exception:
        return ""


def _kind(problem):
    kind = getattr(problem, "kind", None)
    if isinstance(kind, str) and kind in KINDS:
        return kind
    if _retry_after_ms(problem) is not None or isinstance(problem, (ConnectionError, TimeoutError, asyncio.TimeoutError)):
        return "transient"
    if any(base.__name__ in TRANSIENT_NAMES for base in type(problem).__mro__):
        return "transient"
    return "permanent"


def _code(problem):
    code = getattr(problem, "code", None)
    if isinstance(code, str) and re.fullmatch(r"[a-z0-9_.-]{1,64}", code):
        return code
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(problem).__name__)
    return re.sub(r"[^a-z0-9_.-]", "_", words.lower())[:64]


def _retry_after_ms(problem):
    seconds = getattr(problem, "retry_after", None)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        return None
    return round(seconds * 1000)


def _place(problem):
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if not frame.filename.startswith(("<ef>", "<frozen"))]
    if not frames:
        return None
    frame = frames[-1]
    place = "%s, line %s, in %s" % (frame.filename, frame.lineno, frame.name)
    return place + ": " + frame.line if frame.line else place
