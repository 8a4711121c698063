#!/usr/bin/env python3
"""The node as a service: its configuration, its log, quotas, limits of the process."""
import json
import os
import resource
import subprocess
import time

import harness
from harness import APPEND, Workspace, main, records
from node import Node, check_problem

EXIT_USAGE, EXIT_FAILURE = harness.EXIT_USAGE, harness.EXIT_FAILURE


def token(ws, account, *scopes):
    args = [part for scope in scopes for part in ("--scope", scope)]
    return ws.run("token", "create", "--account", account, *args).out.decode().strip()


def bearer(text):
    return {"Authorization": "Bearer " + text}


def config(ws, text, name="node.yaml"):
    return ["--config", ws.write(name, text)]


# --- configuration ---

def a_wrong_configuration_names_file_and_line():
    cases = {
        "ack: durable\nlisen: 1\n": "node.yaml:2: unknown key 'lisen' (did you mean 'listen'?)",
        "limits:\n  header: lots\n": "node.yaml:2: key 'limits.header' is \"lots\": bytes are expected",
        "tls:\n  certificate: x.pem\n": "tls.certificate is given without tls.key",
        "jwt: {jwks: x.json}\n": "missing key 'jwt.issuer'",
        "a: [\n": "node.yaml:",
        "keys: {window: 1m}\n": "weakens a guarantee",
        "listen: 0.0.0.0:0\n": "can be reached by others",
        "acceptNewLog: true\n": "command line",
        "accessLog: ${{ env.SLUICE_TEST_NOT_SET }}\n": "SLUICE_TEST_NOT_SET",
    }
    with Workspace() as ws:
        for text, words in cases.items():
            for check in (["--check-config"], []):
                done = ws.run("serve", *check, *config(ws, text), code=EXIT_FAILURE)
                assert words in done.err.decode(), f"{text}: {done}"
        done = ws.run("serve", "--config", "nowhere.yaml", code=EXIT_FAILURE)
        assert b"nowhere.yaml" in done.err, done
        done = ws.run("serve", "--block-budget", "-1", code=EXIT_USAGE)
        assert b"--block-budget '-1'" in done.err, done


def a_configuration_is_checked_without_being_served():
    with Workspace(init=False) as ws:
        done = ws.run("serve", "--check-config", *config(ws, "ack: durable\naccept: [fewKeys]\nkeys: {perSource: 10}\n"))
        assert b"can be served" in done.err and b"fewer than 10,000" in done.err, done
        done = ws.run("serve", "--check-config", *config(ws, "tls: {certificate: x.pem, key: y.pem}\n"), code=EXIT_FAILURE)
        assert b"x.pem" in done.err or b"y.pem" in done.err, done


def a_configuration_is_served():
    with Workspace() as ws:
        ws.add("d", APPEND)
        text = "ack: ${{ env.SLUICE_TEST_ACK }}\nblockBudget: unlimited\naccessLog: access.log\n"
        with Node(ws, *config(ws, text), env={"SLUICE_TEST_ACK": "durable"}) as node:
            answer = node.push("d", records([1]))
            assert answer.status == 202, answer
            assert node.settled(answer.json["receipt"])["status"] == "committed"
        # The command line wins.
        with Node(ws, *config(ws, text), "--ack", "committed", env={"SLUICE_TEST_ACK": "durable"}) as node:
            assert node.push("d", records([2])).status == 200
        assert os.path.getsize(os.path.join(ws.folder, "access.log")) > 0


def values_of_variables_are_not_shown():
    secret = "hunter2-is-a-secret"
    with Workspace() as ws:
        for text in ["ack: ${{ env.SLUICE_TEST_SECRET }}\n", "listen: \"${{ env.SLUICE_TEST_SECRET }}\"\n",
                     "limits: {header: \"${{ env.SLUICE_TEST_SECRET }}\"}\n"]:
            done = ws.run("serve", *config(ws, text), code=EXIT_FAILURE, env={**os.environ, "SLUICE_TEST_SECRET": secret})
            assert secret.encode() not in done.err and b"SLUICE_TEST_SECRET" in done.err, done


