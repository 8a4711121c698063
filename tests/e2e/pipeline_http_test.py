#!/usr/bin/env python3
"""Pipelines whose records come and go by HTTP: compatibility with the original, a chain of enriching hops, kill -9 of each hop,
hostile bodies, tokens and tenants, a repository that is away."""
import json
import random
import signal
import subprocess
import sys
import threading
import time
import uuid

import harness
from harness import main
from node import Node
from pipes import Folder, Repository, free_ports, post

QUICK = "retry: {attempts: 100, initial: 20ms, max: 200ms}\n"


def hop(name, port, target, processors="[]", writer="", more=QUICK):
    return f"""name: {name}
ingestors:
  - {{type: http, listen: '127.0.0.1:{port}'}}
processors: {processors}
writer: {{type: http, url: 'http://127.0.0.1:{target}/ingest'{writer}}}
{more}"""


def to_file(port, options="", more=QUICK, processors="[]"):
    return f"""name: sink
ingestors:
  - {{type: http, listen: '127.0.0.1:{port}'{options}}}
processors: {processors}
writer: {{type: file, path: out.ndjson}}
{more}"""


def test_is_compatible_with_the_original():
    with Folder() as folder:
        port, = free_ports(1)
        folder.start("sink.yaml", to_file(port), port)
        record = {"uuid": "", "source_type": "mock", "source_id": "s", "data": "hello", "data_id": "1", "metadata": {"a": [1, {"b": None}]},
                  "metadata_type": "NULL", "lang": "", "tenant_id": "t", "created_at": "0001-01-01T00:00:00Z",
                  "updated_at": "2023-04-05T06:07:08.123456+02:00", "stars": 5}
        answer = post(port, record)
        assert answer.status == 200 and answer.body == b"", answer
        assert post(port, b"{").status == 400
        assert post(port, b"").status == 400
        assert post(port, b'{"data": 5}').status == 400
        assert post(port, b"", method="GET").status == 405
        assert post(port, b"{}", path="/other").status == 404
        assert post(port, b"{}", Content_Type="image/png").status == 415
        stored = folder.read("out.ndjson")
        assert len(stored) == 1, stored
        kept = stored[0]
        uuid.UUID(kept["uuid"])
        assert kept["metadata"] == record["metadata"] and kept["stars"] == 5 and kept["data"] == "hello", kept
        assert kept["updated_at"].startswith("2023-04-05T04:07:08.123456"), kept


def test_takes_batches_and_names_outcomes():
    with Folder() as folder:
        port, = free_ports(1)
        folder.start("sink.yaml", to_file(port), port)
        lines = b'{"uuid":"1","data":"a"}\n{"uuid":"2","data":7}\n{"uuid":"3","data":"c"}\n'
        answer = post(port, lines, Accept="application/json")
        told = json.loads(answer.body)
        assert [one["outcome"] for one in told["outcomes"]] == ["accepted", "rejected", "accepted"], told
        assert "data" in told["outcomes"][1]["reason"], told
        assert post(port, b'[{"uuid":"4"},{"uuid":"5"}]').status == 200
        refused = post(port, b'[{"uuid":"6"},{"uuid":5}]')
        assert refused.status == 400 and json.loads(refused.body)["errors"][0]["record"] == 1, refused
        assert sorted(one["uuid"] for one in folder.read("out.ndjson")) == ["1", "3", "4", "5"]


ENRICH = ("[{type: match, rules: [{when: {field: data, contains: product1}, set: {source_id: product1}}]}]",
          "[{type: language}]", "[{type: redact, when: {field: source_id, equals: product1}}]")


