"""Every shape that a plugin may have."""

import pathlib
import tempfile
import textwrap
import unittest

from tests.driver import Bridge

PUBLIC = '''
    import asyncio, functools
    from eval_fabric import EvalItem, EvaluatorOutput, TransientError
    from eval_fabric.evaluators import RateLimiter, evaluator, retry
    from eval_fabric.judges import judge
    from eval_fabric.judges.builtin import LLMJudge
    from eval_fabric.models import Determinism, Judgment, new_id, utcnow

    @evaluator(id="t.async", version="1.0.0")
    async def async_evaluator(item: EvalItem) -> EvaluatorOutput:
        """Says it back."""
        await asyncio.sleep(0)
        return EvaluatorOutput(output={"said": item.input}, metadata={"model": "m"})

    @evaluator(id="t.plain", version="1.0.0")
    def plain_evaluator(item):
        return item.input.upper()

    @judge(id="t.dict", version="1.2.0", determinism=Determinism.STOCHASTIC)
    async def dict_judge(item, output):
        return {"score": 0.5, "rationale": "half", "cost_usd": 0.25}

    @judge(id="t.pair", version="1.0.0")
    def pair_judge(item, output):
        return output.output == item.reference_output, "compared"

    @judge(id="t.record", version="1.0.0")
    async def record_judge(item, output):
        assert isinstance(item, EvalItem) and isinstance(output, EvaluatorOutput)
        assert item.metadata == {"k": 1} and len(item.content_hash()) == 16
        now = utcnow()
        return Judgment(
            id=new_id("jdg"), run_id="r", trace_id="t", judge_id="t.record", judge_version="1.0.0", score="good",
            rationale=None, determinism=Determinism.DETERMINISTIC, started_at=now, finished_at=now)

    class Threshold:
        id, version, determinism = "t.class", "2.0.0", Determinism.SAMPLING_DETERMINISTIC

        def __init__(self, *, least: float = 0.5, name="x"):
            self.least = least

        async def judge(self, item, output):
            return {"score": {"least": self.least, "ok": True}}

    @judge(id="t.decorated_class", version="1.0.0")
    class Decorated:
        def __init__(self, answer=1):
            self.answer = answer

        def judge(self, item, output):
            return self.answer

    limited = RateLimiter(qps=1000, burst=2)

    @judge(id="t.helped", version="1.0.0")
    @retry(max_attempts=2, min_wait=0, max_wait=0)
    @limited.wrap
    async def helped(item, output, tries=[]):
        tries.append(1)
        if len(tries) == 1:
            raise TransientError("once")
        return len(tries)

    def factory(**config):
        async def model(prompt):
            assert "Criterion: kind" in prompt
            return "score: 0.75\\nbecause"
        return LLMJudge(id="t.factory", version="1.0.0", criterion=config["criterion"], call_model=model)

    def bare(item, output, *, least=0.5, context):
        """A bare function.

        More."""
        return [least, context.seed, context.attempt, context.timeout_seconds, context.traceparent][1]

    def only_output(output):
        return len(output.output)

    def lazy(item, output):
        return dict_judge._fn(item, output)

    def make(*, suffix):
        return lambda item: item.input + suffix
'''


class PublicPackage(unittest.TestCase):
    """A plugin written for the package runs, and the package is not installed."""

    @classmethod
    def setUpClass(cls):
        cls.bridge = Bridge(PUBLIC)

    @classmethod
    def tearDownClass(cls):
        cls.bridge.__exit__()

    def test_a_module_offers_what_it_decorates_and_what_has_an_id_and_a_version(self):
        result = self.bridge.initialized["result"]
        self.assertEqual(sorted(offer["id"] for offer in result["evaluators"]), ["t.async", "t.plain"])
        judges = {offer["id"]: offer for offer in result["judges"]}
        self.assertEqual(sorted(judges), ["t.class", "t.decorated_class", "t.dict", "t.helped", "t.pair", "t.record"])
        self.assertEqual(judges["t.dict"]["version"], "1.2.0")
        self.assertEqual(judges["t.dict"]["determinism"], "stochastic")
        self.assertEqual(judges["t.class"]["determinism"], "sampling_deterministic")
        self.assertEqual(
            judges["t.class"]["config_schema"],
            {"type": "object", "properties": {"least": {}, "name": {}}, "additionalProperties": False},
        )
        self.assertEqual(result["evaluators"][0]["summary"], "Says it back.")

    def test_evaluators_return_values_or_records(self):
        score = self.bridge.score
        self.assertEqual(score("t.async", kind="evaluator"), {"output": {"said": "yes"}, "metadata": {"model": "m"}})
        self.assertEqual(score("t.plain", kind="evaluator"), {"output": "YES"})

    def test_judges_return_scores_pairs_dicts_or_records(self):
        score = self.bridge.score
        self.assertEqual(score("t.dict"), {"score": 0.5, "rationale": "half", "usage": {"cost_usd": 0.25}})
        self.assertEqual(score("t.pair"), {"score": True, "rationale": "compared"})
        self.assertEqual(score("t.record"), {"score": "good"})
        self.assertEqual(score("t.class", {"least": 0.9}), {"score": {"least": 0.9, "ok": True}})
        self.assertEqual(score("t.decorated_class", {"answer": 3}), {"score": 3})

    def test_the_helpers_for_retries_and_limits_work(self):
        self.assertEqual(self.bridge.score("t.helped"), {"score": 2})


