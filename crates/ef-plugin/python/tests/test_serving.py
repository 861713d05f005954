"""Many calls at a time, hostile plugins, and the end."""

import json
import signal
import time
import unittest

from tests.driver import Bridge


class Concurrency(unittest.TestCase):
    SOURCE = """
        import asyncio, threading, time
        from eval_fabric.judges import judge
        gate = threading.Event()

        @judge(id="t.blocked", version="1")
        def blocked(item, output):
            gate.wait(30)
            return 1

        @judge(id="t.open", version="1")
        def open(item, output):
            gate.set()
            return 2

        @judge(id="t.quick", version="1")
        async def quick(item, output):
            return 3

        @judge(id="t.sleepy", version="1")
        async def sleepy(item, output):
            try:
                await asyncio.sleep(30)
            finally:
                gate.set()
    """

    def test_blocking_functions_stall_nobody(self):
        with Bridge(self.SOURCE, max_in_flight=8) as bridge:
            for instance, id in enumerate(["t.blocked", "t.open", "t.quick"]):
                bridge.create(id, instance=instance)
            blocked = [bridge.ask(0) for _ in range(7)]
            self.assertEqual(bridge.answer(bridge.ask(2))["result"], {"score": 3})
            self.assertEqual(bridge.answer(bridge.ask(1))["result"], {"score": 2})
            self.assertEqual([bridge.answer(id)["result"]["score"] for id in blocked], [1] * 7)

    def test_a_cancelled_call_stops_or_makes_room(self):
        with Bridge(self.SOURCE, max_in_flight=1) as bridge:
            for instance, id in enumerate(["t.blocked", "t.open", "t.quick", "t.sleepy"]):
                bridge.create(id, instance=instance)
            blocked = bridge.ask(0)
            time.sleep(0.05)
            bridge.notify("cancel", id=blocked)
            # Nobody waits for the thread that hangs: another one runs this.
            self.assertEqual(bridge.answer(bridge.ask(1))["result"], {"score": 2})
            sleepy = bridge.ask(3)
            bridge.notify("cancel", id=sleepy)
            self.assertEqual(bridge.answer(bridge.ask(2))["result"], {"score": 3})
            self.assertEqual(bridge.kept, {}, "what was cancelled has no answer")

    def test_a_job_that_is_cancelled_while_it_queues_never_runs(self):
        source = """
            import time
            ran = []
            def f(item, output):
                ran.append(output.output)
                time.sleep(0.2)
                return len(ran)
        """
        with Bridge(source, "plugin:f", max_in_flight=1) as bridge:
            bridge.create("plugin.f")
            first, second, third = (bridge.ask() for _ in range(3))
            bridge.notify("cancel", id=second)
            self.assertEqual([bridge.answer(id)["result"]["score"] for id in (first, third)], [1, 2])

    def test_thousands_of_calls_are_all_answered_once(self):
        with Bridge(self.SOURCE) as bridge:
            bridge.create("t.open", instance=1)
            bridge.create("t.quick", instance=2)
            for _ in range(20):
                ids = [bridge.ask(1 + n % 2) for n in range(100)]
                self.assertEqual([bridge.answer(id)["result"]["score"] for id in ids], [2, 3] * 50)
            self.assertEqual(bridge.kept, {})


