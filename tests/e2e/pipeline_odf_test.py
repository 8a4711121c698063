#!/usr/bin/env python3
"""Pipelines into datasets: the place in the file is committed with the records, through kills of either side."""
import http.client
import json
import os
import random
import shutil
import signal
import time

import harness
from harness import Workspace
from pipes import Handler, Listener, free_ports, manifest, post
from pushing import Node

MANIFEST = manifest("uuid STRING", "tenant_id STRING", "data STRING", "created_at TIMESTAMP", "stars INT")
PIPELINE = """name: p
ingestors: [{type: file, path: in.ndjson}]
writer: {type: odf, dataset: "%s"%s}
batch: {max_records: 500}
dead_letter: {type: file, path: dead.ndjson}
"""


def lines(numbers, tenants=1, **more):
    return "".join(json.dumps({"uuid": f"u{n}", "data": f"text {n}", "tenant_id": f"t{n % tenants}", **more}) + "\n" for n in numbers)


def text(done):
    return done.err.decode()


def uuids(workspace, dataset):
    return [row["uuid"] for row in workspace.rows(dataset)]


def eventually(holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"did not come true within {seconds} s"
        time.sleep(0.05)


def once():
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        workspace.write("p.yaml", PIPELINE % ("feedback", ""))
        workspace.write("in.ndjson", lines(range(3000)))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml")
            workspace.run("run", "p.yaml")  # it is known how far the file was read
            with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                file.write(lines(range(3000, 3100)))
            workspace.run("run", "p.yaml")
        assert uuids(workspace, "feedback") == [f"u{n}" for n in range(3100)]
        workspace.check_sound("feedback")


def kills_of_either_side():
    """An Append dataset knows no duplicates: the position alone keeps each record to once."""
    kill_and_check(PIPELINE % ("feedback", ""))


def kills_with_a_file_beside_the_dataset():
    """The dataset still gets each record once; the file, which keeps no positions, at least once."""
    def check(workspace, count):
        with open(os.path.join(workspace.folder, "out.ndjson"), encoding="utf-8") as file:
            got = {json.loads(line)["uuid"] for line in file}
        assert got == {f"u{n}" for n in range(count)}, len(got)

    writers = "writer: {type: fan_out, writers: [{type: file, path: out.ndjson}, {type: odf, dataset: feedback}]}"
    pipeline = (PIPELINE % ("feedback", "")).replace('writer: {type: odf, dataset: "feedback"}', writers)
    kill_and_check(pipeline, check)


def kill_and_check(pipeline, check=None):
    dice = random.Random(7)
    count = 20_000
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        workspace.write("in.ndjson", lines(range(count)))
        with Node(workspace, "--block-budget", "unlimited") as node:
            deadline = time.monotonic() + 240
            kills = 0
            while True:
                assert time.monotonic() < deadline, node.said()
                # Cut otherwise each time, or the node would know the batches by their keys.
                workspace.write("p.yaml", pipeline.replace("max_records: 500", f"max_records: {dice.randint(15, 60)}"))
                command = workspace.start("run", "p.yaml")
                time.sleep(dice.uniform(0.05, 0.6))
                if kills < 12 and command.poll() is None:
                    kills += 1
                    if kills % 3 == 0:
                        node.kill()
                        node.start()
                    command.kill()
                    harness.wait(command)
                    continue
                done = harness.wait(command, timeout=120)
                if done.code == 0:
                    break
        got = uuids(workspace, "feedback")
        assert got == [f"u{n}" for n in range(count)], f"{len(got)} rows of {count}, {len(set(got))} different"
        if check:
            check(workspace, count)
        workspace.check_sound("feedback")


def a_dataset_a_tenant():
    """Made from the template; each keeps its own position, and a tenant's name that is none goes to the dead letters."""
    with Workspace() as workspace:
        workspace.write("template.yaml", MANIFEST % "${{ dataset }}")
        workspace.write("p.yaml", PIPELINE % ("${{ record.tenant_id }}.feedback", ", template: template.yaml"))
        bad = json.dumps({"uuid": "bad", "data": "x", "tenant_id": "../up"}) + "\n"
        workspace.write("in.ndjson", lines(range(900), tenants=3) + bad + lines(range(900, 1000), tenants=3))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml")
            workspace.run("run", "p.yaml")
        for tenant in range(3):
            assert uuids(workspace, f"t{tenant}.feedback") == [f"u{n}" for n in range(1000) if n % 3 == tenant]
        with open(os.path.join(workspace.folder, "dead.ndjson"), encoding="utf-8") as dead:
            letters = [json.loads(line) for line in dead]
        assert [letter["uuid"] for letter in letters] == ["bad"], letters
        assert "../up" in letters[0]["dead_letter"]["reason"], letters


def one_bad_record():
    """What the dataset refuses goes to the dead letters, alone, and nothing behind it is lost."""
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        workspace.write("p.yaml", PIPELINE % ("feedback", ""))
        workspace.write("in.ndjson", lines(range(40)) + lines([40], stars="many") + lines(range(41, 100), stars=3))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml", timeout=120)
        assert uuids(workspace, "feedback") == [f"u{n}" for n in range(100) if n != 40]
        with open(os.path.join(workspace.folder, "dead.ndjson"), encoding="utf-8") as dead:
            letters = [json.loads(line) for line in dead]
        assert [letter["uuid"] for letter in letters] == ["u40"] and "stars" in letters[0]["dead_letter"]["reason"], letters


def many_bad_records():
    """Each costs its place in the dead letters, not a growing pause."""
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        workspace.write("p.yaml", PIPELINE % ("feedback", ""))
        workspace.write("in.ndjson", "".join(lines([n], **({"stars": "many"} if n % 10 == 0 else {})) for n in range(400)))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml", timeout=60)
        assert uuids(workspace, "feedback") == [f"u{n}" for n in range(400) if n % 10]
        with open(os.path.join(workspace.folder, "dead.ndjson"), encoding="utf-8") as dead:
            assert [json.loads(line)["uuid"] for line in dead] == [f"u{n}" for n in range(0, 400, 10)]


def tenants_and_another_file():
    """Datasets stand in different places when the file is replaced: none misses or doubles a record of the new one."""
    with Workspace() as workspace:
        workspace.write("template.yaml", MANIFEST % "${{ dataset }}")
        workspace.write("p.yaml", PIPELINE % ("${{ record.tenant_id }}.feedback", ", template: template.yaml"))
        with Node(workspace, "--block-budget", "unlimited"):
            # t2 comes first and never again: its dataset stays behind.
            workspace.write("in.ndjson", lines([2], tenants=3) + lines([n for n in range(3, 300) if n % 3 < 2], tenants=3))
            workspace.run("run", "p.yaml")
            workspace.write("in.ndjson", lines([n for n in range(300, 330) if n % 3 == 0], tenants=3))
            workspace.run("run", "p.yaml")
            workspace.write("in.ndjson", lines(range(1000, 1050), tenants=3))
            workspace.run("run", "p.yaml")
            workspace.run("run", "p.yaml")
            with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                file.write(lines(range(1050, 1060), tenants=3))
            workspace.run("run", "p.yaml")
        for tenant in range(3):
            first = [2] if tenant == 2 else [n for n in range(3, 300) if n % 3 == tenant]
            second = [n for n in range(300, 330) if n % 3 == 0] if tenant == 0 else []
            third = [n for n in range(1000, 1060) if n % 3 == tenant]
            assert uuids(workspace, f"t{tenant}.feedback") == [f"u{n}" for n in first + second + third], tenant


def a_folder_that_moves():
    """The place belongs to what the file holds: not to the folder's name, the file's inode or its alphabet."""
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        before, after = (os.path.join(workspace.folder, name) for name in ("Eingänge 1", "elsewhere"))
        os.mkdir(before)
        with Node(workspace, "--block-budget", "unlimited") as node:
            with open(os.path.join(before, "p.yaml"), "w", encoding="utf-8") as file:
                file.write((PIPELINE % ("feedback", f", node: {node.url}")).replace("in.ndjson", "für alle.ndjson"))
            source = os.path.join(before, "für alle.ndjson")
            with open(source, "w", encoding="utf-8") as file:
                file.write(lines(range(200)))
            workspace.run("run", os.path.join(before, "p.yaml"))
            shutil.copytree(before, after)
            shutil.rmtree(before)
            with open(os.path.join(after, "für alle.ndjson"), "a", encoding="utf-8") as file:
                file.write(lines(range(200, 210)))
            workspace.run("run", "p.yaml", cwd=after)
            assert uuids(workspace, "feedback") == [f"u{n}" for n in range(210)]
            # Another file under the name is read from its beginning.
            with open(os.path.join(after, "für alle.ndjson"), "w", encoding="utf-8") as file:
                file.write(lines(range(1000, 1300)))
            workspace.run("run", "p.yaml", cwd=after)
        assert uuids(workspace, "feedback") == [f"u{n}" for n in [*range(210), *range(1000, 1300)]]


def a_dataset_that_goes():
    """It is deleted under the pipeline: the records wait, they are not thrown away."""
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        pipeline = (PIPELINE % ("feedback", "")).replace("in.ndjson}", "in.ndjson, follow: true, poll: 20ms}")
        workspace.write("p.yaml", pipeline + "retry: {initial: 50ms, max: 200ms}\n")
        workspace.write("in.ndjson", lines(range(10)))
        with Node(workspace, "--block-budget", "unlimited") as node:
            command = workspace.start("run", "p.yaml")
            eventually(lambda: len(workspace.rows("feedback")) == 10)
            assert node.call("DELETE", "/feedback")[0] == 200
            with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                file.write(lines(range(10, 20)))
            time.sleep(1)
            workspace.run("add", "feedback.yaml")
            eventually(lambda: len(workspace.rows("feedback")) == 10)
            command.terminate()
            assert harness.wait(command).code == 0
        assert uuids(workspace, "feedback") == [f"u{n}" for n in range(10, 20)]
        assert not os.path.exists(os.path.join(workspace.folder, "dead.ndjson")) or not os.path.getsize(
            os.path.join(workspace.folder, "dead.ndjson"))


class LosingProxy(Listener):
    """Passes requests on to a node, and hangs up in place of the next `lost` answers to pushes."""

    def __init__(self, node):
        self.lost = 0
        proxy = self

        class Passing(Handler):
            def do_POST(self):  # noqa: N802
                body = self.body()
                connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=harness.TIMEOUT)
                headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Content-Length")}
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                text = answer.read()
                connection.close()
                if "/ingest" in self.path and proxy.lost:
                    proxy.lost -= 1
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

        super().__init__(Passing)


