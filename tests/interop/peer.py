"""What the peers of `tests/interop` have in common: they take commands, a JSON object a line, and answer each with one.

A peer gives `create(id, writer)`, `read(id)`, `write(held, writer)` and `delete(held)`. What it holds has `version`, `count` and
`last`; `write` adds 1 to the count, names the writer as the last one, and returns the new version. `Refused` is raised for a
check that failed.
"""

import json
import random
import sys
import threading
import time

# Seconds to wait at most after a refusal.
PAUSE = 0.005


class Refused(Exception):
    """Another writer was faster, or the item is there already."""


def serve(peer):
    """Executes commands until the input ends."""
    held = {}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = execute(peer, held, command)
        except Refused:
            answer = {"refused": True}
        except Exception as failure:  # breaks the rule that is checked, and not the others
            answer = {"failed": repr(failure)}
        tell(answer)


def execute(peer, held, command):
    job, key = command["do"], command.get("id")
    if job == "create":
        peer.create(key, command["writer"])
    elif job == "read":
        held[key] = peer.read(key)
        return {"item": held[key] and seen(held[key])}
    elif job == "write":
        return {"version": peer.write(held[key], command["writer"])}
    elif job == "delete":
        peer.delete(held[key])
    elif job == "hammer":
        return hammer(peer, command)
    return {}


def seen(item):
    return {"version": item.version, "count": item.count, "last": item.last}


def tell(answer):
    print(json.dumps(answer), flush=True)


class Writer(threading.Thread):
    """Writes one item after the other, and keeps what it read, what it wrote and what was refused."""

    def __init__(self, peer, name, items, times):
        super().__init__(daemon=True)
        self.peer, self.writer, self.items, self.times = peer, name, items, times
        self.read, self.wrote, self.refused, self.failure = [], [], [], None

    def run(self):
        try:
            for number in range(self.times):
                self.write(self.items[number % len(self.items)])
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def write(self, key):
        while True:
            item = self.peer.read(key)
            self.read.append({"id": key, **seen(item)})
            expected = item.version
            try:
                version = self.peer.write(item, self.writer)
            except Refused:
                self.refused.append({"id": key, "version": expected + 1, "writer": self.writer})
                time.sleep(random.uniform(0, PAUSE))
            else:
                self.wrote.append({"id": key, "version": version, "writer": self.writer})
                return


def hammer(peer, command):
    # Each begins with another item.
    items = command["items"]
    turns = [items[turn % len(items) :] + items[: turn % len(items)] for turn in range(len(command["writers"]))]
    writers = [
        Writer(peer, name, turn, command["times"]) for name, turn in zip(command["writers"], turns)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        if writer.failure:
            raise writer.failure
    return {
        kept: [entry for writer in writers for entry in getattr(writer, kept)]
        for kept in ("read", "wrote", "refused")
    }