def a_key_of_secrets_beside_the_data_is_refused():
    with Workspace() as ws:
        key = os.path.join(ws.folder, "..", os.path.basename(ws.folder) + ".key")
        outside = {**os.environ, "SLUICE_SECRETS_KEY_FILE": key}
        try:
            ws.run("secrets", "set", "API", data=b"value", env=outside)
            inside = ws.write("secrets.key", open(key, encoding="utf-8").read())
            os.chmod(inside, 0o600)
            node = Node(ws, start=False, env={"SLUICE_SECRETS_KEY_FILE": inside})
            assert "lies in the workspace" in node.refuses()
            with Node(ws, env={"SLUICE_SECRETS_KEY_FILE": key}) as node:
                assert node.get("/livez").status == 200
        finally:
            if os.path.exists(key):
                os.remove(key)


def explain_says_what_a_configuration_means():
    text = "ack: durable\naccept: [shortKeyWindow]\nkeys: {window: 10m, perSource: 20000}\n"
    with Workspace() as ws:
        ws.add("d", APPEND)
        plain = ws.run("explain", "d").out.decode()
        assert "nothing in its configuration weakens" in plain and "(1d, 1000000 keys)" in plain, plain
        for line in ("answers pushes when they are durable in its queue", "weakened, as asked for: idempotency keys are forgotten",
                     "(10m, 20000 keys)"):
            assert line in ws.run("explain", "d", *config(ws, text)).out.decode(), line
            # Of the node that runs here.
            with Node(ws, *config(ws, text)) as node:
                said = ws.run("explain").out.decode()
                assert line in said and said.startswith("the node that is running here"), said
                assert any("Weakened, as asked for" in line for line in node.said), node.said
        done = ws.run("explain", *config(ws, "keys: {window: 10m}\n"), code=EXIT_FAILURE)
        assert b"shortKeyWindow" in done.err, done


def help_and_documents_list_every_key():
    with Workspace(init=False) as ws:
        text = ws.run("serve", "--help").out.decode()
    listed = text.split("Keys of the configuration file")[1].splitlines()[1:]
    keys = [line.split()[0] for line in listed if line.startswith("  ") and "(default" in line]
    assert len(keys) > 30 and "limits.connections" in keys, text
    with open(os.path.join(harness.ROOT, "docs", "node.md"), encoding="utf-8") as file:
        page = file.read()
    missing = [key for key in keys if f"`{key}`" not in page]
    assert not missing, f"docs/node.md does not list {missing}"


# --- log ---

def read_log(path, wanted, timeout=10):
    """The events of a JSON log once `wanted` says there are enough."""
    deadline = time.monotonic() + timeout
    while True:
        lines = []
        if os.path.exists(path):  # after a rotation it comes with the next event
            with open(path, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
        if wanted(lines):
            return lines
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)


def events_are_logged_with_request_ids():
    with Workspace() as ws:
        ws.add("d", APPEND)
        path = os.path.join(ws.folder, "node.log")
        text = f"log: {{file: {path}, level: debug, format: json}}\n"
        with Node(ws, *config(ws, text)) as node:
            answer = node.get("/nowhere?uploadToken=secret.secret&x=1", headers={"X-Request-Id": "abc-1"})
            assert answer.headers["X-Request-Id"] == "abc-1" and answer.json["requestId"] == "abc-1"
            node.raw(b"BROKEN\r\n\r\n")
            lines = read_log(path, lambda lines: any(line["event"] == "refused-request" for line in lines))
            os.rename(path, path + ".1")
            time.sleep(1.2)
            node.get("/livez")
            read_log(path, lambda lines: any(line.get("route") == "/livez" for line in lines))
            node.stop()
            assert read_log(path, lambda lines: True)[-1]["event"] == "stop"
        (first,) = [line for line in lines if line.get("id") == "abc-1"]
        assert first["event"] == "request" and first["status"] == 404 and first["level"] == "debug", first
        assert first["peer"].startswith("127.0.0.1:") and first["millis"] >= 0, first
        assert {"start", "anonymous-access"} <= {line["event"] for line in lines}, lines
        assert all(line["time"].endswith("Z") for line in lines) and "secret" not in json.dumps(lines), lines


def standard_error_is_json_alone_when_asked():
    with Workspace() as ws:
        process = ws.start("serve", "--listen", "127.0.0.1:0", "--log-format", "json", stdout=subprocess.DEVNULL)
        said = []
        for line in process.stderr:
            said.append(json.loads(line))
            if said[-1]["event"] == "start":
                break
        process.terminate()
        said += [json.loads(line) for line in process.stderr]
        assert process.wait(30) in (0, harness.EXIT_INTERRUPTED)
        assert {"start", "anonymous-access", "stopping", "stop"} <= {line["event"] for line in said}, said
        assert any(line.get("url", "").startswith("http://127.0.0.1:") for line in said), said


