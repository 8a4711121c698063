#!/usr/bin/env python3
"""What a node tells of sources: their states, the blocks that brought them, their last commits; who sees which."""
import json
import os
import shutil

from harness import APPEND, EXIT_CHANGED, EXIT_USAGE, Workspace, main, manifest, record, records
from node import Node, check_committed, check_problem
from queue_changes_test import OTHER

POLLING = """kind: DatasetSnapshot
version: 1
content:
  name: p
  kind: Root
  metadata:
    - kind: SetPollingSource
      fetch: {{kind: Url, url: "file://{path}"}}
      read: {{kind: NdJson, schema: {{fields: [{{name: event_time, type: Timestamp}}, {{name: k, type: Int64}}, {{name: v, type: String}}]}}}}
      merge: {{kind: Ledger, primaryKey: [k]}}
"""


def two_sources(ws):
    ws.run("add", ws.write("d.yaml", manifest("d", APPEND)))
    ws.run("source", "add", "d", ws.write("second.yaml", OTHER))


def a_state_is_told_with_the_offset_of_its_block():
    with Workspace() as ws:
        two_sources(ws)
        with Node(ws) as node:
            first = check_committed(node.push("d", records([1, 2]), source="default", state="a", before="*"))
            later = check_committed(node.push("d", records([3, 4, 5]), source="second", state="x", before="*"))
            told = node.get("/d/sources/default/state").json
            assert (told["blockHash"], told["offset"]) == (first["blockHash"], 1), told
            told = node.get("/d/sources/second/state").json
            assert (told["blockHash"], told["offset"]) == (later["blockHash"], 4), told
            # A state without rows stands where the data ended.
            only = check_committed(node.push("d", "", source="default", state="b", before="a"))
            told = node.get("/d/sources/default").json
            assert (told["blockHash"], told["offset"], told["committed"]) == (only["blockHash"], 4, "b"), told
            assert told["lastCommit"]["blockHash"] == only["blockHash"] and told["lastCommit"]["offsets"] is None, told


def a_source_is_told_with_its_last_commit():
    with Workspace() as ws:
        two_sources(ws)
        with Node(ws) as node:
            assert all(s["lastCommit"] is None and s["offset"] is None for s in node.get("/d/sources").json["sources"])
            check_committed(node.push("d", records([1]), source="default", state="a", before="*"))
            stateless = check_committed(node.push("d", records([2, 3]), source="default"))
            check_committed(node.push("d", records([4]), source="second"))
            told = node.get("/d/sources/default").json
            assert told["type"] == "push" and told["offset"] == 0 and told["committed"] == "a", told
            last = told["lastCommit"]
            assert last["blockHash"] == stateless["blockHash"] and last["sequence"] == stateless["sequence"], (last, stateless)
            assert last["offsets"] == {"start": 1, "end": 2} and last["systemTime"].startswith("20"), last
            # Of a history that was taken back it is none; the state's block is known from the chain alone.
            ws.run("-y", "reset", "d", told["blockHash"])
            last = node.eventually(lambda: node.get("/d/sources/default").json["lastCommit"],
                                   lambda found: found["sequence"] < stateless["sequence"])
            assert last["blockHash"] == told["blockHash"], (last, told)
            node.restart()
            assert node.get("/d/sources/default").json["lastCommit"] == last
            assert node.get("/d/sources/second").json["lastCommit"] is None


def last_commits(node):
    return {s["sourceName"]: s["lastCommit"] and (s["lastCommit"]["blockHash"], s["lastCommit"]["offsets"]["start"])
            for s in node.get("/d/sources").json["sources"]}


def the_last_commit_is_true_whatever_became_of_the_history():
    with Workspace() as ws:
        two_sources(ws)
        with Node(ws) as node:
            add = lambda k, source: check_committed(node.push("d", record(k), source=source))["blockHash"]
            told = lambda: last_commits(node)
            blocks = [add(0, "default"), add(1, "second"), add(2, "default"), add(3, "second")]
            # Beside the node, by a command that says which source it adds to.
            ws.run("ingest", "d", "--source-name", "default", "--stdin", data=record(4).encode())
            by_command = ws.head("d")
            assert told() == {"default": (by_command, 4), "second": (blocks[3], 3)}, told()
            # Of a history that was taken back, what is left of it.
            ws.run("-y", "reset", "d", blocks[2])
            node.eventually(told, lambda found: found == {"default": (blocks[2], 2), "second": (blocks[1], 1)})
            ws.run("-y", "reset", "d", blocks[1])
            node.eventually(told, lambda found: found == {"default": (blocks[0], 0), "second": (blocks[1], 1)})
            last = add(5, "default")
            ws.run("-y", "system", "compact", "--hard", "d")
            whole = ws.head("d")
            assert whole != last and told() == {"default": (whole, 0), "second": (whole, 0)}, (whole, told())
            # Only the chain is left to say whose rows without a state are, and it does not.
            node.restart()
            assert told() == {"default": None, "second": None}, told()
            last = add(6, "second")
            assert told() == {"default": None, "second": (last, 3)}, told()
            # A block with one's state may hold rows of the other, once a compaction has joined theirs.
            mine = check_committed(node.push("d", record(8), source="second", state="x", before="*"))["blockHash"]
            ws.run("-y", "system", "compact", "--hard", "d")
            whole = ws.head("d")
            assert whole != mine and told() == {"default": None, "second": (whole, 0)}, (whole, told())
            node.restart()
            assert told() == {"default": None, "second": (whole, 0)}, (whole, told())
            state = check_committed(node.push("d", record(7), source="default", state="s", before="*"))["blockHash"]
            ws.run("source", "disable", "d", "second")
            node.eventually(told, lambda found: found == {"default": (state, 5)})