FROM_HTTP = """name: p
ingestors: [{type: http, listen: '127.0.0.1:%d'}]
writer: {type: odf, dataset: feedback, node: '%s'}
retry: {attempts: %d, initial: 20ms, max: 50ms}
"""


def started(workspace, port):
    command = workspace.start("run", "p.yaml")
    eventually(lambda: answers(port))
    return command


def answers(port):
    try:
        return post(port, b"", method="GET").status == 405
    except OSError:
        return False


def failed(port, proxy, record):
    """The node takes it, and no answer comes."""
    proxy.lost = 1000
    assert post(port, record).status >= 500
    proxy.lost = 0


def an_answer_that_is_lost():
    """What the node has and did not say so is not pushed again: not by the pipeline, not when the sender repeats it, not
    after a reload. Once it was answered, the same record is another one."""
    record = {"uuid": "u1", "data": "x"}
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        port, = free_ports(1)
        with Node(workspace, "--block-budget", "unlimited") as node, LosingProxy(node) as proxy:
            workspace.write("p.yaml", FROM_HTTP % (port, proxy.url, 3))
            command = started(workspace, port)
            proxy.lost = 2
            assert post(port, record).status == 200
            assert len(workspace.rows("feedback")) == 1
            assert post(port, record).status == 200
            assert len(workspace.rows("feedback")) == 2
            failed(port, proxy, record)
            assert post(port, {"uuid": "u2", "data": "y"}).status == 200
            command.send_signal(signal.SIGHUP)
            time.sleep(1)
            eventually(lambda: answers(port))
            assert post(port, record).status == 200
            assert uuids(workspace, "feedback") == ["u1", "u1", "u1", "u2"]
            # Something newer was said of it in between.
            failed(port, proxy, {"uuid": "u3", "data": "open"})
            assert post(port, {"uuid": "u3", "data": "closed"}).status == 200
            assert post(port, {"uuid": "u3", "data": "open"}).status == 200
            assert [row["data"] for row in workspace.rows("feedback") if row["uuid"] == "u3"] == ["open", "closed", "open"]
            command.terminate()
            assert harness.wait(command).code == 0