class Hostility(unittest.TestCase):
    def test_what_a_plugin_prints_goes_to_stderr(self):
        source = """
            import os, subprocess, sys
            print("at import")
            os.write(1, b"raw\\n")
            def f(item, output):
                print("in a call")
                sys.__stdout__.write("more\\n")
                subprocess.run(["echo", "from a child"])
                return sys.stdin.read() == "" and subprocess.run(["cat"], capture_output=True).stdout == b""
        """
        with Bridge(source, "plugin:f") as bridge:
            self.assertEqual(bridge.score("plugin.f"), {"score": True})
            bridge.call("shutdown")
            said = bridge.process.stderr.read().decode()
            self.assertEqual(sorted(said.split("\n")), ["", "at import", "from a child", "in a call", "more", "raw"])

    def test_no_value_becomes_wrong_json(self):
        source = """
            import dataclasses, datetime, decimal, enum, uuid
            class Grade(enum.Enum):
                GOOD = "good"
            @dataclasses.dataclass
            class Point:
                x: int
            class Scalar:
                def item(self):
                    return 2.5
            ring = []
            ring.append(ring)
            VALUES = {
                "nan": float("nan"), "inf": [float("inf")], "bytes": b"x", "object": object(), "surrogate": "\\ud800",
                "ring": ring, "tuple key": {(1, 2): 3}, "set": {3, 1, 2}, "decimal": decimal.Decimal("0.1"),
                "whole": decimal.Decimal("12345678901234567890"), "bad decimal": decimal.Decimal("NaN"), "enum": Grade.GOOD,
                "point": Point(1), "scalar": Scalar(), "int key": {1: 2}, "date": datetime.date(2026, 1, 2), "none": None,
                "big": 10 ** 40, "class": Point, "line": "a\\nb\\u2028", "long": "x" * (2 << 20),
            }
            def f(item):
                return VALUES[item.input]
        """
        expected = {
            "set": [1, 2, 3],
            "decimal": 0.1,
            "whole": 12345678901234567890,
            "enum": "good",
            "point": {"x": 1},
            "scalar": 2.5,
            "int key": {"1": 2},
            "date": "2026-01-02",
            "none": None,
            "big": 10**40,
            "line": "a\nb\u2028",
        }
        refused = "nan inf bytes object surrogate ring class long".split() + ["tuple key", "bad decimal"]
        with Bridge(source, "plugin:f") as bridge:
            bridge.create("plugin.f", "evaluator")
            for name, value in expected.items():
                self.assertEqual(bridge.answer(bridge.ask(1, "evaluator", input=name))["result"], {"output": value}, name)
            for name in refused:
                error = bridge.answer(bridge.ask(1, "evaluator", input=name))["error"]
                self.assertEqual(error["data"]["kind"], "invalid_output", name)
                self.assertEqual(error["data"]["code"], "too_long" if name == "long" else "not_json", name)

    def test_exceptions_say_of_which_kind_they_are(self):
        source = """
            from eval_fabric.errors import TransientError
            class HTTPError(Exception):
                def __init__(self, seconds):
                    self.retry_after = seconds
            class Timeout(Exception):
                pass
            class Spent(Exception):
                kind, code, usage = "quota_exhausted", "no_credit", {"cost_usd": 0.5}
            class Silent(Exception):
                def __str__(self):
                    raise ValueError
            class Broken(Exception):
                @property
                def kind(self):
                    raise KeyError
            PROBLEMS = {
                "value": ValueError("bad\\udfff"), "transient": TransientError("t", retry_after=1.5), "http": HTTPError(2),
                "timeout": TimeoutError(), "refused": ConnectionRefusedError(), "library": Timeout(), "spent": Spent(),
                "broken": Broken(), "exit": SystemExit(3), "silent": Silent(), "stop": StopIteration(),
            }
            def f(item):
                raise PROBLEMS[item.input]
            async def g(item):
                raise PROBLEMS[item.input]
        """
        for function in "fg":
            with Bridge(source, "plugin:" + function) as bridge:
                bridge.create("plugin." + function, "evaluator")

                def error(name):
                    return bridge.answer(bridge.ask(1, "evaluator", input=name))["error"]["data"]

                value = error("value")
                self.assertEqual((value["kind"], value["code"]), ("permanent", "value_error"))
                self.assertEqual((value["detail"]["type"], value["detail"]["message"]), ("ValueError", "bad\\udfff"))
                self.assertRegex(value["detail"]["at"], r"plugin\.py, line \d+, in [fg]: raise PROBLEMS")
                self.assertEqual((error("transient")["kind"], error("transient")["retry_after_ms"]), ("transient", 1500))
                self.assertEqual((error("http")["kind"], error("http")["retry_after_ms"]), ("transient", 2000))
                for name in ("timeout", "refused", "library"):
                    self.assertEqual(error(name)["kind"], "transient", name)
                spent = error("spent")
                self.assertEqual((spent["kind"], spent["code"], spent["usage"]), ("quota_exhausted", "no_credit", {"cost_usd": 0.5}))
                for name in ("broken", "exit", "silent", "stop"):
                    self.assertEqual(error(name)["kind"], "permanent", name)

    def test_a_record_with_an_error_is_an_error_and_no_score(self):
        source = """
            from types import SimpleNamespace
            def f(item, output):
                return SimpleNamespace(score=0.0, error="the model did not answer", cost_usd=0.1)
        """
        with Bridge(source, "plugin:f") as bridge:
            data = bridge.score("plugin.f")
            self.assertEqual((data["kind"], data["code"], data["usage"]), ("permanent", "reported", {"cost_usd": 0.1}))

    def test_requests_that_cannot_be_read_are_answered_with_an_error(self):
        with Bridge("def f(item, output): return 1", "plugin:f") as bridge:
            bridge.write('{"jsonrpc":"2.0","id":77,"method":"judge","params":{"item":[' + "[" * 100000)
            self.assertEqual(bridge.answer(77)["error"]["data"]["code"], "unreadable_request")
            self.assertEqual(bridge.call("judge", instance=9)["error"]["code"], -32602)
            self.assertEqual(bridge.call("dance")["error"]["code"], -32601)
            self.assertEqual(bridge.score("plugin.f"), {"score": 1})


class Ending(unittest.TestCase):
    SLOW = """
        import atexit, time
        atexit.register(lambda: print("cleaned up"))
        def f(item, output):
            time.sleep(60)
    """

    def test_it_ends_when_told_to_though_a_thread_hangs(self):
        with Bridge(self.SLOW, "plugin:f") as bridge:
            bridge.create("plugin.f")
            bridge.ask()
            self.assertIsNone(bridge.call("shutdown")["result"])
            self.assertEqual(bridge.process.wait(10), 0)
            self.assertEqual(bridge.process.stderr.read(), b"cleaned up\n")

    def test_it_ends_when_the_host_is_gone(self):
        with Bridge(self.SLOW, "plugin:f") as bridge:
            bridge.process.stdin.close()
            self.assertEqual(bridge.process.wait(10), 0)

    def test_an_interrupt_from_the_terminal_is_the_hosts_affair(self):
        with Bridge("def f(item, output): return 1", "plugin:f") as bridge:
            bridge.process.send_signal(signal.SIGINT)
            self.assertEqual(bridge.score("plugin.f"), {"score": 1})

    def test_large_messages_pass_in_both_directions(self):
        with Bridge("def f(item): return [item.input] * 3", "plugin:f") as bridge:
            bridge.create("plugin.f", "evaluator")
            text = "é" * 100_000
            ids = [bridge.ask(1, "evaluator", input=text) for _ in range(5)]
            for id in ids:
                self.assertEqual(bridge.answer(id)["result"], {"output": [text] * 3})

    def test_a_version_that_is_not_spoken_is_refused(self):
        with Bridge("def f(item, output): return 1", "plugin:f") as bridge:
            self.assertIn("version 1", bridge.call("initialize", protocol_version=2)["error"]["message"])
            self.assertEqual(json.loads(json.dumps(bridge.initialized["result"]["protocol_version"])), 1)


if __name__ == "__main__":
    unittest.main()
