#!/usr/bin/env python3
"""Pushes the lines of a file exactly once: push.py URL SOURCE FILE. The state is the number of lines pushed."""
import http.client
import itertools
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request

url, source, path = sys.argv[1:]
LINES = 100


def call(address, body=None, **headers):
    """(status, answer), repeated with growing pauses until there is one that says something."""
    if token := os.environ.get("SLUICE_TOKEN"):
        headers["Authorization"] = "Bearer " + token
    headers["Content-Type"] = "application/octet-stream"  # the source's own format
    for attempt in itertools.count():
        try:
            request = urllib.request.Request(address, body, {k.replace("_", "-"): v for k, v in headers.items()})
            try:
                answer = urllib.request.urlopen(request, timeout=60)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                told = json.load(answer)
            if answer.status not in (408, 429) and answer.status < 500:
                return answer.status, told
        except (OSError, ValueError, http.client.HTTPException):  # no answer, or half of one
            pass
        time.sleep(random.uniform(0.5, 1) * min(0.1 * 2**attempt, 10))


status, answer = call(f"{url}/sources/{source}/state")
state = answer["accepted"] if status == 200 else "*"
while True:
    if state != "*" and not state.isdecimal():
        sys.exit(f"the source's state is no number of lines: '{state}'")
    done = 0 if state == "*" else int(state)
    with open(path, "rb") as file:
        batch = list(itertools.islice(file, done, done + LINES))
    if not batch:
        break
    after = str(done + len(batch))
    status, answer = call(f"{url}/ingest?sourceName={source}", b"".join(batch),
                          ODF_If_Source_State=state, ODF_Source_State=after)
    if status in (200, 202):
        state = after
    elif status == 412 and answer.get("accepted"):
        state = answer["accepted"]  # go where the source is
    else:
        sys.exit(f"stopped: {status} {answer.get('message')}")