# --- limits ---

def the_limit_of_open_files_is_raised():
    def limit(soft, hard):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with Workspace() as ws:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard > 10000:
            with Node(ws, preexec_fn=limit(256, 10000)) as node:
                with open(f"/proc/{node.process.pid}/limits", encoding="utf-8") as file:
                    (line,) = [line for line in file if line.startswith("Max open files")]
                assert int(line.split()[3]) >= 8192 + 256, line
                assert not any("may open" in line for line in node.said), node.said
        with Node(ws, preexec_fn=limit(256, 1500)) as node:
            assert any("may open 1500 files" in line for line in node.said), node.said
            assert node.get("/livez").status == 200


# --- quotas ---

def an_account_over_its_quota_is_told_when_to_come_again():
    text = ("quotas:\n  default: {requestsPerSecond: 2}\n  accounts:\n    big: {bytesPerSecond: 1KiB}\n")
    with Workspace() as ws:
        ws.add("d", APPEND)
        kim, big = token(ws, "kim", "admin"), token(ws, "big", "admin")
        with Node(ws, *config(ws, text)) as node:
            answers = [node.get("/d/sources", headers=bearer(kim)) for _ in range(40)]
            statuses = [answer.status for answer in answers]
            assert statuses[0] == 200 and statuses.count(429) > 10, statuses
            check_problem(answers[-1], 429, "account 'kim' is over the quota")
            # Another account is not concerned, and a large body is taken, and waited for afterwards.
            body = records(range(1000))
            assert node.push("d", body, **bearer(big)).status == 200
            refused = check_problem(node.push("d", body, **bearer(big)), 429, "account 'big'")
            assert refused, refused
            assert node.get("/livez").status == 200
            metrics = node.get("/metrics").body.decode()
            assert 'sluice_tenant_refused_total{tenant="kim"}' in metrics, metrics
            assert f'sluice_tenant_bytes_total{{tenant="big"}} {len(body)}' in metrics, metrics
            # What was refused was not written.
            assert len(ws.rows("d")) == 1000


# --- two tenants ---

def one_tenants_flood_does_not_hold_up_another():
    """While one account's queue is full of batches for many datasets, another's single pushes are answered soon."""
    floods = 12
    with Workspace() as ws:
        for n in range(floods):
            ws.add(f"flood{n}", APPEND)
        ws.add("calm", APPEND)
        flood, calm = bearer(token(ws, "flood", "push")), bearer(token(ws, "calm", "push"))
        body = records(range(2000))
        with Node(ws, "--block-budget", "unlimited") as node:
            assert node.push("calm", records([0]), **calm).status == 200

            def push_much(n):
                statuses = []
                end = time.monotonic() + 6
                while time.monotonic() < end:
                    answer = node.push(f"flood{n}", body, respond_async=True, **flood)
                    assert answer.status in (202, 503), answer
                    statuses.append(answer.status)
                return statuses

            def push_little(_):
                took = []
                time.sleep(1)
                for k in range(60):
                    start = time.monotonic()
                    answer = node.push("calm", records([1 + k]), **calm)
                    took.append(time.monotonic() - start)
                    assert answer.status == 200, answer
                    time.sleep(0.05)
                return took

            results = harness.in_parallel([lambda n=n: push_much(n) for n in range(floods)] + [lambda: push_little(0)])
            took = sorted(results[-1])
            taken = sum(len(r) for r in results[:-1])
            p50, p99 = took[len(took) // 2], took[-1]
            print(f"       {taken} batches of 2000 records beside it: median {p50 * 1000:.0f} ms, slowest {p99 * 1000:.0f} ms")
            assert taken > 50, taken
            assert p99 < 2.0, took
            text = node.get("/metrics").body.decode()
            assert 'sluice_tenant_queued_bytes{tenant="flood"}' in text and 'sluice_tenant_waiting_bytes{tenant="calm"}' in text
        assert len(ws.rows("calm")) == 61


if __name__ == "__main__":
    main([a_wrong_configuration_names_file_and_line, a_configuration_is_checked_without_being_served, a_configuration_is_served,
          values_of_variables_are_not_shown, a_key_of_secrets_beside_the_data_is_refused,
          explain_says_what_a_configuration_means, help_and_documents_list_every_key,
          events_are_logged_with_request_ids, standard_error_is_json_alone_when_asked, the_limit_of_open_files_is_raised,
          an_account_over_its_quota_is_told_when_to_come_again, one_tenants_flood_does_not_hold_up_another])
