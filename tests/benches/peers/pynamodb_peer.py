"""One account that many threads change through PynamoDB: pynamodb_peer.py <limits> <url> <save|update> <threads> <seconds>

The limits of the loop are [first delay, highest delay, attempts, deadline], as JSON and in seconds. Tells when it is ready, begins at
the first line of its input, and ends with the `Tally` of its work, as JSON.
"""

import collections
import json
import random
import sys
import threading
import time

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, VersionAttribute
from pynamodb.exceptions import PutError
from pynamodb.models import Model

# The delays are those of the benchmark's other peers.
FIRST_DELAY, MAX_DELAY, ATTEMPTS, DEADLINE = json.loads(sys.argv[1])
URL, JOB, THREADS, SECONDS = sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
KEY = "alice"


class Account(Model):
    class Meta:
        table_name = "accounts"
        host = URL
        region = "us-east-1"
        aws_access_key_id = aws_secret_access_key = "benches"
        # One for each thread, so that none waits for another one's.
        max_pool_connections = THREADS

    id = UnicodeAttribute(hash_key=True)
    balance = NumberAttribute()
    version = VersionAttribute()


def read():
    return Account.get(KEY, consistent_read=True)


def save(account):
    account.balance += 1
    account.save()


def update():
    """The loop, which PynamoDB leaves to the caller; False if others were faster each time."""
    limit, deadline = FIRST_DELAY, time.monotonic() + DEADLINE
    for attempt in range(1, ATTEMPTS + 1):
        account = read()
        try:
            save(account)
            return True
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
        delay = random.uniform(0, limit)
        limit = min(2 * limit, MAX_DELAY)
        if attempt == ATTEMPTS or time.monotonic() + delay >= deadline:
            return False
        time.sleep(delay)


class Worker(threading.Thread):
    """What one thread does: one addition after the other until the time is up."""

    def __init__(self, begin):
        super().__init__(daemon=True)
        self.begin, self.account, self.failure = begin, read(), None
        self.in_time = self.added = self.gave_up = 0
        self.waits = collections.Counter()

    def run(self):
        try:
            self.begin.wait()
            self.work(time.monotonic() + SECONDS)
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def work(self, end):
        while True:
            began = time.monotonic()
            if JOB == "save":
                save(self.account)
                added = True
            else:
                added = update()
            now = time.monotonic()
            if added:
                self.added += 1
                self.in_time += now <= end
                self.waits[int((now - began) * 1e6)] += 1
            else:
                self.gave_up += 1
            if now >= end:
                return


def main():
    begin = threading.Event()
    workers = [Worker(begin) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    print("ready", flush=True)
    sys.stdin.readline()
    begin.set()
    for worker in workers:
        worker.join()
        if worker.failure:
            raise worker.failure
    tally = {
        "seconds": SECONDS,
        "in_time": sum(worker.in_time for worker in workers),
        "added": sum(worker.added for worker in workers),
        "most": max(worker.added for worker in workers),
        "gave_up": sum(worker.gave_up for worker in workers),
        "waits": sum((worker.waits for worker in workers), collections.Counter()),
    }
    print(json.dumps(tally), flush=True)


main()
