#!/usr/bin/env python3
"""Pushing over HTTP, row by row of its specification: headers, compare-and-set, idempotency keys, receipts, status codes,
the queue that stands still, and what survives a restart."""
import contextlib
import json
import os
import shutil
import time

from harness import APPEND, LEDGER, SNAPSHOT, UPSERT, Workspace, in_parallel, live, main, record, records
from node import Node, check_committed, check_problem

FIELDS = [("event_time", "{kind: Option, inner: Timestamp}"), ("k", "Int64"), ("v", "String")]


def source(name, merge, *, read="NdJson", fields=FIELDS, preprocess=""):
    lines = "\n".join(f"            - {{name: {n}, type: {t}}}" for n, t in fields)
    query = f"      preprocess:\n        kind: Sql\n        engine: datafusion\n        query: {json.dumps(preprocess)}\n" if preprocess else ""
    return (f"    - kind: AddPushSource\n      sourceName: {name}\n      read:\n        kind: {read}\n        schema:\n          fields:\n"
            f"{lines}\n{query}      merge: {merge}\n")


@contextlib.contextmanager
def served(*args, d=APPEND, **datasets):
    """A node, and a dataset for each name: its merge strategy, or the sources themselves."""
    with Workspace() as ws:
        for name, merge in {"d": d, **datasets}.items():
            if merge.startswith("{"):
                ws.add(name, merge, fields=FIELDS)
            else:
                ws.run("add", ws.write(name + ".yaml", "kind: DatasetSnapshot\nversion: 1\ncontent:\n"
                                       f"  name: {name}\n  kind: Root\n  metadata:\n{merge}"))
        with Node(ws, *args) as node:
            yield node
            for name in ("d", *datasets):
                ws.run("verify", name)


def rows(node, dataset="d"):
    return [(r["k"], r["v"]) for r in node.ws.rows(dataset)]


ONE, TWO = record(1, "one"), record(2, "two")
BAD = '{"event_time": "2024-01-01T00:00:00Z", "k": "three", "v": "x"}\n'


# --- the request headers ---

def the_simplest_push_is_committed():
    with served() as node:
        body = check_committed(node.request("POST", "/d/ingest", ONE.encode()), 1, 1)
        assert body["offsets"] == {"start": 0, "end": 0} and body["sourceState"] is None, body
        assert body["newHead"] == body["blockHash"] == node.ws.head("d") and body["oldHead"] != body["newHead"], body
        assert body["watermark"] == "2024-01-01T00:00:00Z", body
        again = check_committed(node.push("d", ONE), 1, 1)
        assert again["offsets"] == {"start": 1, "end": 1} and again["oldHead"] == body["newHead"], again
        assert again["sequence"] == body["sequence"] + 1
        assert rows(node) == [(1, "one"), (1, "one")]
        node.ws.run("verify", "d", "--contains", again["blockHash"])


def content_types_that_say_nothing_mean_the_sources_own_format():
    with served() as node:
        types = [None, "application/octet-stream", "text/plain", "text/plain; charset=utf-8",
                 "application/x-www-form-urlencoded", "application/x-ndjson", "APPLICATION/X-NDJSON; charset=UTF-8"]
        for media_type in types:
            check_committed(node.push("d", ONE, media_type=media_type), 1, 1)
        assert len(rows(node)) == len(types)


def content_type_selects_another_format():
    with served() as node:
        check_committed(node.push("d", f"[{ONE},{TWO}]", media_type="application/json; charset=utf-8"), 2, 2)
        check_committed(node.push("d", "2024-01-01T00:00:00Z,3,three\n", media_type="text/csv"), 1, 1)
        assert rows(node) == [(1, "one"), (2, "two"), (3, "three")]
        check_problem(node.push("d", ONE, media_type="image/png"), 415, "image/png")
        check_problem(node.push("d", ONE, media_type="no type at all"), 415)
        assert len(rows(node)) == 3


def event_time_fills_what_is_missing():
    with served() as node:
        body = json.dumps({"k": 1, "v": "x"}) + "\n" + record(2)
        check_committed(node.push("d", body, event_time="2020-05-06T07:08:09Z"), 2, 2)
        times = {r["k"]: r["event_time"] for r in node.ws.rows("d")}
        assert times[1].startswith("2020-05-06T07:08:09") and times[2].startswith("2024-01-01T00:00:00"), times
        check_committed(node.push("d", body, event_time="2020-05-06T09:08:09+02:00"), 2, 2)
        assert [r["event_time"] for r in node.ws.rows("d") if r["k"] == 1][1].startswith("2020-05-06T07:08:09")
        for bad in ("yesterday", "2020-13-01T00:00:00Z", ""):
            check_problem(node.push("d", body, event_time=bad), 400, "ODF-Event-Time")
        before = time.time()
        answer = check_committed(node.push("d", json.dumps({"k": 7, "v": "x"})), 1, 1)
        received = node.ws.rows("d")[-1]["event_time"]
        assert received[:4] == time.strftime("%Y", time.gmtime(before)), (received, answer)


def a_misspelt_parameter_is_refused():
    with served() as node:
        for query in ("source=default", "sourcename=default", "sourceName=default&allowempty=true", "x"):
            check_problem(node.push("d", ONE, query=query), 400, "known are sourceName, allowEmpty, uploadToken")
        assert rows(node) == []


def both_state_headers_or_neither():
    with served() as node:
        check_problem(node.push("d", ONE, state="1"), 428, "ODF-If-Source-State")
        check_problem(node.push("d", ONE, before="*"), 428, "ODF-Source-State")
        check_problem(node.push("d", ONE, state="1", before="1"), 400, "'1'")
        check_problem(node.push("d", ONE, kind="own/kind"), 400, "ODF-Source-State-Kind")
        assert rows(node) == [] and node.state("d") is None


def states_are_visible_ascii():
    with served() as node:
        for bad in ("", "*", "*x", "a b", "x" * 4097, "\u00e4"):
            check_problem(node.push("d", ONE, state=bad, before="*"), 400, "ODF-Source-State")
        for bad in ("", "*x", "a b", "x" * 4097):
            check_problem(node.push("d", ONE, state="1", before=bad), 400, "ODF-If-Source-State")
        for kind in ("sluice/file", "", "a b", "x" * 256):
            check_problem(node.push("d", ONE, state="1", before="*", kind=kind), 400)
        assert rows(node) == []
        longest = "".join(chr(33 + i % 94) for i in range(4096)).replace("*", "-")
        check_committed(node.push("d", ONE, state=longest, before="*"), 1, 1)
        assert node.state("d") == (longest, longest)


