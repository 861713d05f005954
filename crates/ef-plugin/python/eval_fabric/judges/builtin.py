"""The judges that plugins set up themselves with what only code can give: a model to call, a person to ask.

The judges of rules (exact match, regular expression, JSON Schema) are built into ef, to be named in a spec.
"""

import json
import re

from eval_fabric.judges import PENDING_RUN_ID, PENDING_TRACE_ID, Determinism, Judgment, new_id, utcnow

__all__ = ["HumanJudge", "LLMJudge"]

_TEMPLATE = """\
Judge the output of a system by one criterion.

Criterion: {criterion}

Input:
{input}

Output:
{output}

Reference (may be empty):
{reference}

Answer with a line `score: N`, N between 0 and 1, and on the next line say briefly why.
"""


class _Asking:
    """A judge that asks somebody; when asking fails the judgment is an error."""

    async def judge(self, item, output):
        """Asks about one output."""
        started = utcnow()
        score, rationale, error = None, None, None
        try:
            score, rationale = await self._ask(item, output)
        except Exception as problem:
            error = "%s: %s" % (type(problem).__name__, problem)
        return Judgment(
            id=new_id("jdg"),
            run_id=PENDING_RUN_ID,
            trace_id=PENDING_TRACE_ID,
            judge_id=self.id,
            judge_version=self.version,
            score=score,
            rationale=rationale,
            determinism=self.determinism,
            started_at=started,
            finished_at=utcnow(),
            error=error,
        )


class LLMJudge(_Asking):
    """Asks a model through `call_model`, an async function from a prompt to a text with a line `score: N`."""

    def __init__(
        self,
        *,
        id,
        version,
        criterion,
        call_model,
        determinism=Determinism.SAMPLING_DETERMINISTIC,
        prompt_template=None,
    ):
        self.id, self.version, self.determinism, self.criterion = id, version, determinism, criterion
        self._call_model, self._template = call_model, prompt_template or _TEMPLATE

    async def _ask(self, item, output):
        reference = "" if item.reference_output is None else _text(item.reference_output)
        prompt = self._template.format(
            criterion=self.criterion, input=_text(item.input), output=_text(output.output), reference=reference
        )
        answer = await self._call_model(prompt)
        found = re.search(r"score\s*[:=]\s*(\d+(?:\.\d*)?|\.\d+)", answer, re.IGNORECASE)
        # No score is no score: not the worst one.
        return (float(found.group(1)) if found else None), answer


class HumanJudge(_Asking):
    """Asks a person through `provider`, an async function from a question to a dict with `score` and `rationale`."""

    determinism = Determinism.STOCHASTIC

    def __init__(
        self,
        *,
        id="eval_fabric.human",
        version="1.0.0",
        instructions="Rate the output from 0 to 1 based on correctness.",
        provider=None,
    ):
        self.id, self.version, self.instructions, self._provider = id, version, instructions, provider

    async def _ask(self, item, output):
        if self._provider is None:
            raise RuntimeError("HumanJudge needs a provider here; ef's own judge `eval_fabric.human` asks people without one")
        question = "%s\n\nInput:\n%s\n\nOutput:\n%s\n" % (self.instructions, _text(item.input), _text(output.output))
        answer = await self._provider(question)
        return answer.get("score"), answer.get("rationale")


def _text(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