def the_last_commit_of_the_only_source_is_known_from_the_chain():
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws) as node:
            for k in (1, 2):
                last = check_committed(node.push("d", record(k)))["blockHash"]
            node.restart()
            assert last_commits(node) == {"default": (last, 1)}, last_commits(node)
            ws.run("ingest", "d", ws.write("rows.ndjson", record(3)))  # with a file's state
            assert last_commits(node) == {"default": (ws.head("d"), 2)}, last_commits(node)
            ws.run("-y", "system", "compact", "--hard", "d")
            node.restart()
            assert last_commits(node)["default"][1] == 0, last_commits(node)
            ws.run("source", "disable", "d", "default")
            ws.run("source", "add", "d", ws.write("second.yaml", OTHER))
            node.eventually(lambda: last_commits(node), lambda found: found == {"second": None})


def a_polling_source_is_told_too():
    with Workspace() as ws:
        path = ws.write("in.ndjson", record(1))
        ws.run("add", ws.write("p.yaml", POLLING.format(path=path)))
        with Node(ws) as node:
            assert node.get("/p/sources/odf/polling/state").status == 404
            ws.run("pull", "p")
            node.eventually(lambda: node.get("/p/sources/odf/polling/state").status, lambda status: status == 200)
            [told] = node.get("/p/sources").json["sources"]
            assert told["sourceName"] == "odf/polling" and told["type"] == "polling" and told["readFormat"] == "NdJson", told
            assert told["committed"] == told["accepted"] is not None and told["offset"] == 0, told
            assert told["blockHash"] == told["lastCommit"]["blockHash"] == ws.head("p"), told
            assert node.get("/p/sources/odf/polling").json == told
            state = node.get("/p/sources/odf/polling/state")
            assert state.json["accepted"] == told["accepted"] and state.headers["ETag"], state
            problem = check_problem(node.get("/p/sources/default"), 404, "odf/polling")
            assert "push source" not in problem["message"], problem
            # Nothing is pushed to it.
            check_problem(node.push("p", record(2)), 404)
            done = ws.run("push", f"http://127.0.0.1:{node.port}/p", path, code=1)
            assert b"no push source" in done.err, done


def who_may_push_sees_what_it_may_push_to():
    with Workspace() as ws:
        two_sources(ws)
        make = lambda *scopes: ws.run("token", "create", "--account", "kim", *[w for s in scopes for w in ("--scope", s)]).out.decode().strip()
        wide, narrow, reader, elsewhere = make("push:d"), make("push:d/second"), make("read"), make("push:e")
        lines = ws.write("lines.ndjson", records([7]))
        with Node(ws) as node:
            url = f"http://127.0.0.1:{node.port}/d"
            listed = lambda text: node.get("/d/sources", headers={"Authorization": "Bearer " + text})
            names = lambda text: [s["sourceName"] for s in listed(text).json["sources"]]
            assert names(wide) == names(reader) == ["default", "second"] and names(narrow) == ["second"]
            check_problem(listed(elsewhere), 404)
            # The only one that it may push to needs no name.
            ws.run("push", url, lines, "--token", narrow)
            assert [r["k"] for r in ws.rows("d")] == [7]
            done = ws.run("push", url, lines, "--token", wide, code=EXIT_CHANGED)
            assert b"default, second" in done.err and b"--source" in done.err, done
            ws.run("source", "disable", "d", "second")
            node.eventually(lambda: names(wide), lambda found: found == ["default"])
            ws.run("push", url, lines, "--token", wide)
            assert [r["k"] for r in ws.rows("d")] == [7, 7]


def a_command_may_add_beside_a_source_that_stands_still():
    with Workspace() as ws:
        two_sources(ws)
        with Node(ws, "--ack", "durable") as node:
            receipt = node.push("d", records([1]), source="default", state="1", before="*").json["receipt"]
            node.kill()
            log = os.path.join(ws.home, "log")
            os.rename(log, log + ".away")
            ws.run("ingest", "d", "--source-name", "default", "--stdin", "--state", "other", data=record(9).encode())
            os.rename(log + ".away", log)
            node.start()
            node.eventually(lambda: node.get("/d/sources/default").json["stoppedAt"], lambda found: found == receipt)
            for running in (True, False):
                if not running:
                    node.stop()
                ws.run("ingest", "d", "--source-name", "second", "--stdin", data=record(5).encode())
                done = ws.run("ingest", "d", "--source-name", "default", "--stdin", data=record(6).encode(), code=(1, 3))
                assert receipt in done.err.decode() and "queue retry" in done.err.decode(), done
            assert sorted(r["k"] for r in ws.rows("d")) == [5, 5, 9]