def a_kind_is_kept_and_compared():
    with served() as node:
        body = check_committed(node.push("d", ONE, state="1", before="*", kind="own/position"), 1, 1)
        assert body["sourceState"] == {"sourceName": "default", "kind": "own/position", "value": "1"}
        told = node.get("/d/sources/default/state").json
        assert told["kind"] == "own/position", told
        # Another kind is another state, whatever its value.
        check_problem(node.push("d", TWO, state="2", before="1"), 412, "'1' of kind 'own/position', not '1' of kind 'sluice/token'")
        check_committed(node.push("d", TWO, state="2", before="1", kind="own/position"), 1, 1)


def a_sources_name_may_hold_slashes():
    with served(d=source("web/eu 1", APPEND)) as node:
        check_problem(node.get("/d/sources/web/eu%201/state"), 404, "no state yet")
        check_committed(node.push("d", ONE, source="web/eu 1"), 1, 1)
        node.ws.run("push", "--source", "web/eu 1", f"http://127.0.0.1:{node.port}/d", node.ws.write("more.ndjson", TWO))
        found = node.get("/d/sources/web/eu%201")
        assert found.status == 200 and found.json["sourceName"] == "web/eu 1", found
        assert node.get("/d/sources/web/eu%201/state").json["committed"] == found.json["committed"] is not None
        assert len(rows(node)) == 2
        assert node.request("DELETE", "/d/sources/web/eu%201").status == 200
        check_problem(node.get("/d/sources/web/eu%201"), 404)


def idempotency_keys_are_short_visible_ascii():
    with served() as node:
        for bad in ("", '""', "a b", "x" * 256):
            check_problem(node.push("d", ONE, key=bad), 400, "idempotency key")
        for bad in ('"', '"a', '"a"b', '"a\\"', '"a\\x"'):
            check_problem(node.push("d", ONE, key=bad), 400, "begins with a quote")
        check_committed(node.push("d", ONE, key="x" * 255), 1, 1)
        check_committed(node.push("d", TWO, key='"a\\"b"'), 1, 1)
        check_committed(node.push("d", TWO, key='a"b'), status="duplicate")


def preferences_are_read_as_a_list():
    with served() as node:
        for prefer in ("respond-async", "wait=10, respond-async", "Respond-Async;x=1, other"):
            answer = node.push("d", ONE, Prefer=prefer)
            assert answer.status == 202, answer
            node.settled(answer.json["receipt"])
        assert node.push("d", ONE, Prefer="respond-asynchronously").status == 200
        assert len(rows(node)) == 4


# --- compare and set ---

def the_order_of_compare_and_set():
    with served() as node:
        check_problem(node.push("d", ONE, state="2", before="1"), 412, "'default'", "none")
        first = check_committed(node.push("d", ONE, state="1", before="*"), 1, 1)
        second = check_committed(node.push("d", TWO, state="2", before="1"), 1, 1)
        # (2) taken before: the first outcome again.
        again = check_committed(node.push("d", TWO, state="2", before="1"), 1, 1, "duplicate")
        assert {**again, "status": "committed"} == second, (again, second)
        # (2) other content under the state that is reached already.
        check_problem(node.push("d", ONE, state="2", before="1"), 422, "other content")
        # A key of its own does not make it the key's fault.
        check_problem(node.push("d", ONE, state="2", before="1", key="fresh"), 422, "the state was used before")
        # (4) what lies further back is not known any more.
        body = check_problem(node.push("d", ONE, state="1", before="*"), 412, "'2'")
        assert (body["accepted"], body["committed"]) == ("2", "2"), body
        body = check_problem(node.push("d", ONE, state="9", before="8"), 412, "'2'", "'8'")
        assert (body["accepted"], body["committed"], body["kind"]) == ("2", "2", "sluice/token"), body
        assert rows(node) == [(1, "one"), (2, "two")] and first["offsets"]["end"] == 0


def duplicate_is_told_before_the_records_are_read():
    """A client that repeats does not pay for parsing; one that is refused has written nothing."""
    with served() as node:
        check_committed(node.push("d", ONE, state="1", before="*"))
        check_problem(node.push("d", BAD, state="2", before="1"), 422)
        assert node.state("d") == ("1", "1")
        check_committed(node.push("d", TWO, state="2", before="1"))


def a_star_means_no_state_yet():
    with served() as node:
        assert node.state("d") is None
        check_problem(node.get("/d/sources/default/state"), 404, "no state yet")
        body = check_problem(node.push("d", ONE, state="2", before="1"), 412)
        assert body["accepted"] is None and body["committed"] is None, body
        check_committed(node.push("d", ONE, state="1", before="*"))
        check_problem(node.push("d", TWO, state="2", before="*"), 412, "'1'")


def a_state_without_rows_is_committed():
    with served(l=LEDGER) as node:
        check_committed(node.push("l", ONE, state="1", before="*"), 1, 1)
        body = check_committed(node.push("l", ONE, state="2", before="1"), 1, 0)
        assert body["offsets"] is None and body["sourceState"]["value"] == "2"
        assert node.state("l") == ("2", "2")
        body = check_committed(node.push("l", "", state="3", before="2"), 0, 0)
        assert node.state("l") == ("3", "3")
        # What a compressor wrote has some bytes: none is a body that was lost.
        for coding in ("gzip", "zstd"):
            lost = node.push("l", "", state="4", before="3", Content_Encoding=coding)
            assert lost.status == 400 and coding in lost.json["detail"], lost
        assert node.state("l") == ("3", "3")
        # Said or not, the default kind is the same.
        body = node.push("l", "", state="3", before="2", kind="sluice/token").json
        assert body["status"] == "duplicate", body
        # Without a state it is up to date, and shows the block that it was judged against.
        head = node.ws.head("l")
        body = check_committed(node.push("l", ONE), 1, 0, "up-to-date")
        assert body["newHead"] == body["oldHead"] == body["blockHash"] == head, body
        assert node.ws.head("l") == head and rows(node, "l") == [(1, "one")]


def a_push_without_a_state_leaves_the_state():
    with served() as node:
        check_committed(node.push("d", ONE, state="1", before="*"))
        check_committed(node.push("d", TWO))
        assert node.state("d") == ("1", "1")
        check_committed(node.push("d", TWO, state="2", before="1"))