class InstalledPackage(unittest.TestCase):
    def test_the_records_of_an_installed_package_are_used_and_understood(self):
        folder = tempfile.TemporaryDirectory()
        package = pathlib.Path(folder.name) / "eval_fabric"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "models.py").write_text(textwrap.dedent("""
            class Model:
                def __init__(self, **fields):
                    self.__dict__.update(fields)
                def model_dump(self):
                    return self.__dict__
            class EvalItem(Model): pass
            class EvaluatorOutput(Model): pass
            class Judgment(Model): pass
        """))
        source = """
            from eval_fabric.models import EvalItem, EvaluatorOutput, Judgment, Model
            class _FunctionJudge:
                def __init__(self, fn):
                    self.id, self.version, self.determinism, self._fn = "t.real", "1", "deterministic", fn
                async def judge(self, item, output):
                    return await self._fn(item, output)
            @_FunctionJudge
            def judge(item, output):
                assert type(item) is EvalItem and type(output) is EvaluatorOutput
                return Judgment(score=1.0, rationale=None, error=None, cost_usd=None, run_id="r")
            class Evaluator:
                id, version = "t.evaluator", "1"
                async def __call__(self, item):
                    return EvaluatorOutput(output=Model(said=item.input), metadata={})
            evaluator = Evaluator()
        """
        with Bridge(source, folder=folder) as bridge:
            self.assertEqual(bridge.score("t.real"), {"score": 1.0})
            self.assertEqual(bridge.score("t.evaluator", kind="evaluator"), {"output": {"said": "yes"}})


class References(unittest.TestCase):
    def test_an_entry_point_may_be_a_factory(self):
        options = {"judges": {"t.factory": "plugin:factory"}, "version": "9"}
        with Bridge(PUBLIC, reference=None, **options) as bridge:
            (judge,) = bridge.initialized["result"]["judges"]
            self.assertEqual((judge["id"], judge["version"]), ("t.factory", "9"))
            created = bridge.create("t.factory", config={"criterion": "kind"}, instance=5)
            self.assertEqual(created["result"], {"determinism": "sampling_deterministic"})
            answer = bridge.answer(bridge.ask(5))["result"]
            self.assertEqual(answer, {"score": 0.75, "rationale": "score: 0.75\nbecause"})

    def test_a_bare_function_is_called_after_its_module_and_takes_config_and_context(self):
        with Bridge(PUBLIC, reference="plugin:bare") as bridge:
            (judge,) = bridge.initialized["result"]["judges"]
            self.assertEqual((judge["id"], judge["version"]), ("plugin.bare", "0"))
            self.assertEqual((judge["summary"], judge["determinism"]), ("A bare function.", "stochastic"))
            self.assertEqual(list(judge["config_schema"]["properties"]), ["least"])
            self.assertEqual(bridge.score("plugin.bare", {"least": 1})["score"], 7)
            problems = bridge.create("plugin.bare", config={"most": 1})["error"]["data"]
            problem = {"pointer": "/most", "message": "`most` is not known", "hint": "it takes `least`"}
            self.assertEqual(problems, {"kind": "config", "problems": [problem]})

    def test_a_judge_may_take_the_output_alone(self):
        with Bridge(PUBLIC, reference="plugin:only_output") as bridge:
            self.assertEqual(bridge.score("plugin.only_output", output="four"), {"score": 4})

    def test_a_plain_function_may_return_an_awaitable(self):
        with Bridge(PUBLIC, reference="plugin:lazy") as bridge:
            self.assertEqual(bridge.score("plugin.lazy")["score"], 0.5)

    def test_a_factory_says_which_config_it_needs(self):
        with Bridge(PUBLIC, reference=None, evaluators={"t.make": "plugin:make"}) as bridge:
            self.assertEqual(bridge.score("t.make", {"suffix": "!"}, kind="evaluator"), {"output": "yes!"})
            data = bridge.create("t.make", "evaluator")["error"]["data"]
            self.assertEqual(data["problems"], [{"pointer": "", "message": "`suffix` is missing"}])

    def test_an_entry_point_that_cannot_be_imported_leaves_the_others_alone(self):
        points = {"t.gone": "gone_module:x", "t.none": "plugin:none", "t.pair": "plugin:pair_judge"}
        with Bridge(PUBLIC, reference=None, judges=points, version="1.0") as bridge:
            self.assertEqual(len(bridge.initialized["result"]["judges"]), 3)
            self.assertEqual(bridge.score("t.pair")["score"], True)
            message = bridge.create("t.gone")["error"]["message"]
            self.assertIn("importing `gone_module:x` failed: ModuleNotFoundError: No module named 'gone_module'", message)
            message = bridge.create("t.none")["error"]["message"]
            self.assertIn("has no attribute 'none'", message)

    def test_a_reference_that_cannot_be_imported_says_where(self):
        with Bridge("x = 1\nraise KeyError('why')") as bridge:
            message = bridge.initialized["error"]["message"]
            self.assertRegex(message, r"importing `plugin` failed: KeyError: 'why' \(.*plugin\.py, line 2, in <module>")

    def test_a_module_with_nothing_to_offer_says_what_to_do(self):
        with Bridge("x = 1") as bridge:
            self.assertIn("decorate its functions with @evaluator or @judge", bridge.initialized["error"]["message"])


if __name__ == "__main__":
    unittest.main()
