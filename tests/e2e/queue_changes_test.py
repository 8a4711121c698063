#!/usr/bin/env python3
"""Changes of a dataset that meet what is queued for it: it is committed first, or the change is refused, or it is given up when asked for."""
import os

from harness import APPEND, EXIT_BUSY, Workspace, main, manifest, record, records
from node import Node

OTHER = """kind: MetadataEvent
version: 1
content:
  kind: AddPushSource
  sourceName: second
  read:
    kind: NdJson
    schema:
      fields:
        - {name: event_time, type: Timestamp}
        - {name: k, type: Int64}
        - {name: v, type: String}
  merge: {kind: Append}
"""


def stop_source(ws, node):
    """Leaves the source at a queued batch that does not follow any more: its receipt."""
    receipt = node.push("d", records([1]), state="1", before="*", respond_async=True).json["receipt"]
    node.kill()
    # A program that knows nothing of the node's log moves the source.
    log = os.path.join(ws.home, "log")
    os.rename(log, log + ".away")
    ws.run("ingest", "d", "--stdin", "--state", "other", data=record(9).encode())
    os.rename(log + ".away", log)
    node.start()
    node.eventually(lambda: node.get("/d/sources/default").json["stoppedAt"], lambda found: found == receipt)
    return receipt


def changes(ws):
    """Every command that changes a dataset, as arguments."""
    info = ws.write("info.yaml", "kind: MetadataEvent\nversion: 1\ncontent: {kind: SetInfo, description: changed}\n")
    first = ws.run("log", "d", "--limit", 1_000_000).out.decode().split()
    again = ws.write("d.yaml", manifest("d", APPEND))
    blocks = [word for word in first if word.startswith("f1620")]
    return {"commit": ["commit", "d", info], "source add": ["source", "add", "d", ws.write("second.yaml", OTHER)],
            "source disable": ["source", "disable", "d", "default"], "reset": ["-y", "reset", "d", blocks[-1]],
            "replace": ["-y", "add", "--replace", again], "delete": ["-y", "delete", "d"]}


def queue_behind_a_kill(ws, count=3):
    """Batches that a node took and did not live to commit: their receipts."""
    with Node(ws, "--ack", "durable") as node:
        # With ack durable a commit waits for 5 s, or for the end of the node.
        answers = [node.push("d", records([k])) for k in range(count)]
        assert not any("Preference-Applied" in answer.headers for answer in answers), "nobody preferred anything"
        receipts = [answer.json["receipt"] for answer in answers]
        node.kill()
    return receipts


def a_change_commits_what_is_queued_first():
    for name in ["commit", "source add", "source disable"]:
        with Workspace() as ws:
            ws.add("d", APPEND)
            receipts = queue_behind_a_kill(ws)
            done = ws.run(*changes(ws)[name])
            assert b"Committing what a node left" in done.err, (name, done)
            assert len(ws.rows("d")) == 3, name
            with Node(ws) as node:
                assert [node.receipt(r)["status"] for r in receipts] == ["committed"] * 3, name
            ws.check_sound("d")


def a_change_gives_the_queue_up_when_asked():
    for name in ["commit", "source add", "source disable", "replace"]:
        with Workspace() as ws:
            ws.add("d", APPEND)
            receipts = queue_behind_a_kill(ws)
            done = ws.run(*changes(ws)[name], "--drop-queue")
            assert b"Giving up what a node left" in done.err, (name, done)
            assert ws.rows("d") == [], name
            with Node(ws) as node:
                if name != "replace":
                    assert [node.receipt(r)["status"] for r in receipts] == ["dropped"] * 3, name
                status = node.operator("GET", "/operator/status").json
                assert status["queuedBatches"] == 0, status


def beside_a_node_too():
    for name in ["commit", "source add"]:
        for drops in (False, True):
            with Workspace() as ws:
                ws.add("d", APPEND)
                with Node(ws, "--ack", "durable") as node:
                    receipts = [node.push("d", records([k])).json["receipt"] for k in range(3)]
                    ws.run(*changes(ws)[name], *(["--drop-queue"] if drops else []))
                    statuses = [node.receipt(r)["status"] for r in receipts]
                    assert statuses == ["dropped" if drops else "committed"] * 3, (name, drops, statuses)
                    # Taken anew afterwards.
                    again = node.push("d", records([9]), source="default")
                    assert again.status == 202, again
                    assert node.settled(again.json["receipt"])["status"] == "committed"
                    node.stop()
                assert len(ws.rows("d")) == (1 if drops else 4)
                ws.check_sound("d")


def a_change_is_seen_when_its_command_ends():
    with Workspace() as ws:
        ws.add("d", APPEND)
        ws.run("source", "add", "d", ws.write("second.yaml", OTHER))
        with Node(ws, "--block-budget", "unlimited") as node:
            for k in range(6):
                assert node.push("d", records([k]), source="second").status == 200
                ws.run("source", "disable", "d", "second")
                assert node.push("d", records([k]), source="second", respond_async=True).status == 404
                ws.run("source", "add", "d", ws.write("second.yaml", OTHER))
            # A lease that is over, or was none.
            assert node.operator("DELETE", "/operator/lease/nonsense").status == 200
            lease = node.operator("POST", "/operator/lease?dataset=d").json["lease"]
            assert [node.operator("DELETE", "/operator/lease/" + lease).status for _ in range(2)] == [200, 200]
            assert node.push("d", records([9]), source="default").status == 200
            node.stop()
        assert len(ws.rows("d")) == 7


def where_a_source_stands_still_a_change_is_refused():
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws, "--ack", "durable") as node:
            receipt = stop_source(ws, node)
            for name in ["commit", "source add", "source disable", "delete", "reset", "replace"]:
                done = ws.run(*changes(ws)[name], code=(1, EXIT_BUSY))
                said = done.err.decode()
                assert receipt in said and "queue retry|drop" in said and "--drop-queue" in said, (name, said)
            assert node.receipt(receipt)["status"] == "queued" and len(ws.rows("d")) == 1
            ws.run(*changes(ws)["commit"], "--drop-queue")
            assert node.receipt(receipt)["status"] == "dropped"
            assert node.settled(node.push("d", records([5])).json["receipt"])["status"] == "committed"
            ws.run(*changes(ws)["source disable"])
            # The command ends a moment before the node looks again; what it takes then ends in the dead letters.
            node.eventually(lambda: node.push("d", records([6])).status, lambda status: status == 404)
            ws.run(*changes(ws)["delete"])
            node.stop()
        assert ws.run("list", "-o", "json").out.strip() == b"[]"
        # Without a node the same.
    with Workspace() as ws:
        ws.add("d", APPEND)
        with Node(ws, "--ack", "durable") as node:
            receipt = stop_source(ws, node)
            node.kill()
        for name in ["commit", "delete", "reset"]:
            done = ws.run(*changes(ws)[name], code=(1, EXIT_BUSY))
            assert receipt in done.err.decode() and "--drop-queue" in done.err.decode(), (name, done)
        ws.run(*changes(ws)["delete"], "--drop-queue")
        assert ws.run("list", "-o", "json").out.strip() == b"[]"


if __name__ == "__main__":
    main([a_change_commits_what_is_queued_first, a_change_gives_the_queue_up_when_asked, beside_a_node_too, a_change_is_seen_when_its_command_ends,
          where_a_source_stands_still_a_change_is_refused])