def clients_that_race_advance_a_source_once_a_step():
    with served() as node:
        clients, wins = 8, [0] * 8

        def client(me):
            state = "*"
            for _ in range(200):
                now = node.state("d")
                state = now[0] if now else "*"
                if state == "20":
                    return
                answer = node.push("d", record(int(state) + 1 if now else 1, f"client {me}"), before=state,
                                   state=int(state) + 1 if now else 1)
                assert answer.status in (200, 412, 422), answer
                if answer.status == 200:
                    wins[me] += 1
                elif answer.status == 412:
                    assert int(answer.json["accepted"]) >= (int(state) if now else 1), answer
            raise AssertionError("the source does not advance")

        in_parallel([lambda me=me: client(me) for me in range(clients)])
        assert [k for k, _ in rows(node)] == list(range(1, 21)), rows(node)
        assert sum(wins) == 20, wins
        assert node.state("d") == ("20", "20")


# --- idempotency keys ---

def a_key_gives_the_first_answer_again():
    with served(l=LEDGER) as node:
        first = check_committed(node.push("d", ONE, key="a"), 1, 1)
        for key in ("a", '"a"'):
            again = check_committed(node.push("d", ONE, key=key), 1, 1, "duplicate")
            assert {**again, "status": "committed"} == first, (again, first)
        check_committed(node.push("d", ONE, key="b"), 1, 1)
        assert rows(node) == [(1, "one")] * 2
        check_committed(node.push("l", ONE, key="a"), 1, 1)  # of another dataset
        check_committed(node.push("l", ONE, key="c"), 1, 0, "up-to-date")
        check_committed(node.push("l", ONE, key="c"), 1, 0, "duplicate")


def a_key_with_other_content_is_refused():
    with served() as node:
        check_committed(node.push("d", ONE, key="a"))
        for change in ({"body": TWO}, {"event_time": "2020-01-01T00:00:00Z"}, {"media_type": "application/x-ndjson"},
                       {"state": "1", "before": "*"}):
            body = change.pop("body", ONE)
            check_problem(node.push("d", body, key="a", **change), 422, "idempotency key", "other content")
        assert rows(node) == [(1, "one")]


def a_key_goes_before_the_state():
    with served() as node:
        first = check_committed(node.push("d", ONE, key="a", state="1", before="*"))
        check_committed(node.push("d", TWO, key="b", state="2", before="1"))
        # By its state alone this would be 412: it lies further back.
        again = check_committed(node.push("d", ONE, key="a", state="1", before="*"), status="duplicate")
        assert again["blockHash"] == first["blockHash"] and again["offsets"] == first["offsets"]


def a_key_is_kept_for_success_only():
    with served() as node:
        check_problem(node.push("d", BAD, key="a"), 422)
        check_problem(node.push("d", ONE, key="a", state="2", before="1"), 412)
        check_committed(node.push("d", ONE, key="a"), 1, 1)


def a_key_whose_request_is_running_waits_for_it():
    with served() as node:
        body = records(range(20000))
        answers = in_parallel([lambda: node.push("d", body, key="a") for _ in range(6)])
        assert [a.status for a in answers] == [200] * 6, answers
        statuses = sorted(a.json["status"] for a in answers)
        assert statuses == ["committed"] + ["duplicate"] * 5, statuses
        assert len({a.json["blockHash"] for a in answers}) == 1
        assert len(rows(node)) == 20000


# --- queue and receipts ---

def a_queued_batch_is_acknowledged_and_committed():
    with served() as node:
        answer = node.push("d", ONE, state="1", before="*", respond_async=True)
        assert answer.status == 202, answer
        body = answer.json
        assert body["status"] == "queued" and body["sourceState"]["value"] == "1", body
        assert answer.headers["Location"] == "/receipts/" + body["receipt"]
        assert answer.headers["Preference-Applied"] == "respond-async"
        told = node.settled(body["receipt"])
        assert told["status"] == "committed" and told["receipt"] == body["receipt"], told
        assert told["offsets"] == {"start": 0, "end": 0} and told["records"] == {"received": 1, "added": 1}, told
        assert told["blockHash"] == node.ws.head("d") and told["sourceState"]["value"] == "1", told
        assert node.state("d") == ("1", "1") and rows(node) == [(1, "one")]
        node.ws.run("verify", "d", "--contains", told["blockHash"])


def a_repeat_of_a_queued_batch_gets_its_receipt():
    with served("--block-budget", "0.0001") as node:  # one block, then none for long
        check_committed(node.push("d", ONE))
        first = node.push("d", ONE, key="a", state="1", before="*", respond_async=True)
        assert first.status == 202, first
        for how in ({"key": "a"}, {}):
            again = node.push("d", ONE, state="1", before="*", respond_async=True, **how)
            assert again.status == 202 and again.json["receipt"] == first.json["receipt"], again
        check_problem(node.push("d", TWO, state="1", before="*", respond_async=True), 422)
        check_problem(node.push("d", TWO, key="a", respond_async=True), 422)
        assert node.receipt(first.json["receipt"])["status"] == "queued"
        assert node.state("d") == ("1", None)
        body = check_problem(node.push("d", TWO, state="3", before="2"), 412)
        assert (body["accepted"], body["committed"]) == ("1", None), body
        shown = node.get("/d/sources/default").json
        assert shown["queued"]["batches"] == 1 and shown["queued"]["bytes"] == len(ONE), shown
        second = node.push("d", TWO, state="2", before="1", respond_async=True)
        assert second.status == 202, second
        assert rows(node) == [(1, "one")]
    # The budget is the node's: another one commits what is queued.


def receipts_settle_as_up_to_date_and_repeat():
    with served(d=LEDGER) as node:
        check_committed(node.push("d", ONE))
        head = node.ws.head("d")
        answer = node.push("d", ONE, key="a", respond_async=True)
        told = node.settled(answer.json["receipt"])
        assert told["status"] == "up-to-date" and told["blockHash"] == head, told
        again = check_committed(node.push("d", ONE, key="a"), 1, 0, "duplicate")
        assert again["blockHash"] == head


