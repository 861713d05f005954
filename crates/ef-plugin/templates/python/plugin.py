"""A judge for ef: does the output mention the reference?"""


class Mentions:
    """Whether the output mentions the reference."""

    id = "{{module}}.mentions"
    # Change it whenever the same output may get another score.
    version = "0.1.0"
    # The same output gets the same score, always. Others are "sampling_deterministic" and "stochastic".
    determinism = "deterministic"

    def __init__(self, *, ignore_case=True):
        """The parameters are the config that a spec may give. Slow preparations, such as loading a model, belong here."""
        self.ignore_case = ignore_case

    def judge(self, item, output):
        """One judgment. It may run on several threads at a time; an `async def` runs on the event loop.

        `item` has `item_id`, `input`, `reference_output` and `metadata`; `output` has `output` and `metadata`.
        Return a score (a number, a bool, a label, or a dict of those; None where there is nothing to score), or a dict
        with `score` and `rationale`. Raise an error where judging failed: that is no score.
        """
        if item.reference_output is None:
            return None
        text, wanted = str(output.output), str(item.reference_output)
        if self.ignore_case:
            text, wanted = text.casefold(), wanted.casefold()
        return {"score": wanted in text, "rationale": "looked for %r" % wanted}