def test_chain_of_three_hops_enriches():
    with Folder() as folder, Repository() as repository:
        ports = free_ports(3)
        targets = [ports[1], ports[2], repository.port]
        for i in (2, 1, 0):
            folder.start(f"hop{i}.yaml", hop(f"hop{i}", ports[i], targets[i], ENRICH[i]), ports[i])
        assert post(ports[0], {"uuid": "1", "data": "Please write to ada@example.org about the new product1, we all want it."}).status == 200
        assert post(ports[0], {"uuid": "2", "data": "Alle Menschen sind frei und gleich an Würde und Rechten geboren: ada@example.org"}).status == 200
        first, second = repository.records["1"], repository.records["2"]
        assert first["source_id"] == "product1" and first["lang"] == "en", first
        assert first["data"] == "Please write to [email] about the new product1, we all want it.", first
        assert second["lang"] == "de" and "ada@example.org" in second["data"] and second["source_id"] == "", second


class Sender(threading.Thread):
    """Sends records until it is told to stop; each until it is acknowledged."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.port, self.number, self.acknowledged, self.stopping = port, number, [], threading.Event()

    def run(self):
        i = 0
        while not self.stopping.is_set():
            record = {"uuid": f"{self.number}-{i}", "data": f"product1 number {i} of ada@example.org", "data_id": str(i)}
            i += 1
            while not self.stopping.is_set():
                try:
                    answer = post(self.port, record, timeout=10)
                except OSError:
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    self.acknowledged.append(record["uuid"])
                    break
                assert answer.status in (500, 503), answer
                time.sleep(0.02)


def test_nothing_acknowledged_is_lost_when_hops_are_killed():
    rounds = 12
    randomness = random.Random(5)
    with Folder() as folder, Repository() as repository:
        ports = free_ports(3)
        targets = [ports[1], ports[2], repository.port]
        pipes = [folder.start(f"hop{i}.yaml", hop(f"hop{i}", ports[i], targets[i], ENRICH[i]), ports[i]) for i in (2, 1, 0)]
        senders = [Sender(ports[0], number) for number in range(6)]
        for sender in senders:
            sender.start()
        for _ in range(rounds):
            time.sleep(randomness.uniform(0.1, 0.5))
            pipe = randomness.choice(pipes)
            pipe.kill()
            repository.status = randomness.choice([200, 200, 500])
            time.sleep(randomness.uniform(0.0, 0.3))
            repository.status = 200
            pipe.start()
        time.sleep(1)
        for sender in senders:
            sender.stopping.set()
        for sender in senders:
            sender.join(30)
        acknowledged = [name for sender in senders for name in sender.acknowledged]
        assert len(acknowledged) > 50, f"only {len(acknowledged)} came through"
        lost = [name for name in acknowledged if name not in repository.records]
        assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged records are lost: {lost[:5]}"
        for name in acknowledged:
            record = repository.records[name]
            assert record["source_id"] == "product1" and "[email]" in record["data"], record
        for pipe in pipes:
            pipe.stop()


def test_hostile_bodies_do_no_harm():
    with Folder() as folder:
        port, = free_ports(1)
        pipe = folder.start("sink.yaml", to_file(port, ", max_body: 1MiB"), port)
        deep = b'{"metadata":' + b"[" * 10000 + b"]" * 10000 + b"}"
        cases = {
            "invalid UTF-8": (b'{"data":"\xff\xfe"}', 400),
            "lone surrogate": (b'{"data":"\\ud800"}', 400),
            "deep": (deep, 400),
            "too large": (b'{"data":"' + b"x" * (2 << 20) + b'"}', 413),
            "no object": (b"5", 400),
            "text": (b"hello", 400),
            "unclosed": (b'[{"data":"a"}', 400),
            "comma": (b'[{"data":"a"},]', 400),
            "bad time": (b'{"created_at":"yesterday"}', 400),
            "no JSON in metadata": (b'{"metadata":{"a":}}', 400),
            "zeros": (b"\0" * 1000, 400),
            "many small": (b"{}" * 1000, (200, 400)),
            "numbers": (b'{"metadata":{"n":1e999999}}', (200, 400)),
        }
        for name, (body, statuses) in cases.items():
            answer = post(port, body)
            expected = statuses if isinstance(statuses, tuple) else (statuses,)
            assert answer.status in expected, f"{name}: {answer}"
            assert pipe.process.poll() is None, f"{name}: it ended: {pipe.said()}"
        assert post(port, rb'{"uuid":"nul","data":"a\u0000b"}').status == 200
        assert post(port, b'{"uuid":"last","unknown":{"kept":[1,2.50,"\\u00e4"]}}').status == 200
        stored = {one["uuid"]: one for one in folder.read("out.ndjson")}
        assert stored["nul"]["data"] == "a\0b", stored["nul"]
        assert stored["last"]["unknown"] == {"kept": [1, 2.5, "ä"]}, stored["last"]


def test_random_bodies_do_no_harm():
    randomness = random.Random(11)
    seed = b'[{"uuid":"1","data":"a\\u00e4","metadata":{"a":[1,true,null]},"created_at":"2024-01-01T00:00:00Z"},{"x":"y"}]'
    with Folder() as folder:
        port, = free_ports(1)
        pipe = folder.start("sink.yaml", to_file(port), port)
        for _ in range(300):
            body = bytearray(seed)
            for _ in range(randomness.randint(1, 5)):
                body[randomness.randrange(len(body))] = randomness.randrange(256)
            answer = post(port, bytes(body), Accept=randomness.choice(["*/*", "application/json"]))
            assert answer.status in (200, 400, 422), f"{bytes(body)!r}: {answer}"
        assert pipe.process.poll() is None
        folder.read("out.ndjson")  # JSON, all of it


def test_tokens_fix_the_tenant():
    with Folder() as folder:
        port, = free_ports(1)
        pipe = folder.start("sink.yaml", to_file(port, ", tokens: {acme: '${{ env.ACME }}', other: o-token}"), port,
                            env={"ACME": "very-secret"})
        assert post(port, {"data": "x"}).status == 401
        assert post(port, {"data": "x"}, Authorization="Bearer wrong").status == 401
        assert post(port, {"uuid": "1"}, Authorization="Bearer very-secret").status == 200
        assert post(port, {"uuid": "2", "tenant_id": "acme"}, Authorization="Bearer very-secret").status == 200
        assert post(port, {"uuid": "3", "tenant_id": "other"}, Authorization="Bearer very-secret").status == 403
        stored = folder.read("out.ndjson")
        assert {one["uuid"]: one["tenant_id"] for one in stored} == {"1": "acme", "2": "acme"}, stored
        assert "very-secret" not in pipe.said()


def test_unknown_tenants_are_refused():
    with Folder() as folder:
        port, = free_ports(1)
        folder.start("sink.yaml", to_file(port, ", tenants: [a, b]"), port)
        assert post(port, {"tenant_id": "a"}).status == 200
        assert post(port, {"tenant_id": "c"}).status == 403
        assert post(port, {}).status == 403


def test_a_tenant_over_its_limit_is_told_when_to_come():
    with Folder() as folder:
        port, = free_ports(1)
        folder.start("sink.yaml", to_file(port, more="tenants: {records_per_second: 1}\n"), port)
        assert post(port, [{"tenant_id": "a", "data": str(i)} for i in range(30)]).status == 200
        answer = post(port, {"tenant_id": "a"})
        assert answer.status == 429 and int(answer.headers["Retry-After"]) > 5 and b"1 records a second" in answer.body, answer
        assert post(port, {"tenant_id": "b"}).status == 200


def test_a_node_is_not_ready_while_its_pipeline_is_not():
    with harness.Workspace() as ws, Repository() as repository:
        ws.write("p.yaml", "name: p\ningestors: [{type: generate, rate: 100}]\nwriter: {type: http, url: 'http://127.0.0.1:%d/ingest'}\n"
                 "circuit: {failures: 2, pause: 5s}\nshutdown: 100ms\n" % repository.port)
        with Node(ws, "--pipelines", "p.yaml") as node:
            def ready(expected):
                deadline = time.monotonic() + 20
                while (answer := post(node.port, b"", path="/readyz", method="GET")).status != expected:
                    assert time.monotonic() < deadline, answer
                    time.sleep(0.05)
                return answer
            ready(200)
            repository.status = 503
            assert b"pipeline 'p'" in ready(503).body
            repository.status = 200
            ready(200)


def test_says_at_the_start_what_is_wrong():
    with Folder() as folder:
        ports = free_ports(3)
        folder.start("sink.yaml", to_file(ports[0], ", token: right"), ports[0])
        done = folder.run("wrong.yaml", hop("wrong", ports[1], ports[0], writer=", token: wrong"), code=harness.EXIT_FAILURE)
        assert b"token" in done.err and b"wrong" not in done.err.replace(b"wrong.yaml", b"").replace(b"'wrong'", b""), done.err
        done = folder.run("taken.yaml", hop("taken", ports[0], ports[2]), code=harness.EXIT_BUSY)
        assert b"listen" in done.err and str(ports[0]).encode() in done.err, done.err
        done = folder.run("typo.yaml", hop("typo", ports[1], ports[0]).replace("url:", "ulr:"), code=harness.EXIT_FAILURE)
        assert b"typo.yaml:5" in done.err and b"url" in done.err, done.err
        done = folder.run("open.yaml", hop("open", ports[1], ports[0]).replace("127.0.0.1:%d'}" % ports[1], "0.0.0.0:%d'}" % ports[1]),
                          code=harness.EXIT_FAILURE)
        assert b"anonymous" in done.err, done.err


def test_waits_for_a_repository_that_is_away():
    more = "retry: {attempts: 1000, initial: 20ms, max: 100ms}\nqueue: {max_records: 200, max_bytes: 4MiB}\ncircuit: {failures: 3, pause: 200ms}\n"
    with Folder() as folder, Repository() as repository:
        port, = free_ports(1)
        pipe = folder.start("hop.yaml", hop("hop", port, repository.port, more=more), port)
        assert post(port, {"uuid": "0"}).status == 200
        repository.status = 503
        results = []
        senders = [threading.Thread(target=lambda: results.append(post(port, {"data": "x" * 20000}, timeout=5).status), daemon=True)
                   for _ in range(60)]
        before = pipe.memory()
        for sender in senders:
            sender.start()
        time.sleep(2)
        assert pipe.memory() < before + (64 << 20), f"{before} -> {pipe.memory()}"
        repository.status = 200
        for sender in senders:
            sender.join(20)
        assert set(results) <= {200, 500, 503}, results
        deadline = time.monotonic() + 20
        while post(port, {"uuid": "1"}).status != 200:
            assert time.monotonic() < deadline, "it does not recover"
            time.sleep(0.1)
        assert "1" in repository.records


def test_drains_on_a_signal():
    with Folder() as folder, Repository() as repository:
        port, = free_ports(1)
        pipe = folder.start("hop.yaml", hop("hop", port, repository.port), port)
        repository.delay = 0.3
        results = []
        senders = [threading.Thread(target=lambda i=i: results.append((i, post(port, {"uuid": str(i)}).status))) for i in range(8)]
        for sender in senders:
            sender.start()
        time.sleep(0.15)
        pipe.process.send_signal(signal.SIGTERM)
        for sender in senders:
            sender.join()
        assert pipe.process.wait(20) == 0, pipe.said()
        acknowledged = [i for i, status in results if status == 200]
        assert len(acknowledged) == 8, results
        for i in acknowledged:
            assert str(i) in repository.records


def test_tls():
    with Folder() as folder:
        ports = free_ports(2)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder.path + "/key.pem", "-out",
                        folder.path + "/cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)
        folder.start("sink.yaml", to_file(ports[0], ", tls_certificate: cert.pem, tls_key: key.pem"), ports[0])
        text = hop("hop", ports[1], ports[0], writer=", ca_file: cert.pem").replace("url: 'http:", "url: 'https:")
        folder.start("hop.yaml", text, ports[1])
        assert post(ports[1], {"uuid": "1"}).status == 200
        assert [one["uuid"] for one in folder.read("out.ndjson")] == ["1"]
        untrusted = text.replace(", ca_file: cert.pem", "").replace(str(ports[1]), str(free_ports(1)[0]))
        done = folder.run("untrusted.yaml", untrusted, code=harness.EXIT_FAILURE)
        assert b"url" in done.err, done.err


def test_processors_work_together():
    with Folder() as folder:
        lines = [{"uuid": str(i % 8), "data": f"record {i % 8} of ada@example.org", "tenant_id": "t", "source_type": "spam" if i % 8 == 3 else "x"}
                 for i in range(8)]
        folder.write("in.ndjson", "".join(json.dumps(one) + "\n" for one in lines))
        folder.write("upper.py", "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line.replace('record', 'RECORD'))\n    sys.stdout.flush()\n")
        folder.run("all.yaml", f"""