def receipts_that_are_none():
    with served() as node:
        answer = node.push("d", ONE, respond_async=True)
        good = answer.json["receipt"]
        log, number, nonce = good.rsplit("-", 2)
        check_problem(node.get(f"/receipts/{log}-{number}-{'A' * len(nonce)}"), 404)
        check_problem(node.get(f"/receipts/{log}-{int(number) + 1000}-{nonce}"), 404)
        check_problem(node.get(f"/receipts/{log}-{number}"), 404)
        check_problem(node.get(f"/receipts/{log}-99999999999999999999999-{nonce}"), 404)
        check_problem(node.get("/receipts/x"), 404)
        check_problem(node.get("/receipts/" + "-" * 300), 404)
        other = ("0" if log[0] != "0" else "1") + log[1:]
        check_problem(node.get(f"/receipts/{other}-{number}-{nonce}"), 410, "another log")
        assert node.settled(good)["status"] == "committed"


def a_queued_batch_that_fails_goes_to_the_dead_letters():
    """What can be checked is checked before the 202, so it takes a change of the source to fail one."""
    with served("--block-budget", "0.0001") as node:
        check_committed(node.push("d", ONE))
        check_problem(node.push("d", BAD, respond_async=True), 422)
        receipt = node.push("d", TWO, key="a", respond_async=True).json["receipt"]
        node.kill()
        log = os.path.join(node.ws.home, "log")
        os.rename(log, log + ".away")  # as a program does that knows nothing of it
        node.ws.run("source", "disable", "d", "default")
        node.ws.run("source", "add", "d", node.ws.write("again.yaml", again_manifest()))
        os.rename(log + ".away", log)
        node.start()
        told = node.settled(receipt)
        assert told["status"] == "failed", told
        assert told["problem"]["status"] == 404 and "disabled" in told["problem"]["message"], told
        letters = node.get("/d/queue").json["deadLetters"]
        assert [letter["receipt"] for letter in letters] == [receipt] and "disabled" in letters[0]["reason"], letters
        assert letters[0]["bytes"] == len(TWO) and letters[0]["sourceName"] == "default"
        assert rows(node) == [(1, "one")]
        node.restart()
        assert node.receipt(receipt)["status"] == "failed"
        answer = node.request("POST", f"/d/queue/{receipt}/retry")
        assert answer.status == 200 and answer.json["receipt"] != receipt, answer
        node.args = ()
        node.restart()
        assert node.settled(answer.json["receipt"])["status"] == "committed"
        assert rows(node) == [(1, "one"), (2, "two")] and node.receipt(receipt)["status"] == "committed"
        assert node.get("/d/queue").json["deadLetters"] == []
        check_problem(node.request("POST", f"/d/queue/{receipt}/drop"), 404)


TEN = "".join(record(k) for k in range(10, 20))


def letter_of(node, **push):
    """Makes a dead letter of a batch of ten rows: its receipt, and its file."""
    check_committed(node.push("d", ONE))
    receipt = node.push("d", TEN, respond_async=True, **push).json["receipt"]
    node.kill()
    log = os.path.join(node.ws.home, "log")
    os.rename(log, log + ".away")
    node.ws.run("source", "disable", "d", "default")
    node.ws.run("source", "add", "d", node.ws.write("again.yaml", again_manifest()))
    os.rename(log + ".away", log)
    node.args = ("--block-budget", "unlimited")
    node.start()
    assert node.settled(receipt)["status"] == "failed"
    folder = os.path.join(node.ws.home, "dead-letters")
    [path] = [os.path.join(folder, d, name) for d in os.listdir(folder) for name in os.listdir(os.path.join(folder, d))]
    return receipt, path


def a_dead_letter_is_taken_again_once():
    """By several at a time, and by one who repeats what a crash kept from being answered."""
    taken = [1, *range(10, 20)]
    with served("--block-budget", "0.0001") as node:
        receipt, _ = letter_of(node)
        answers = in_parallel([lambda: node.request("POST", f"/d/queue/{receipt}/retry")] * 8)
        good = [answer.json["receipt"] for answer in answers if answer.status == 200]
        assert good and {answer.status for answer in answers} <= {200, 404} and len(set(good)) == 1, answers
        told = node.settled(good[0])
        assert told["status"] == "committed"
        assert sorted(k for k, _ in rows(node)) == taken
        # The first receipt tells what became of the batch, whatever it is called now.
        for _ in range(2):
            first = node.receipt(receipt)
            assert first == {**told, "receipt": receipt}, (first, told)
            node.restart()
    for commits_first in (False, True):
        with served("--block-budget", "0.0001") as node:
            receipt, path = letter_of(node)
            with open(path, "rb") as file:
                letter = file.read()
            # With ack durable what is queued waits for 5 s: the node does not live to commit it.
            node.args = node.args if commits_first else (*node.args, "--ack", "durable")
            node.restart()
            retried = node.request("POST", f"/d/queue/{receipt}/retry").json["receipt"]
            assert retried != receipt
            if commits_first:
                assert node.settled(retried)["status"] == "committed"
            node.kill()
            assert not os.path.exists(path)
            with open(path, "wb") as file:  # as after a crash before it was removed
                file.write(letter)
            node.args = ("--block-budget", "unlimited")
            node.start()
            again = node.request("POST", f"/d/queue/{receipt}/retry")
            if commits_first:
                assert again.status == 200 and again.json["receipt"].split("-")[-2:] == retried.split("-")[-2:], (again, retried)
            else:
                check_problem(again, 404)  # what it became was found in the queue
            assert node.settled(retried)["status"] == "committed"
            assert node.settled(receipt)["blockHash"] == node.receipt(retried)["blockHash"]
            assert node.get("/d/queue").json["deadLetters"] == [] and not os.path.exists(path)
            assert sorted(k for k, _ in rows(node)) == taken, rows(node)


def a_dead_letter_and_the_repeat_of_its_client_are_one():
    taken = [1, *range(10, 20)]
    for client_first in (False, True):
        with served("--block-budget", "0.0001") as node:
            receipt, _ = letter_of(node, key="k")
            if client_first:
                check_committed(node.push("d", TEN, key="k"))
            answer = node.request("POST", f"/d/queue/{receipt}/retry")
            assert answer.status == 200, answer
            if not client_first:
                assert node.settled(answer.json["receipt"])["status"] == "committed"
                assert node.push("d", TEN, key="k").json["status"] == "duplicate"
            assert sorted(k for k, _ in rows(node)) == taken, rows(node)
            assert node.get("/d/queue").json["deadLetters"] == []
            assert node.settled(receipt)["status"] == "committed" and node.receipt(receipt)["blockHash"], node.receipt(receipt)


