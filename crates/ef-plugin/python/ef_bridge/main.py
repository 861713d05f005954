"""The two things that the bridge does: `serve` plugins, and `list` them without importing any."""

import json
import os
import signal
import sys


def main(arguments):
    """Runs one command: its name, then its options as JSON."""
    command, options = arguments[0], json.loads(arguments[1])
    source, sink = take_over_standard_streams()
    # A terminal sends Ctrl-C to everybody; when this process ends is the host's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[0:0] = options.get("path", [])
    if command == "list":
        from ef_bridge.listing import listing

        write_all(sink, json.dumps(listing(options)).encode("ascii"))
    else:
        from ef_bridge.server import serve

        serve(source, sink, options)


def take_over_standard_streams():
    """Keeps the protocol's two ends to itself: what plugins print goes to stderr, what they read is empty."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    return source, sink


def write_all(descriptor, data):
    """Writes everything to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
