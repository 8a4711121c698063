#!/usr/bin/env python3
"""Pipelines from and to real SQS servers: ElasticMQ and moto."""
import json
import os
import signal
import subprocess
import time

import harness
from harness import EXIT_FAILURE, Workspace, main, wait
from servers import ElasticMq, Moto, Postgres

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_REGION": "us-east-1"}


def environment(**more):
    return {**os.environ, **KEYS, **more}


def record(i, **fields):
    return {"uuid": f"u{i}", "tenant_id": "t", "source_type": "forum", "source_id": f"s{i % 3}", "data_id": str(i), "data": f"post {i}",
            **fields}


def lines(first, count):
    return "".join(json.dumps(record(i)) + "\n" for i in range(first, first + count))


def from_queue(ws, queue, **options):
    text = "".join(f"    {name}: {value}\n" for name, value in {"wait": "1s", **options}.items())
    return ws.write("in.yaml", f"""name: from-queue
ingestors:
  - type: sqs
    queue_url: {queue}
{text}writer: {{type: file, path: out.ndjson}}
retry: {{attempts: 3, initial: 50ms, max: 200ms}}
dead_letter: {{type: file, path: dead.ndjson}}
""")


def to_queue(ws, queue, **options):
    text = "".join(f"  {name}: {value}\n" for name, value in options.items())
    return ws.write("out.yaml", f"""name: to-queue
ingestors:
  - {{type: file, path: in.ndjson, follow: false}}
writer:
  type: sqs
  queue_url: {queue}
{text}retry: {{attempts: 100, initial: 50ms, max: 500ms}}
dead_letter: {{type: file, path: dead.ndjson}}
""")