def a_dead_letter_whose_key_was_used_again_is_a_batch_of_its_own():
    """What its client sent under the same key since, corrected, is not what the letter holds."""
    other = record(50)
    for restart_first in (False, True):
        with served("--block-budget", "0.0001") as node:
            receipt, _ = letter_of(node, key="k")
            if restart_first:
                node.args = (*node.args, "--ack", "durable")
                node.restart()
                queued = node.push("d", other, key="k").json["receipt"]
                node.kill()
                node.args = ("--block-budget", "unlimited")
                node.start()
                assert node.settled(queued)["status"] == "committed"
                assert node.receipt(receipt)["status"] == "failed"
                assert [letter["receipt"] for letter in node.get("/d/queue").json["deadLetters"]] == [receipt]
            else:
                check_committed(node.push("d", other, key="k"))
            answer = node.request("POST", f"/d/queue/{receipt}/retry")
            assert answer.status == 200, answer
            assert node.settled(answer.json["receipt"])["status"] == "committed"
            assert sorted(k for k, _ in rows(node)) == [1, *range(10, 20), 50], rows(node)
            assert node.get("/d/queue").json["deadLetters"] == []
            assert node.receipt(receipt)["blockHash"] == node.receipt(answer.json["receipt"])["blockHash"]


def a_receipt_follows_the_letter_to_the_repeat_that_is_queued():
    with served("--block-budget", "0.0001") as node:
        receipt, _ = letter_of(node, key="k")
        node.args = (*node.args, "--ack", "durable")
        node.restart()
        queued = node.push("d", TEN, key="k").json["receipt"]
        answer = node.request("POST", f"/d/queue/{receipt}/retry")
        assert answer.status == 200 and answer.json["receipt"] == queued, answer
        assert node.receipt(receipt)["status"] == "queued", node.receipt(receipt)
        node.args = ("--block-budget", "unlimited")
        node.restart()
        assert node.settled(receipt)["blockHash"] == node.settled(queued)["blockHash"]


def a_client_that_waits_for_a_queued_batch_is_answered_in_a_commits_time():
    with served("--block-budget", "unlimited") as node:
        plain, repeated = [], []
        for k in range(0, 30, 2):
            begin = time.monotonic()
            check_committed(node.push("d", record(k)))
            plain.append(time.monotonic() - begin)
            assert node.push("d", record(k + 1), key=f"k{k}", respond_async=True).status == 202
            begin = time.monotonic()
            assert node.push("d", record(k + 1), key=f"k{k}").status == 200
            repeated.append(time.monotonic() - begin)
        # What nobody waits for gathers for eight times as long as a commit took.
        assert sorted(repeated)[7] < 3 * sorted(plain)[7], (plain, repeated)


def a_dead_letter_that_is_given_up_says_so():
    with served("--block-budget", "0.0001") as node:
        receipt, _ = letter_of(node)
        assert node.request("POST", f"/d/queue/{receipt}/drop").status == 200
        assert node.receipt(receipt)["status"] == "dropped"
        check_problem(node.request("POST", f"/d/queue/{receipt}/retry"), 404)
        node.restart()
        assert node.receipt(receipt)["status"] == "dropped"


def again_manifest():
    fields = ", ".join(f"{{name: {n}, type: {t}}}" for n, t in FIELDS)
    return f"kind: AddPushSource\nsourceName: default\nread: {{kind: NdJson, schema: {{fields: [{fields}]}}}}\nmerge: {APPEND}\n"


def nothing_overtakes_a_batch_at_which_its_source_stands():
    with served("--block-budget", "0.0001", d=source("default", APPEND) + source("other", APPEND)) as node:
        check_committed(node.push("d", record(0), source="other"))
        first = node.push("d", ONE, source="default", state="1", before="*", respond_async=True).json["receipt"]
        behind = node.push("d", TWO, source="default", respond_async=True).json["receipt"]
        beside = node.push("d", record(3), source="other", respond_async=True).json["receipt"]
        node.kill()
        log = os.path.join(node.ws.home, "log")
        os.rename(log, log + ".away")
        node.ws.run("ingest", "d", "--source-name", "default", "--stdin", "--state", "other", data=record(9).encode())
        os.rename(log + ".away", log)
        node.args = ("--block-budget", "unlimited")
        node.start()
        assert node.settled(beside)["status"] == "committed"
        told = node.eventually(lambda: node.get("/d/sources/default").json, lambda found: found["stoppedAt"])
        assert told["stoppedAt"] == first and "'other'" in told["lastError"], told
        assert node.receipt(behind)["status"] == "queued" and sorted(k for k, _ in rows(node)) == [0, 3, 9]
        # Nor does the node wait for it when it ends.
        began = time.monotonic()
        node.restart(kill=False)
        assert time.monotonic() - began < 5, time.monotonic() - began
        assert node.eventually(lambda: node.get("/d/sources/default").json["stoppedAt"], lambda found: found) == first
        assert node.request("POST", f"/d/queue/{first}/drop").status == 200
        assert node.settled(behind)["status"] == "committed" and sorted(k for k, _ in rows(node)) == [0, 2, 3, 9]