def wrong_at_the_start():
    with Workspace() as workspace:
        workspace.write("in.ndjson", lines(range(3)))
        workspace.write("p.yaml", PIPELINE % ("feedback", ""))
        done = workspace.run("run", "p.yaml", code=None)
        assert done.code != 0 and "sluice serve" in text(done), done
        with Node(workspace) as node:
            done = workspace.run("run", "p.yaml", code=None)
            assert done.code != 0 and "option 'dataset'" in text(done) and "template" in text(done), done
            workspace.write("q.yaml", PIPELINE % ("feedback", f", node: {node.url}, token: wr0ng"))
            done = workspace.run("run", "q.yaml", code=None)
            assert done.code != 0 and "'token'" in text(done) and "wrong" not in text(done).replace("wrong token", ""), done
        workspace.write("r.yaml", PIPELINE % ("${{ record.tenant }}", ""))
        done = workspace.run("run", "r.yaml", code=None)
        assert done.code != 0 and "tenant_id" in text(done) and "r.yaml:" in text(done), done


def letters_of(workspace):
    try:
        with open(os.path.join(workspace.folder, "dead.ndjson"), encoding="utf-8") as dead:
            return [json.loads(line)["uuid"] for line in dead]
    except FileNotFoundError:
        return []


def a_bad_record_at_the_end():
    """It is passed once its dead letter is there: the next start does not reject it again, nor read what was dropped."""
    with Workspace() as workspace:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        workspace.write("p.yaml", PIPELINE % ("feedback", ""))
        workspace.write("in.ndjson", lines(range(3)) + lines([3], stars="many"))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml")
            assert letters_of(workspace) == ["u3"]
            assert "0 records taken" in text(workspace.run("run", "p.yaml"))
            with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                file.write(lines([4]))
            workspace.run("run", "p.yaml")
            # A line that is none never gets as far as the dataset.
            for taken in (1, 0):
                if taken:
                    with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                        file.write("{\n")
                assert f"{taken} records taken" in (said := text(workspace.run("run", "p.yaml"))), said
        with open(os.path.join(workspace.folder, "dead.ndjson"), encoding="utf-8") as dead:
            assert len(dead.readlines()) == 2
        assert uuids(workspace, "feedback") == ["u0", "u1", "u2", "u4"]