def a_receipt_proves_where_its_batch_is():
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws) as node:
            receipt = node.push("d", records([1]), respond_async=True).json["receipt"]
            block = node.settled(receipt)["blockHash"]
            kept = ws.write("answer.json", json.dumps({"receipt": receipt, "status": "queued"}))
            for asked in (receipt, kept, block):
                done = ws.run("verify", "d", "--contains", asked)
                assert f"the history contains {block}".encode() in done.err + done.out, done
            other = receipt[:-4] + ("aaaa" if receipt[-4:] != "aaaa" else "bbbb")
            assert b"no such receipt" in ws.run("verify", "d", "--contains", other, code=1).err
            node.stop()
            # Without a node its log is asked.
            assert f"contains {block}".encode() in (lambda d: d.err + d.out)(ws.run("verify", "d", "--contains", receipt))
            assert b"knows of no receipt" in ws.run("verify", "d", "--contains", other, code=1).err
            done = ws.run("verify", "d", "--contains", "abc", code=EXIT_USAGE)
            assert b"a block hash, a receipt, or a file" in done.err, done
            # Other blocks in its place hold the same batch.
            for k in range(2, 5):
                ws.run("ingest", "d", "--stdin", data=record(k).encode())
            ws.run("-y", "system", "compact", "--hard", "d")
            done = ws.run("verify", "d", "--contains", receipt)
            assert b"the history contains" in done.err + done.out and block.encode() not in done.err + done.out, done
            node.start()
            ws.run("verify", "d", "--contains", receipt)
            first = ws.run("log", "d").out.decode().split()
            ws.run("-y", "reset", "d", [word for word in first if word.startswith("f1620")][-1])
            done = ws.run("verify", "d", "--contains", receipt, code=EXIT_CHANGED)
            assert b"has no block: it is withdrawn" in done.err, done


def a_receipt_of_another_dataset_proves_nothing():
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.add("e", APPEND)
        with Node(ws) as node:
            receipt = node.push("d", records([1]), respond_async=True).json["receipt"]
            settled = node.settled(receipt)
            assert settled["datasetId"] == node.get("/d").json["id"], settled
            for k in range(2, 5):
                ws.run("ingest", "d", "--stdin", data=record(k).encode())
                ws.run("ingest", "e", "--stdin", data=record(k).encode())
            # Known by its number alone now, and the other has a block of that number too.
            ws.run("-y", "system", "compact", "--hard", "d")
            assert node.get(f"/d/verify?contains={receipt}").json["contains"]["found"]
            problem = check_problem(node.get(f"/e/verify?contains={receipt}"), 400, "another dataset")
            assert settled["datasetId"] in problem["message"], problem
            refused = lambda: ws.run("verify", "e", "--contains", receipt, code=1)
            assert settled["datasetId"].encode() in refused().err
            node.stop()
            assert b"is of another dataset" in refused().err
            ws.run("verify", "d", "--contains", receipt)


def a_repeat_after_a_compaction_is_told_where_its_rows_are_now():
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws) as node:
            for k in range(1, 4):
                check_committed(node.push("d", record(k)))
            by_key = check_committed(node.push("d", record(4), key="k"))
            by_state = check_committed(node.push("d", record(5), state="s", before="*"))
            ws.run("-y", "system", "compact", "--hard", "d")
            blocks = {b["hash"]: b for b in node.get("/d/log").json["blocks"]}
            for first, again in ((by_key, lambda: node.push("d", record(4), key="k")),
                                 (by_state, lambda: node.push("d", record(5), state="s", before="*"))):
                assert first["blockHash"] not in blocks, blocks
                told = again().json
                assert told["status"] == "duplicate" and told["offsets"] == first["offsets"], told
                assert told["oldHead"] is None and told["newHead"] is None, told
                [block] = [b for b in blocks.values() if b["sequenceNumber"] == told["sequence"]]
                rows = block["event"]["newData"]["offsetInterval"]
                assert rows["start"] <= told["offsets"]["start"] <= told["offsets"]["end"] <= rows["end"], (told, block)
            assert told["blockHash"] == node.get("/d/sources/default").json["blockHash"], told
            # Without the log, which is all that knows more of it, the chain tells its block.
            node.stop()
            shutil.rmtree(os.path.join(ws.home, "log"))
            node.start("--accept-new-log")
            told = again().json
            assert told["status"] == "duplicate" and told["blockHash"] in blocks and told["sequence"] is not None, told


if __name__ == "__main__":
    main([a_state_is_told_with_the_offset_of_its_block, a_source_is_told_with_its_last_commit,
          the_last_commit_is_true_whatever_became_of_the_history, the_last_commit_of_the_only_source_is_known_from_the_chain, a_polling_source_is_told_too,
          who_may_push_sees_what_it_may_push_to, a_command_may_add_beside_a_source_that_stands_still,
          a_receipt_proves_where_its_batch_is, a_receipt_of_another_dataset_proves_nothing,
          a_repeat_after_a_compaction_is_told_where_its_rows_are_now])