def a_source_stands_still_until_its_batch_is_dropped():
    with served("--block-budget", "0.0001", d=source("default", APPEND) + source("other", APPEND)) as node:
        check_committed(node.push("d", record(0), source="other"))
        first = node.push("d", ONE, source="default", state="1", before="*", respond_async=True).json["receipt"]
        second = node.push("d", TWO, source="default", state="2", before="1", key="b", respond_async=True).json["receipt"]
        node.kill()
        # A program that knows nothing of the node's log moves the source: what is queued does not follow any more.
        log = os.path.join(node.ws.home, "log")
        os.rename(log, log + ".away")
        node.ws.run("ingest", "d", "--source-name", "default", "--stdin", "--state", "other", data=record(9).encode())
        os.rename(log + ".away", log)
        node.args = ()
        node.start()
        told = node.eventually(lambda: node.get("/d/sources/default").json, lambda found: found["stoppedAt"])
        assert told["stoppedAt"] == first and "'other'" in told["lastError"], told
        assert node.receipt(first)["status"] == node.receipt(second)["status"] == "queued"
        for push in ({"state": "3", "before": "2"}, {}, {"respond_async": True}):
            answer = node.push("d", record(3), source="default", **push)
            check_problem(answer, 503, first, "'other'")
        # Repeats of what is queued too, unless their first answer was the receipt.
        for again in ({"state": "2", "before": "1", "key": "b"}, {"state": "2", "before": "1"}):
            check_problem(node.push("d", TWO, source="default", **again), 503, first, "'other'")
            repeated = node.push("d", TWO, source="default", respond_async=True, **again)
            assert repeated.status == 202 and repeated.json["receipt"] == second, repeated
        check_committed(node.push("d", record(4), source="other"), 1, 1)  # others go on
        status = node.operator("GET", "/operator/status").json["datasets"][0]
        assert [s["stoppedAt"] for s in status["sources"]] == [first, None], status
        # Trying again changes nothing.
        assert node.request("POST", f"/d/queue/{first}/retry").status == 200
        node.eventually(lambda: node.get("/d/sources/default").json["stoppedAt"], lambda found: found == first)
        check_problem(node.request("POST", f"/d/queue/{first}/eat"), 404)
        check_problem(node.request("POST", "/d/queue/nonsense/drop"), 404)
        node.restart()
        node.eventually(lambda: node.get("/d/sources/default").json["stoppedAt"], lambda found: found == first)
        answer = node.request("POST", f"/d/queue/{first}/drop")
        assert answer.status == 200 and answer.json["status"] == "dropped", answer
        # It, and what builds on it.
        assert node.receipt(first)["status"] == node.receipt(second)["status"] == "dropped"
        assert node.state("d", "default") == ("other", "other")
        # Their keys are free again.
        check_committed(node.push("d", record(5), source="default", state="5", before="other", key="b"), 1, 1)
        node.restart()
        assert node.receipt(first)["status"] == node.receipt(second)["status"] == "dropped"
        assert sorted(k for k, _ in rows(node)) == [0, 4, 5, 9]


# --- sources ---

def several_sources_share_a_dataset():
    two = source("json", LEDGER) + source("csv", UPSERT, read="Csv\n        header: true",
                                          fields=[("op", "Int32"), *FIELDS]) + \
        source("swap", APPEND, preprocess="select v, k + 100 as k, event_time from input")
    with served(d=two) as node:
        names = [s["sourceName"] for s in node.get("/d/sources").json["sources"]]
        assert sorted(names) == ["csv", "json", "swap"], names
        body = check_problem(node.push("d", ONE), 409, "json", "csv", "swap")
        check_problem(node.push("d", ONE, source="jsn"), 404, "'jsn'", "json")
        check_problem(node.get("/d/sources/nothing"), 404, "json")
        check_problem(node.get("/d/sources/nothing/state"), 404)
        check_committed(node.push("d", ONE, source="json", state="j1", before="*"), 1, 1)
        check_committed(node.push("d", "op,event_time,k,v\n0,2024-01-01T00:00:00Z,7,seven\n", source="csv", state="c1", before="*"), 1, 1)
        check_committed(node.push("d", TWO, source="swap"), 1, 1)
        assert rows(node) == [(1, "one"), (7, "seven"), (102, "two")]
        # Each has its own state, untouched by the others.
        assert node.state("d", "json") == ("j1", "j1") and node.state("d", "csv") == ("c1", "c1")
        assert node.state("d", "swap") is None
        check_committed(node.push("d", TWO, source="json", state="j2", before="j1", key="k"), 1, 1)
        check_problem(node.push("d", TWO, source="json", state="c2", before="c1"), 412, "'j2'")
        # A key belongs to its source.
        check_committed(node.push("d", record(8), source="swap", key="k"), 1, 1)
        shown = node.get("/d/sources/csv").json
        assert (shown["readFormat"], shown["mergeStrategy"], shown["committed"]) == ("Csv", "UpsertStream", "c1"), shown
        assert body["status"] == 409


def an_empty_body_retracts_a_snapshot_only_when_that_is_meant():
    with served(d=SNAPSHOT) as node:
        check_committed(node.push("d", ONE + TWO), 2, 2)
        check_problem(node.push("d", ""), 422, "allowEmpty=true")
        check_problem(node.push("d", "", state="1", before="*"), 422, "allowEmpty=true")
        check_problem(node.push("d", "", respond_async=True), 422, "allowEmpty=true")
        assert live(node.ws.rows("d")) == {1: "one", 2: "two"}
        check_committed(node.push("d", ONE), 1, 1)
        body = check_committed(node.push("d", "", query="allowEmpty=true"), 0, 1)
        assert live(node.ws.rows("d")) == {}, body


def an_empty_body_is_a_batch_without_rows():
    with served() as node:
        check_committed(node.push("d", ""), 0, 0)  # the first one brings the schema
        head = node.ws.head("d")
        check_committed(node.push("d", ""), 0, 0, "up-to-date")
        check_committed(node.push("d", "", key="a"), 0, 0, "up-to-date")
        check_committed(node.push("d", "", key="a"), 0, 0, "duplicate")
        assert node.ws.head("d") == head


def entity_tags_name_the_accepted_state():
    with served() as node:
        tags = []
        for i, before in ((1, "*"), (2, "1")):
            check_committed(node.push("d", ONE, state=i, before=before))
            answer = node.get("/d/sources/default/state")
            assert answer.json.keys() >= {"sourceName", "kind", "committed", "accepted", "blockHash", "offset"}
            assert answer.json["blockHash"] == node.ws.head("d") and answer.json["offset"] == i - 1, answer
            assert answer.headers["ETag"][0] == answer.headers["ETag"][-1] == '"'
            tags.append(answer.headers["ETag"])
        assert tags[0] != tags[1]
        # No part of it: what is put together anew is told as a whole.
        whole = node.get("/d/sources/default/state", headers={"Range": "bytes=0-9"})
        assert whole.status == 200 and whole.json["accepted"] == "2", whole
        same = node.get("/d/sources/default/state", headers={"If-None-Match": tags[1]})
        assert same.status == 304 and same.body == b"", same
        assert node.get("/d/sources/default/state", headers={"If-None-Match": tags[0]}).status == 200


# --- what is wrong with a request ---

def records_that_do_not_fit_are_named():
    with served() as node:
        head = node.ws.head("d")
        body = check_problem(node.push("d", ONE + BAD + TWO + '{"event_time": null, "k": [], "v": "x"}\n'), 422)
        assert body["errorCount"] == 2, body
        assert [(e["record"], e["column"]) for e in body["errors"]] == [(2, "k"), (4, "k")], body
        assert body["errors"][0]["value"] == '"three"' and body["errors"][0]["reason"], body
        body = check_problem(node.push("d", BAD * 250), 422)
        assert body["errorCount"] == 250 and len(body["errors"]) == 100, (body["errorCount"], len(body["errors"]))
        for junk in ("{", "[1", "null\n", "\x00\x01", '{"k": 1}}\n', b"\xff\xfe{\n"):
            check_problem(node.push("d", junk), 422)
        assert node.ws.head("d") == head and rows(node) == []