def a_dataset_made_on_the_way():
    """It begins where the pipeline stands, whether it takes its first record, refuses it, or a kill comes first."""
    with Workspace() as workspace:
        workspace.write("template.yaml", MANIFEST % "${{ dataset }}")
        pipeline = PIPELINE % ("${{ record.tenant_id }}.feedback", ", template: template.yaml")
        workspace.write("p.yaml", pipeline.replace("500", "4"))
        workspace.write("f.yaml", pipeline.replace("500", "4").replace("in.ndjson}", "in.ndjson, follow: true, poll: 20ms}"))
        workspace.write("in.ndjson", lines(range(20), tenants=2))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml")
            command = workspace.start("run", "f.yaml")
            with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                file.write(json.dumps({"uuid": "bad", "tenant_id": "t9", "stars": "many"}) + "\n")
            eventually(lambda: letters_of(workspace) == ["bad"])
            command.kill()
            harness.wait(command)
            # Not from the beginning, though t9 has nothing; a letter may come again after a kill, and only then.
            assert " 1 records taken" in (said := text(workspace.run("run", "p.yaml"))) or " 0 records taken" in said, said
            letters = letters_of(workspace)
            assert "0 records taken" in text(workspace.run("run", "p.yaml"))
            assert letters_of(workspace) == letters
        assert uuids(workspace, "t9.feedback") == []