ingestors: [{{type: file, path: in.ndjson}}]
processors:
  - {{type: drop, when: {{field: source_type, equals: spam}}}}
  - {{type: match, rules: [{{when: {{field: data, matches: 'record [0-2]'}}, set: {{lang: low}}}}]}}
  - {{type: sql, query: "select * replace (source_type || '!' as source_type) from input where uuid <> '7'"}}
  - {{type: exec, command: [{sys.executable}, upper.py], when: {{field: lang, equals: low}}}}
  - {{type: redact}}
  - {{type: batch, by: [lang]}}
writer: {{type: file, path: out.ndjson}}
""")
        stored = folder.read("out.ndjson")
        assert sorted(one["uuid"] for one in stored) == ["0", "1", "2", "4", "5", "6"], stored
        for one in stored:
            is_low = one["uuid"] in "012"
            assert one["data"] == f"{'RECORD' if is_low else 'record'} {one['uuid']} of [email]", one
            assert one["source_type"] == "x!", one


def test_repeats_are_forwarded_once():
    """A repeat while the first is on its way waits for it; what failed may come again."""
    processors = "[{type: dedupe, window: 10m}]"
    with Folder() as folder, Repository() as repository:
        port, = free_ports(1)
        folder.start("hop.yaml", hop("hop", port, repository.port, processors, more="retry: {attempts: 2, initial: 10ms, max: 20ms}\n"), port)
        record = {"uuid": "1", "data": "x", "source_type": "s", "data_id": "7"}
        repository.delay = 0.4
        answers = []
        start = time.monotonic()
        senders = [threading.Thread(target=lambda i=i: answers.append(post(port, {**record, "uuid": str(i)}).status)) for i in range(5)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert answers == [200] * 5 and time.monotonic() - start > 0.35, answers
        assert repository.requests == 1, repository.requests
        repository.delay = 0
        again = post(port, record, Accept="application/json")
        assert json.loads(again.body)["outcomes"][0]["outcome"] == "duplicate", again
        repository.status = 500
        assert post(port, {"uuid": "other"}).status in (500, 503)
        repository.status = 200
        deadline = time.monotonic() + 20
        while post(port, {"uuid": "other"}).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert repository.requests == 2 and "other" in repository.records, repository.records


if __name__ == "__main__":
    main([test_is_compatible_with_the_original, test_takes_batches_and_names_outcomes, test_chain_of_three_hops_enriches,
          test_nothing_acknowledged_is_lost_when_hops_are_killed, test_hostile_bodies_do_no_harm, test_random_bodies_do_no_harm,
          test_tokens_fix_the_tenant, test_unknown_tenants_are_refused, test_a_tenant_over_its_limit_is_told_when_to_come, test_a_node_is_not_ready_while_its_pipeline_is_not, test_says_at_the_start_what_is_wrong,
          test_waits_for_a_repository_that_is_away, test_drains_on_a_signal, test_tls, test_processors_work_together,
          test_repeats_are_forwarded_once])