def unknown_datasets_and_paths():
    with served() as node:
        check_problem(node.push("nothing", ONE), 404, "nothing")
        check_problem(node.push("account/d", ONE), 404)
        for path in ("/", "/nothing", "/d/", "/nothing/at/all", "/d/ingest/", "/d//ingest", "//d/ingest", "/livez/ingest",
                     "/receipts", "/receipts/", "/receipts/ingest", "/d/sources/", "/d/sources//state"):
            check_problem(node.get(path), 404)
        check_problem(node.get("/nothing/sources"), 404)
        answer = node.get("/d/ingest")
        check_problem(answer, 405, "GET")
        assert answer.headers["Allow"] == "POST", answer
        for method in ("DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"):
            assert node.request(method, "/d/ingest").status in (405, 501), method
        check_problem(node.get("/operator/status"), 403, "socket")
        check_problem(node.request("POST", "/operator/lease"), 403)
        assert rows(node) == []


def schemas_that_do_not_agree():
    free = "    - kind: AddPushSource\n      sourceName: default\n      read:\n        kind: NdJson\n      merge: {kind: Append}\n"
    with served(d=free) as node:
        check_committed(node.push("d", ONE), 1, 1)
        head = node.ws.head("d")
        body = check_problem(node.push("d", json.dumps({"event_time": "2024-01-01T00:00:00Z", "k": 1, "extra": 5})), 409, "extra")
        assert "IncompatibleSchema" in body["message"], body
        check_problem(node.push("d", json.dumps({"event_time": "2024-01-01T00:00:00Z", "k": "text", "v": "x"})), 409, "k")
        check_problem(node.push("d", '{"k": 1, "extra": 5}', respond_async=True), 409)
        assert node.ws.head("d") == head
        check_committed(node.push("d", json.dumps({"v": "x", "event_time": "2024-01-01T00:00:00Z", "k": 2})), 1, 1)


def health_and_metrics():
    with served() as node:
        assert node.get("/livez").json == {"status": "live"}
        assert node.get("/readyz").json == {"status": "ready"}
        check_committed(node.push("d", ONE))
        text = node.get("/metrics").body.decode()
        for line in ("sluice_ready 1", 'sluice_commits_total{dataset="d"} 1', 'sluice_records_total{dataset="d"} 1'):
            assert line in text.splitlines(), text
        given = node.get("/nothing", headers={"X-Request-Id": "mine-1"})
        assert given.headers["X-Request-Id"] == "mine-1" and given.json["requestId"] == "mine-1", given
        odd = node.get("/nothing", headers={"X-Request-Id": "<script>"})
        assert odd.headers["X-Request-Id"] != "<script>", odd


# --- restarts, resets, lost logs ---

def what_a_restart_must_not_forget():
    for kill in (True, False):
        with served() as node:
            first = check_committed(node.push("d", ONE, key="a", state="1", before="*"))
            receipt = node.push("d", TWO, key="b", state="2", before="1", respond_async=True).json["receipt"]
            told = node.settled(receipt)
            for _ in range(2):
                node.restart(kill)
                assert node.state("d") == ("2", "2")
                assert node.receipt(receipt) == told
                again = check_committed(node.push("d", ONE, key="a", state="1", before="*"), 1, 1, "duplicate")
                assert {**again, "status": "committed"} == first, (again, first)
                again = check_committed(node.push("d", TWO, state="2", before="1", key="b"), 1, 1, "duplicate")
                assert again["blockHash"] == told["blockHash"]
                check_problem(node.push("d", TWO, key="a"), 422)
                check_problem(node.push("d", record(3), state="2", before="1"), 422)
            assert rows(node) == [(1, "one"), (2, "two")]
            check_committed(node.push("d", record(3), state="3", before="2"), 1, 1)


def what_is_queued_survives_a_kill():
    with served("--block-budget", "0.0001") as node:
        check_committed(node.push("d", ONE))
        receipts = []
        for i in range(1, 6):
            answer = node.push("d", record(i, f"queued {i}"), key=f"k{i}", state=i, before=i - 1 if i > 1 else "*",
                               respond_async=True, event_time="2020-01-01T00:00:00Z")
            assert answer.status == 202, answer
            receipts.append(answer.json["receipt"])
        node.restart()
        # The budget of the new process has a block for them: they may be committed by now.
        assert node.state("d") in (("5", None), ("5", "5"))
        node.kill()
        node.args = ()
        node.start()
        assert [node.settled(receipt)["status"] for receipt in receipts] == ["committed"] * 5
        assert [node.receipt(receipt)["offsets"]["start"] for receipt in receipts] == [1, 2, 3, 4, 5]
        assert node.state("d") == ("5", "5")
        check_committed(node.push("d", record(3, "queued 3"), key="k3", state=3, before=2, event_time="2020-01-01T00:00:00Z"), status="duplicate")
        assert [k for k, _ in rows(node)] == [1, 1, 2, 3, 4, 5]


def records_that_come_together_are_queried_each_by_itself():
    """One that the query leaves out, or fails at, changes nothing for those that came with it."""
    query = "select event_time, k, cast(v as varchar) as v from input where cast(v as bigint) > 0"
    with served(d=source("s", LEDGER, preprocess=query)) as node:
        explained = node.ws.run("explain", "d").out.decode()
        assert "runs once over single records that come together" in explained, explained
        check_committed(node.push("d", record(0, "1")), 1, 1)
        texts = {k: "0" if k % 5 == 3 else "bad" if k in (17, 40) else str(k) for k in range(1, 60)}
        pushes = [lambda k=k: node.push("d", record(k, texts[k]).strip()) for k in texts]
        answers = dict(zip(texts, in_parallel(pushes)))
        for k, text in texts.items():
            if text == "bad":
                check_problem(answers[k], 422)
            else:
                check_committed(answers[k], 1, text != "0", status="up-to-date" if text == "0" else "committed")
        assert sorted(k for k, _ in rows(node)) == [0] + [k for k in texts if texts[k] not in ("0", "bad")]