def a_snapshot_made_on_the_way():
    """Its source takes no position alone: that holds nothing up."""
    with Workspace() as workspace:
        workspace.write("template.yaml", (MANIFEST % "${{ dataset }}").replace("{kind: Append}", "{kind: Snapshot, primaryKey: [uuid]}"))
        workspace.write("p.yaml", PIPELINE % ("${{ record.tenant_id }}.feedback", ", template: template.yaml"))
        workspace.write("in.ndjson", lines([0]))
        with Node(workspace, "--block-budget", "unlimited"):
            workspace.run("run", "p.yaml")
            with open(os.path.join(workspace.folder, "in.ndjson"), "a", encoding="utf-8") as file:
                file.write(json.dumps({"uuid": "new", "tenant_id": "t9"}) + "\n")
            workspace.run("run", "p.yaml")
        assert uuids(workspace, "t9.feedback") == ["new"]


def back_to_what_it_was():
    """A record that says again what it said before is no repeat of that time."""
    with Workspace() as workspace:
        for name, strategy in (("upsert", "UpsertStream"), ("snapshot", "Snapshot")):
            merge = "merge: {kind: %s, primaryKey: [uuid]}" % strategy
            made = (MANIFEST % name).replace("merge: {kind: Append}", merge).replace(", \"created_at TIMESTAMP\"", "")
            workspace.run("add", workspace.write(f"{name}.yaml", made.split("    - {kind: SetVocab")[0]))
            workspace.write(f"p_{name}.yaml", "name: %s\ningestors: [{type: stdio}]\nwriter: {type: odf, dataset: %s}\n"
                            "batch: {max_records: 1}\n" % (name, name))
        with Node(workspace, "--block-budget", "unlimited"):
            for name in ("upsert", "snapshot"):
                for run, states in enumerate((["open", "closed", "open"], ["open", "closed", "open"])):
                    data = "".join(json.dumps({"uuid": "u1", "data": state}) + "\n" for state in states)
                    done = workspace.run("run", f"p_{name}.yaml", data=data.encode())
                    assert workspace.rows(name)[-1]["data"] == "open", (name, run, workspace.rows(name), text(done))
                    data = json.dumps({"uuid": "u1", "data": "closed"}) + "\n"
                    workspace.run("run", f"p_{name}.yaml", data=data.encode())
                    assert workspace.rows(name)[-1]["data"] == "closed", (name, run, workspace.rows(name))


if __name__ == "__main__":
    harness.main([once, kills_of_either_side, kills_with_a_file_beside_the_dataset, a_dataset_a_tenant, one_bad_record, many_bad_records, tenants_and_another_file,
                  a_folder_that_moves, a_dataset_that_goes, a_bad_record_at_the_end, a_dataset_made_on_the_way, a_snapshot_made_on_the_way,
                  back_to_what_it_was, an_answer_that_is_lost, wrong_at_the_start])
