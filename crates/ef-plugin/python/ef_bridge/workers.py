"""Threads for components that may block.

Functions that are done at once are best served by one thread: each further one costs switches between threads. Functions
that wait need a thread each. Which they are shows in how long jobs queue, so a thread is added whenever the queue does not
shrink for a moment.
"""

import queue
import threading

# How long jobs may queue before there are more threads, in seconds.
PATIENCE = 0.002


class Job:
    """One call of a component that may block."""

    __slots__ = ("id", "component", "params", "is_abandoned", "is_running", "is_replaced")

    def __init__(self, id, component, params):
        self.id, self.component, self.params = id, component, params
        self.is_abandoned = self.is_running = self.is_replaced = False

    def hand_over(self, _awaitable):
        """What is left of it is no work for a thread."""
        self.is_running = False


class Workers:
    """Up to `most` threads that run jobs, and one more for each job that nobody waits for any more but that still runs.

    All methods but the threads' own are called from the event loop.
    """

    def __init__(self, loop, most, run):
        self.loop, self.most, self.run = loop, most, run
        self.queue = queue.SimpleQueue()
        self.threads = self.abandoned = 0
        self.taken = self.taken_before = 0
        self.is_watching = False

    def submit(self, id, component, params):
        """Queues a call."""
        job = Job(id, component, params)
        self.queue.put(job)
        if not self.threads:
            self.add(1)
        if not self.is_watching:
            self.is_watching = True
            self.taken_before = self.taken
            self.loop.call_later(PATIENCE, self.watch)
        return job

    def abandon(self, job):
        """The answer of a job is not wanted. Nothing can stop a thread: where it runs already, another takes its place."""
        job.is_abandoned = True
        if job.is_running:
            job.is_replaced = True
            self.abandoned += 1

    def watch(self):
        """Adds threads while what is queued is more than what was taken off since the last look."""
        waiting = self.queue.qsize()
        taken, self.taken_before = self.taken - self.taken_before, self.taken
        if waiting > taken:
            self.add(min(waiting, self.most + self.abandoned - self.threads))
        self.is_watching = waiting > 0
        if self.is_watching:
            self.loop.call_later(PATIENCE, self.watch)

    def add(self, count):
        for _ in range(count):
            self.threads += 1
            # Daemons: a call that never returns must not keep the process from ending.
            threading.Thread(target=self.work, name="ef-worker-%d" % self.threads, daemon=True).start()

    def work(self):
        """A thread's life."""
        while True:
            job = self.queue.get()
            self.taken += 1  # a lost update between threads only delays the next look's verdict
            if job.is_abandoned:
                continue
            job.is_running = True
            self.run(job)
            if job.is_replaced:
                self.loop.call_soon_threadsafe(self.returned)
            job.is_running = False

    def returned(self):
        """An abandoned job is over: its thread is one too many, which does no harm."""
        self.abandoned -= 1
