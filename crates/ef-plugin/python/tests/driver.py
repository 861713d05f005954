"""A host for tests: starts the bridge as ef does, and talks to it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent


def command_line(command, options):
    """What ef starts."""
    line = [sys.executable, "-c", (ROOT / "boot.py").read_text("utf-8")]
    for path in sorted([*ROOT.glob("ef_bridge/**/*.py"), *ROOT.glob("eval_fabric/**/*.py")]):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        line += [name[: -len(".__init__")] + "/" if name.endswith(".__init__") else name, path.read_text("utf-8")]
    return line + ["--", command, json.dumps(options)]


class Bridge:
    """A running bridge that serves one module of this text."""

    def __init__(self, source, reference="plugin", folder=None, **options):
        self.folder = folder or tempfile.TemporaryDirectory()
        place = pathlib.Path(self.folder.name)
        (place / "plugin.py").write_text(textwrap.dedent(source), "utf-8")
        options = {"references": [reference] if reference else [], "path": [str(place)], **options}
        # Somewhere else: the working folder must not matter.
        self.process = subprocess.Popen(
            command_line("serve", options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=os.sep,
        )
        self.last = 0
        self.kept = {}
        self.initialized = self.call("initialize", protocol_version=1, max_message_bytes=1 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass  # it has ended before it read everything
        self.folder.cleanup()

    def send(self, method, **params):
        """Sends a request; its id."""
        self.last += 1
        self.write(json.dumps({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}))
        return self.last

    def write(self, line):
        self.process.stdin.write(line.encode("utf-8") + b"\n")
        self.process.stdin.flush()

    def notify(self, method, **params):
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def answer(self, id):
        """The answer to a request; those to others are kept."""
        while id not in self.kept:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("the bridge has ended: " + self.process.stderr.read().decode())
            message = json.loads(line, parse_constant=lambda name: self.fail(name))
            assert message["jsonrpc"] == "2.0" and ("result" in message) != ("error" in message), message
            self.kept[message["id"]] = message
        return self.kept.pop(id)

    def fail(self, name):
        raise AssertionError("not JSON: " + name)

    def call(self, method, **params):
        return self.answer(self.send(method, **params))

    def create(self, id, kind="judge", config=None, instance=1):
        return self.call("create", instance=instance, kind=kind, id=id, config=config or {})

    def ask(self, instance=1, kind="judge", output="yes", input="yes", reference="yes", **context):
        """Sends a call; its id."""
        item = {"item_id": "row-1", "row": 0, "input": input, "reference_output": reference, "metadata": {"k": 1}}
        context = {"attempt": 1, "repeat": 0, "seed": 7, "timeout_ms": 1000, **context}
        if kind == "evaluator":
            return self.send("evaluate", instance=instance, item=item, context=context)
        return self.send("judge", instance=instance, item=item, output={"output": output}, context=context)

    def score(self, id, config=None, kind="judge", **call):
        """Creates a component and calls it once: its result, or its error's data."""
        self.instances = getattr(self, "instances", 100) + 1
        created = self.create(id, kind, config, self.instances)
        if "error" in created:
            raise AssertionError(created)
        answer = self.answer(self.ask(self.instances, kind, **call))
        return answer["result"] if "result" in answer else answer["error"]["data"]
