"""The plugin protocol over two pipes.

One event loop reads, runs async components and writes: whatever has arrived is taken in one piece, and all answers that are
ready go out in one piece. Components that may block run on threads (see `workers`).
"""

import asyncio
import json
import os
import platform
import re
from collections import deque

from ef_bridge import failures, values
from ef_bridge.components import EVALUATOR, BrokenPlugin, Call, ConfigProblem, offers, record_types
from ef_bridge.workers import Workers

CHUNK = 1 << 18


def serve(source, sink, options):
    """Answers requests until there are no more to come."""
    asyncio.run(Server(source, sink, options).run())


class Server:
    """One connection to a host."""

    def __init__(self, source, sink, options):
        self.source, self.sink, self.options = source, sink, options
        self.max_in_flight = options.get("max_in_flight", 64)
        self.max_message_bytes = 16 << 20
        self.offers, self.instances, self.item_type, self.output_type = {}, {}, None, None
        self.jobs = {}  # request id: task or job
        self.parts = []  # of a line that has not ended yet
        self.answers = deque()  # lines to be written; threads append to it
        self.is_flushing = self.is_blocked = False
        self.unwritten = memoryview(b"")

    async def run(self):
        """Serves until the host closes its end or asks for the end."""
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        self.workers = Workers(self.loop, self.max_in_flight, self.run_plain)
        os.set_blocking(self.sink, False)
        self.loop.add_reader(self.source, self.read)
        await self.ended.wait()
        self.loop.remove_reader(self.source)
        self.loop.remove_writer(self.sink)
        os.set_blocking(self.sink, True)
        self.flush()

    # Reading

    def read(self):
        data = os.read(self.source, CHUNK)
        if not data:
            self.ended.set()
            return
        first, *rest = data.split(b"\n")
        self.parts.append(first)
        if not rest:
            return
        lines = [b"".join(self.parts), *rest[:-1]]
        self.parts = [rest[-1]]
        for line in lines:
            if line.strip():
                self.take(line)

    def take(self, line):
        """Begins what one message asks for."""
        try:
            message = values.loads(line)
            id, method, params = message.get("id"), message["method"], message.get("params") or {}
        except Exception as problem:
            found = re.search(rb'"id"\s*:\s*(\d+)', line)
            error = {"code": -32700, "message": "Python cannot read the request: %s" % type(problem).__name__}
            self.refuse(int(found.group(1)) if found else None, dict(error, data={"kind": "permanent", "code": "unreadable_request"}))
            return
        if method in ("judge", "evaluate"):
            self.begin(id, method, params)
        elif method == "cancel":
            self.cancel(params.get("id"))
        elif method == "initialize":
            # In a task of its own, for libraries that look for the running one when they are imported or set up.
            self.loop.create_task(self.answer_later(id, self.initialize, params))
        elif method == "create":
            self.loop.create_task(self.answer_later(id, self.create, params))
        elif method == "shutdown":
            self.answer(id, b"null")
            self.ended.set()
        elif id is not None:
            self.refuse(id, {"code": -32601, "message": "there is no method of that name"})

    # Setting up

    async def answer_later(self, id, method, params):
        try:
            self.answer(id, values.encode(method(params)))
        except ConfigProblem as problem:
            problems = [{"pointer": pointer, "message": message, "hint": hint} for pointer, message, hint in problem.problems]
            problems = [{name: value for name, value in entry.items() if value is not None} for entry in problems]
            self.refuse(id, {"code": -32602, "message": str(problem), "data": {"kind": "config", "problems": problems}})
        except BrokenPlugin as problem:
            self.refuse(id, {"code": -32000, "message": str(problem), "data": {"kind": "permanent", "code": "broken"}})
        except (Exception, SystemExit) as problem:
            error = failures.error_of(problem)
            self.refuse(id, dict(error, message=failures.last_line(problem)))

    def initialize(self, params):
        if params.get("protocol_version") != 1:
            raise BrokenPlugin("this bridge speaks version 1 of the protocol")
        self.max_message_bytes = params.get("max_message_bytes", self.max_message_bytes)
        found = offers(self.options)
        self.offers = {(offer.kind, offer.id): offer for offer in found}
        self.item_type, self.output_type = record_types()
        name = self.options.get("name", "python")
        return {
            "protocol_version": 1,
            "plugin": {"name": name, "version": self.options.get("version") or platform.python_version()},
            "evaluators": [offer.described() for offer in found if offer.kind == EVALUATOR],
            "judges": [offer.described() for offer in found if offer.kind != EVALUATOR],
            "max_in_flight": self.max_in_flight,
        }

    def create(self, params):
        offer = self.offers.get((params["kind"], params["id"]))
        if offer is None:
            raise BrokenPlugin("there is no %s of that id here" % params["kind"])
        self.instances[params["instance"]], said = offer.create(params.get("config") or {})
        return said

    # Calls

    def begin(self, id, method, params):
        component = self.instances.get(params.get("instance"))
        if component is None or (component.kind == EVALUATOR) != (method == "evaluate"):
            self.refuse(id, {"code": -32602, "message": "there is no such instance"})
            return
        if component.is_async:
            task = self.jobs[id] = self.loop.create_task(self.run_async(id, component, params))
            task.add_done_callback(lambda _: self.jobs.pop(id, None))
        else:
            self.jobs[id] = self.workers.submit(id, component, params)

    def cancel(self, id):
        job = self.jobs.pop(id, None)
        if isinstance(job, asyncio.Task):
            job.cancel()
        elif job is not None:
            self.workers.abandon(job)

    def call(self, component, params):
        """Calls a component with a request's records."""
        given = params["item"]
        item = self.item_type(
            item_id=given["item_id"],
            input=given["input"],
            reference_output=given.get("reference_output"),
            metadata=_metadata(given),
        )
        output = None
        if component.kind != EVALUATOR:
            output = self.output_type(output=params["output"]["output"], metadata=_metadata(params["output"]))
        context = Call(params.get("context") or {}) if component.takes_context else None
        return component.call(item, output, context)

    async def run_async(self, id, component, params):
        try:
            self.answer(id, finished(component, await self.call(component, params)))
        except asyncio.CancelledError as problem:
            if id in self.jobs:  # nobody asked for that: the component cancelled itself
                self.refuse(id, failures.error_of(problem))
        except (Exception, SystemExit) as problem:
            self.refuse(id, failures.error_of(problem))

    def run_plain(self, job):
        """On a worker's thread: runs a job and leaves its answer, unless nobody wants it any more."""
        try:
            value = self.call(job.component, job.params)
            if hasattr(value, "__await__"):
                job.hand_over(value)
                self.loop.call_soon_threadsafe(self.run_handed_over, job, value)
                return
            line, error = finished(job.component, value), None
        except BaseException as problem:
            line, error = None, failures.error_of(problem)
        if not job.is_abandoned:
            self.jobs.pop(job.id, None)
            self.answer(job.id, line) if error is None else self.refuse(job.id, error)

    def run_handed_over(self, job, awaitable):
        """A plain function returned an awaitable: the rest is the loop's."""

        async def rest():
            try:
                self.answer(job.id, finished(job.component, await awaitable))
            except asyncio.CancelledError as problem:
                if not job.is_abandoned and job.id in self.jobs:
                    self.refuse(job.id, failures.error_of(problem))
            except (Exception, SystemExit) as problem:
                self.refuse(job.id, failures.error_of(problem))

        task = self.loop.create_task(rest())
        if job.is_abandoned:
            task.cancel()
            return
        self.jobs[job.id] = task
        task.add_done_callback(lambda _: self.jobs.pop(job.id, None))

    # Answering, from any thread

    def answer(self, id, result):
        if len(result) + 64 > self.max_message_bytes:
            message = "an answer of %d bytes is longer than a message may be" % len(result)
            self.refuse(id, failures.error_of(values.InvalidOutput("too_long", message)))
            return
        self.write(b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (json.dumps(id).encode("ascii"), result))

    def refuse(self, id, error):
        text = values.encode(error)
        if len(text) + 64 > self.max_message_bytes:
            error = dict(error, message="the error is longer than a message may be", data=dict(error["data"], detail=None))
            text = values.encode(error)
        self.write(b'{"jsonrpc":"2.0","id":%s,"error":%s}\n' % (json.dumps(id).encode("ascii"), text))

    def write(self, line):
        self.answers.append(line)
        if not self.is_flushing:
            self.is_flushing = True
            self.loop.call_soon_threadsafe(self.flush)

    def flush(self):
        # Before the answers are taken: one that comes from now on causes another flush.
        self.is_flushing = False
        try:
            while self.unwritten or self.answers:
                if not self.unwritten:
                    lines = [self.answers.popleft() for _ in range(len(self.answers))]
                    self.unwritten = memoryview(b"".join(lines))
                self.unwritten = self.unwritten[os.write(self.sink, self.unwritten) :]
        except BlockingIOError:
            if not self.is_blocked:
                self.is_blocked = True
                self.loop.add_writer(self.sink, self.flush)
            return
        except BrokenPipeError:
            self.ended.set()
        if self.is_blocked:
            self.is_blocked = False
            self.loop.remove_writer(self.sink)


def _metadata(record):
    metadata = record.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def finished(component, value):
    """The result of a call as JSON."""
    if component.kind == EVALUATOR:
        return values.encode(values.evaluator_answer(value))
    return values.encode(values.judge_answer(value))