def a_reset_withdraws():
    with served() as node:
        check_committed(node.push("d", ONE, key="a", state="1", before="*"))
        base = node.ws.head("d")
        receipt = node.push("d", TWO, key="b", state="2", before="1", respond_async=True).json["receipt"]
        assert node.settled(receipt)["status"] == "committed"
        node.kill()
        node.ws.run("reset", "d", base, "--yes")
        for _ in range(2):
            node.start()
            time.sleep(0.5)
            told = node.receipt(receipt)
            assert told["status"] == "withdrawn", told
            assert rows(node) == [(1, "one")], "what was taken out came back"
            assert node.state("d") == ("1", "1")
            check_committed(node.push("d", ONE, key="a", state="1", before="*"), status="duplicate")
            node.kill()
        node.start()
        check_committed(node.push("d", TWO, key="b", state="2", before="1"), 1, 1)  # merged anew
        assert node.receipt(receipt)["status"] == "withdrawn"


def a_lost_log_is_noticed():
    with served() as node:
        check_committed(node.push("d", ONE, key="a", state="1", before="*"))
        receipt = node.push("d", TWO, key="b", state="2", before="1", respond_async=True).json["receipt"]
        node.settled(receipt)
        log = os.path.join(node.ws.home, "log")
        node.stop()
        for lost in ("bodies", "outcomes", ""):
            path = os.path.join(log, lost) if lost else log
            os.rename(path, log + ".away")
            said = node.refuses()
            assert "--accept-new-log" in said and "acknowledged" in said, said
            assert not os.path.exists(os.path.join(path, "never")), path
            shutil.rmtree(path, ignore_errors=True)
            os.rename(log + ".away", path)
            node.start()
            assert node.receipt(receipt)["status"] == "committed"
            node.stop()
        shutil.rmtree(log)
        node.refuses()
        node.start("--accept-new-log")
        check_problem(node.get("/receipts/" + receipt), 410, "another log")
        # The chain knows the state, the new log no keys and no first outcome.
        again = check_committed(node.push("d", TWO, state="2", before="1"), status="duplicate")
        assert again["sourceState"]["value"] == "2" and again["blockHash"] in (None, node.ws.head("d")), again
        check_committed(node.push("d", record(3), key="a", state="3", before="2"), 1, 1)
        node.restart()
        check_committed(node.push("d", record(3), key="a", state="3", before="2"), 1, 1, "duplicate")


def a_second_node_is_refused():
    with served() as node:
        with Node(node.ws, start=False) as second:
            said = second.refuses()
            assert "a node is running" in said, said
        check_committed(node.push("d", ONE))


def a_source_added_again_starts_without_a_state():
    with served() as node:
        check_committed(node.push("d", ONE, key="a", state="1", before="*"))
        node.stop()
        node.ws.run("source", "disable", "d", "default")
        node.start()
        check_problem(node.push("d", TWO, state="2", before="1"), 404)
        assert node.get("/d/sources").json == {"sources": []}
        node.stop()
        node.ws.run("source", "add", "d", node.ws.write("again.yaml", again_manifest()))
        node.start()
        assert node.state("d") is None
        # Keys are not cleared by that.
        check_committed(node.push("d", ONE, key="a", state="1", before="*"), status="duplicate")
        body = check_problem(node.push("d", TWO, state="2", before="1"), 412)
        assert body["accepted"] is None, body
        check_committed(node.push("d", TWO, state="2", before="*"), 1, 1)


def waiting_requests_are_answered_at_the_end():
    with served("--block-budget", "0.0001", "--shutdown-seconds", "1") as node:
        check_committed(node.push("d", ONE))
        answers = []

        def late():
            answers.append(node.push("d", TWO, key="late"))

        def stop():
            time.sleep(0.5)
            node.stop()

        in_parallel([late, stop])
        assert answers[0].status in (200, 503), answers
        node.start()
        check_committed(node.push("d", TWO, key="late"), status="duplicate" if answers[0].status == 200 else "committed")
        assert rows(node) == [(1, "one"), (2, "two")]


if __name__ == "__main__":
    main([the_simplest_push_is_committed, content_types_that_say_nothing_mean_the_sources_own_format,
          content_type_selects_another_format, event_time_fills_what_is_missing, a_misspelt_parameter_is_refused,
          both_state_headers_or_neither,
          states_are_visible_ascii, a_kind_is_kept_and_compared, a_sources_name_may_hold_slashes, idempotency_keys_are_short_visible_ascii,
          preferences_are_read_as_a_list, the_order_of_compare_and_set, duplicate_is_told_before_the_records_are_read,
          a_star_means_no_state_yet, a_state_without_rows_is_committed, a_push_without_a_state_leaves_the_state,
          clients_that_race_advance_a_source_once_a_step, a_key_gives_the_first_answer_again,
          a_key_with_other_content_is_refused, a_key_goes_before_the_state, a_key_is_kept_for_success_only,
          a_key_whose_request_is_running_waits_for_it, a_queued_batch_is_acknowledged_and_committed,
          a_repeat_of_a_queued_batch_gets_its_receipt, receipts_settle_as_up_to_date_and_repeat, receipts_that_are_none,
          a_queued_batch_that_fails_goes_to_the_dead_letters, a_dead_letter_is_taken_again_once, a_dead_letter_and_the_repeat_of_its_client_are_one,
          a_dead_letter_whose_key_was_used_again_is_a_batch_of_its_own, a_receipt_follows_the_letter_to_the_repeat_that_is_queued,
          a_client_that_waits_for_a_queued_batch_is_answered_in_a_commits_time,
          a_dead_letter_that_is_given_up_says_so,
          nothing_overtakes_a_batch_at_which_its_source_stands, a_source_stands_still_until_its_batch_is_dropped,
          several_sources_share_a_dataset, an_empty_body_retracts_a_snapshot_only_when_that_is_meant,
          an_empty_body_is_a_batch_without_rows, entity_tags_name_the_accepted_state, records_that_do_not_fit_are_named,
          unknown_datasets_and_paths, schemas_that_do_not_agree, health_and_metrics, what_a_restart_must_not_forget,
          what_is_queued_survives_a_kill,
          records_that_come_together_are_queried_each_by_itself, a_reset_withdraws, a_lost_log_is_noticed, a_second_node_is_refused,
          a_source_added_again_starts_without_a_state, waiting_requests_are_answered_at_the_end])
