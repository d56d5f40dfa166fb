"""Competes for one key, as programs do that know nothing of Holdfast.

Arguments: port, key, "lock" (redis-py's Lock) or "set" (SET NX PX and compare-and-delete), turns,
hold in ms. Prints a JSON list of [from, to] in nanoseconds of the monotonic clock.
"""
import json
import sys
import time
import uuid

import redis

port, key, way, turns, hold = sys.argv[1:]
client = redis.Redis(port=int(port))
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


def take_with_lock():
    lock = client.lock(key, timeout=10, sleep=0.005, blocking_timeout=30)
    if not lock.acquire():
        raise SystemExit("waited 30 s in vain")
    return lock.release


def take_with_set():
    value = uuid.uuid4().hex
    end = time.monotonic() + 30
    while not client.set(key, value, nx=True, px=10000):
        if time.monotonic() > end:
            raise SystemExit("waited 30 s in vain")
        time.sleep(0.005)

    def leave():
        if client.eval(RELEASE, 1, key, value) != 1:
            raise SystemExit("somebody else had it")

    return leave


intervals = []
for _ in range(int(turns)):
    leave = take_with_lock() if way == "lock" else take_with_set()
    begin = time.monotonic_ns()
    time.sleep(int(hold) / 1000)
    intervals.append([begin, time.monotonic_ns()])
    leave()
print(json.dumps(intervals))