def written(ws, name="out.ndjson"):
    path = os.path.join(ws.folder, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def run_until(ws, path, condition, seconds=40):
    """Runs a pipeline that does not end by itself until the condition holds; then it must end well."""
    process = ws.start("run", path, env=environment())
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    met = condition()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    done = wait(process, timeout=40)
    assert done.code == 0 and met, (met, done)
    return done


def both_servers():
    for server in (ElasticMq, Moto):
        for suffix in ("", ".fifo"):
            def test(server=server, suffix=suffix):
                with server() as sqs, Workspace(init=False) as ws:
                    queue = sqs.make_queue("q" + suffix)
                    ws.write("in.ndjson", lines(0, 203) + json.dumps(record(999, data="x" * 300_000)) + "\n")
                    ws.run("run", to_queue(ws, queue), env=environment())
                    assert sqs.counts(queue) == (203, 0), sqs.counts(queue)
                    dead = written(ws, "dead.ndjson")
                    assert len(dead) == 1 and "max_message_bytes" in json.dumps(dead[0]), str(dead)[:500]
                    # moto answers calls in threads that do not know of each other: two receivers may get one message.
                    path = from_queue(ws, queue, receivers=1 if server is Moto else 4)
                    run_until(ws, path, lambda: sqs.counts(queue) == (0, 0))
                    got = written(ws)
                    assert sorted(r["uuid"] for r in got) == sorted(f"u{i}" for i in range(203))
                    if suffix:  # in order within each source
                        for source in range(3):
                            ids = [int(r["data_id"]) for r in got if r["source_id"] == f"s{source}"]
                            assert ids == sorted(ids), ids
            yield f"{server.__name__}{suffix}", test


def conformance():
    """The suite that every connector passes, against both servers."""
    program = os.path.join(os.path.dirname(harness.program), "src", "connectors", "sqs", "sluice_connector_sqs_server_test")
    for server in (ElasticMq, Moto):
        def test(server=server):
            with server() as sqs:
                queues = sqs.make_queue("q") + " " + sqs.make_queue("q.fifo")
                done = subprocess.run([program], env=environment(SLUICE_TEST_QUEUES=queues, SLUICE_TEST_RECEIVERS="1" if server is Moto else "4"),
                                      capture_output=True, text=True, timeout=400,
                                      check=False)
                assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        yield server.__name__, test


def poison_goes_to_the_dead_letters():
    with ElasticMq() as sqs, Workspace(init=False) as ws:
        queue = sqs.make_queue("q")
        sqs.send(queue, ["<xml/>", json.dumps(record(1)), json.dumps([record(2), {"uuid": 7}]), "{\"uuid\": \"cut"])
        run_until(ws, from_queue(ws, queue), lambda: sqs.counts(queue) == (0, 0))
        assert sorted(r["uuid"] for r in written(ws)) == ["u1", "u2"]
        dead = json.dumps(written(ws, "dead.ndjson"))
        assert "<xml/>" in dead and "cut" in dead and len(written(ws, "dead.ndjson")) == 3, dead


def what_the_server_refuses_spoils_no_other():
    with ElasticMq() as sqs, Workspace(init=False) as ws:
        queue = sqs.make_queue("q")
        ws.write("in.ndjson", lines(0, 25) + json.dumps(record(99, data="no character: \uffff")) + "\n" + lines(25, 25))
        ws.run("run", to_queue(ws, queue), env=environment())
        assert sqs.counts(queue) == (50, 0), sqs.counts(queue)
        assert [letter["uuid"] for letter in written(ws, "dead.ndjson")] == ["u99"]


def delivered_twice_is_the_same_record():
    with ElasticMq() as sqs, Workspace(init=False) as ws:
        queue = sqs.make_queue("q")
        sqs.send(queue, [json.dumps({"data": f"no uuid {i}"}) for i in range(30)])
        # Killed before it can delete: the queue delivers again.
        path = from_queue(ws, queue, visibility="2s")
        process = ws.start("run", path, env=environment())
        while len(written(ws)) < 10:
            time.sleep(0.01)
        process.kill()
        wait(process)
        run_until(ws, path, lambda: sqs.counts(queue) == (0, 0))
        uuid_of = {}
        for r in written(ws):
            assert uuid_of.setdefault(r["data"], r["uuid"]) == r["uuid"]
        assert len(uuid_of) == 30


def busy_messages_are_kept():
    with ElasticMq() as sqs, Postgres() as postgres, Workspace(init=False) as ws:
        queue = sqs.make_queue("q")
        path = ws.write("slow.yaml", f"""name: slow
ingestors:
  - {{type: sqs, queue_url: {queue}, visibility: 2s, wait: 1s}}
writer: {{type: postgres, uri: "{postgres.uri()}", table: feedback, create_table: true}}
""")
        process = ws.start("run", path, env=environment())
        while postgres.sql("SELECT to_regclass('feedback')") == "":
            time.sleep(0.1)
        lock = subprocess.Popen([postgres.programs + "/psql", "-X", "-q", "-d", postgres.uri(), "-c",
                                 "BEGIN; LOCK TABLE feedback; SELECT pg_sleep(7); COMMIT"], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        sqs.send(queue, [json.dumps(record(i)) for i in range(5)])
        time.sleep(2)
        while lock.poll() is None:
            # Held for several times as long as they would be without being asked for again.
            assert sqs.counts(queue) == (0, 5), sqs.counts(queue)
            time.sleep(0.25)
        while sqs.counts(queue) != (0, 0):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert wait(process).code == 0
        assert postgres.sql("SELECT count(*) FROM feedback") == "5"


def complains_at_the_start():
    with Moto() as sqs, Workspace(init=False) as ws:
        queue = sqs.make_queue("q")
        ws.write("in.ndjson", lines(0, 10))
        missing = queue + "-missing"
        for path in (from_queue(ws, missing), to_queue(ws, missing)):
            done = ws.run("run", path, code=EXIT_FAILURE, timeout=20, env=environment())
            assert b"q-missing" in done.err and b"QueueDoesNotExist" in done.err, done
        done = ws.run("run", to_queue(ws, queue), code=EXIT_FAILURE, env={k: v for k, v in environment().items() if "SECRET" not in k})
        assert b"AWS_SECRET_ACCESS_KEY" in done.err, done
        key, secret = sqs.make_user(["sqs:*"])
        for path in (from_queue(ws, queue), to_queue(ws, queue)):
            wrong = environment(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY="hush-hush-wrong")
            done = ws.run("run", path, code=EXIT_FAILURE, timeout=20, env=wrong)
            assert b"SignatureDoesNotMatch" in done.err and b"hush" not in done.err, done
        # The same with the right secret: moto checks the signature.
        ws.run("run", to_queue(ws, queue), env=environment(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret))


def a_queue_that_hangs_is_waited_for():
    with ElasticMq() as sqs, Workspace(init=False) as ws:
        queue = sqs.make_queue("q")
        ws.write("in.ndjson", lines(0, 3000))
        process = ws.start("run", to_queue(ws, queue, timeout="1s"), env=environment())
        time.sleep(0.5)
        sqs.pause()
        time.sleep(2)
        sqs.resume()
        done = wait(process)
        assert done.code == 0, done
        bodies = [json.loads(body)["uuid"] for body in sqs.receive(queue)]
        assert set(bodies) == {f"u{i}" for i in range(3000)}


if __name__ == "__main__":
    main([both_servers, conformance, poison_goes_to_the_dead_letters, what_the_server_refuses_spoils_no_other, delivered_twice_is_the_same_record, busy_messages_are_kept, complains_at_the_start, a_queue_that_hangs_is_waited_for])
