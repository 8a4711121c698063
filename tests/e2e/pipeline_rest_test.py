#!/usr/bin/env python3
"""Pipelines that read an API page by page, against a forum in Discourse's format: kills, limits, credentials, bad answers."""
import json
import os
import random
import subprocess
import threading
import time
import urllib.error
import urllib.request

import harness
from forum import Forum
from harness import Workspace
from pipes import Folder, manifest
from pushing import Node

MANIFEST = manifest("uuid STRING", "source_type STRING", "source_id STRING", "data STRING",
                    "data_id STRING", "tenant_id STRING", "created_at TIMESTAMP")


def to_file(url, options="once: true", more=""):
    return f"""name: p
ingestors: [{{type: rest, preset: discourse, url: '{url}', requests_per_second: 0, {options}}}]
writer: {{type: file, path: out.ndjson}}
dead_letter: {{type: file, path: dead.ndjson}}
{more}"""


def numbers(folder):
    return [int(one["data_id"]) for one in folder.read("out.ndjson")]


def ids(workspace, dataset):
    return [int(row["data_id"]) for row in workspace.rows(dataset)]


def posts_of_a_forum():
    with Folder() as folder, Forum(posts=230) as forum:
        folder.run("p.yaml", to_file(forum.url))
        assert numbers(folder) == forum.numbers()
        first = folder.read("out.ndjson")[0]
        assert (first["source_type"], first["source_id"], first["metadata_type"]) == ("discourse", forum.url[7:], "discourse_post"), first
        assert first["data"] == "Post **1** \u2013 hello" and first["metadata"]["topic_slug"] == "topic-0", first
        assert first["metadata"] == forum.posts[0] and first["created_at"].startswith(forum.posts[0]["created_at"][:19]), first
        before = len(forum.requests)
        folder.run("p.yaml", to_file(forum.url))
        forum.add(7)
        folder.run("p.yaml", to_file(forum.url))
        assert numbers(folder) == forum.numbers()
        assert len(forum.requests) <= before + 4, forum.requests[before:]
        forum.add(3, age=0)  # what is being written just now is left for the next time
        folder.run("p.yaml", to_file(forum.url))
        assert numbers(folder) == forum.numbers()[:-3]


def topics_of_a_forum():
    with Folder() as folder, Forum() as forum:
        forum.add_topics(95)
        text = to_file(forum.url).replace("preset: discourse", "preset: discourse_topics")
        folder.run("p.yaml", text)
        forum.add_topics(5)
        before = len(forum.requests)
        folder.run("p.yaml", text)
        assert numbers(folder) == list(range(1, 101))
        assert len(forum.requests) <= before + 2, forum.requests[before:]
        assert folder.read("out.ndjson")[0]["data"] == "Topic 1"


def issues_of_a_repository():
    """As GitHub gives them: by the time of their change, of which many have the same; a changed one comes again."""
    def issue(number, at):
        return {"url": f"https://api.github.com/repos/a/b/issues/{number}", "id": 1000 + number, "number": number, "title": f"Issue {number}",
                "user": {"login": "ada", "id": 1}, "labels": [], "state": "open", "comments": 0, "created_at": "2024-01-01T00:00:00Z",
                "updated_at": at, "closed_at": None, "body": None if number % 2 else "It does not work."}

    issues = [issue(n, f"2024-01-0{1 if n < 20 else 2 if n < 240 else 3}T00:00:00Z") for n in range(1, 261)]
    forum = Forum()

    def answer(path, query):
        assert path == "/repos/a/b/issues" and query["sort"] == "updated" and query["direction"] == "asc", (path, query)
        found = sorted((one for one in issues if one["updated_at"] >= query.get("since", "")), key=lambda one: one["updated_at"])
        page, size = int(query.get("page", 1)), int(query["per_page"])
        links = ""
        if page * size < len(found):
            more = "&".join(f"{name}={value}" for name, value in {**query, "page": page + 1}.items())
            links = f'<{forum.url}/repositories/1/../../repos/a/b/issues?{more}>; rel="next", <{forum.url}/x>; rel="last"'
        return 200, {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "1700000000",
                     **({"Link": links} if links else {})}, found[(page - 1) * size:page * size]

    with Folder() as folder, forum:
        forum.answer = answer
        text = to_file(forum.url + "/repos/a/b").replace("preset: discourse", "preset: github_issues")
        folder.run("p.yaml", text)
        assert sorted(numbers(folder)) == list(range(1, 261))
        assert [one["data"] for one in folder.read("out.ndjson") if one["data_id"] == "2"] == ["Issue 2\n\nIt does not work."]
        before = len(forum.requests)
        issues[4]["updated_at"] = "2024-01-04T00:00:00Z"
        issues.append(issue(261, "2024-01-05T00:00:00Z"))
        folder.run("p.yaml", text)
        assert numbers(folder)[260:] == [5, 261]
        assert len(forum.requests) <= before + 3, forum.requests[before:]


def limits_are_honoured():
    with Folder() as folder, Forum(posts=900, limit=8) as forum:
        folder.run("p.yaml", to_file(forum.url), timeout=120)
        assert numbers(folder) == forum.numbers()
        assert forum.held_until > 0 and forum.early == 0, f"{forum.early} requests came while it was told to wait"
    # And its own limit, which spares the server's.
    with Folder() as folder, Forum(posts=300, limit=8) as forum:
        folder.run("p.yaml", to_file(forum.url).replace("requests_per_second: 0", "requests_per_second: 7"), timeout=120)
        assert numbers(folder) == forum.numbers() and forum.held_until == 0


def grow(forum, done, count, seconds):
    def run():
        for _ in range(count):
            time.sleep(seconds / count)
            forum.add(4)
        done.set()
    threading.Thread(target=run, daemon=True).start()


def eventually(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"did not come true within {seconds} s"
        time.sleep(0.05)


def exactly_once_into_a_dataset():
    """The list grows, pipeline and node are killed; an Append dataset knows no duplicates."""
    dice = random.Random(3)
    pipeline = """name: p
ingestors: [{type: rest, preset: discourse, url: '%s', requests_per_second: 0, interval: 20ms}]
writer: {type: odf, dataset: feedback}
batch: {max_records: 40}
retry: {initial: 20ms, max: 200ms}
dead_letter: {type: file, path: dead.ndjson}
"""
    with Workspace() as workspace, Forum(posts=2000) as forum:
        workspace.run("add", workspace.write("feedback.yaml", MANIFEST % "feedback"))
        workspace.write("p.yaml", pipeline % forum.url)
        done = threading.Event()
        grow(forum, done, 100, 8)
        with Node(workspace, "--block-budget", "unlimited") as node:
            for kill in range(14):
                command = workspace.start("run", "p.yaml")
                time.sleep(dice.uniform(0.1, 0.7))
                if kill % 4 == 3:
                    node.kill()
                    node.start()
                    time.sleep(dice.uniform(0, 0.3))
                command.kill()
                harness.wait(command)
            command = workspace.start("run", "p.yaml")
            done.wait(60)
            expected = forum.numbers()
            eventually(lambda: len(workspace.rows("feedback")) >= len(expected), 120)
            command.terminate()
            assert harness.wait(command).code == 0
            before = len(forum.requests)
            workspace.run("run", workspace.write("q.yaml", (pipeline % forum.url).replace("interval: 20ms", "once: true")))
            assert len(forum.requests) <= before + 2, forum.requests[before:]
        got = ids(workspace, "feedback")
        assert got == expected, f"{len(got)} rows of {len(expected)}, {len(set(got))} different"
        workspace.check_sound("feedback")


def exactly_once_into_a_dataset_a_tenant():
    """Each dataset keeps its own place: the ones that are behind do not pull the others back."""
    for seed in (4, 6, 7):
        tenants_with_kills(random.Random(seed))


def tenants_with_kills(dice):
    with Workspace() as workspace, Forum(posts=1500) as forum:
        workspace.write("template.yaml", MANIFEST % "${{ dataset }}")
        workspace.write("p.yaml", """name: p
ingestors: [{type: rest, preset: discourse, url: '%s', requests_per_second: 0, once: true, record: {tenant_id: {from: category_id}}}]
processors: [{type: match, rules: [{when: {field: tenant_id, equals: '0'}, set: {tenant_id: t0}}, {when: {field: tenant_id, in: ['1', '2', '3']}, set: {tenant_id: t1}}]}]
writer: {type: odf, dataset: "${{ record.tenant_id }}.feedback", template: template.yaml}
batch: {max_records: 60}
retry: {initial: 20ms, max: 200ms}
""" % forum.url)
        with Node(workspace, "--block-budget", "unlimited"):
            for _ in range(8):
                command = workspace.start("run", "p.yaml")
                time.sleep(dice.uniform(0.1, 0.5))
                command.kill()
                harness.wait(command)
            workspace.run("run", "p.yaml", timeout=120)
            forum.add(100)
            workspace.run("run", "p.yaml", timeout=120)
        for tenant in range(2):
            expected = [n for n in forum.numbers() if (n % 4 == 0) == (tenant == 0)]
            assert ids(workspace, f"t{tenant}.feedback") == expected, tenant


def nothing_is_lost_without_a_dataset():
    """A file keeps no place: after kills records may come again, and none is missing."""
    dice = random.Random(4)
    with Folder() as folder, Forum(posts=3000) as forum:
        for _ in range(12):
            pipe = folder.start("p.yaml", to_file(forum.url, "interval: 20ms"))
            time.sleep(dice.uniform(0.05, 0.4))
            pipe.kill()
        done = folder.run("p.yaml", to_file(forum.url), timeout=120)
        with open(os.path.join(folder.path, "out.ndjson"), "rb") as file:
            lines = [line for line in file if line.endswith(b"}\n")]  # a kill may tear one, which is written again
        got = [int(json.loads(line)["data_id"]) for line in lines]
        assert sorted(set(got)) == forum.numbers(), done
        assert len(got) < 3 * len(forum.numbers()), f"{len(got)} records of {len(forum.numbers())}"


def ready(url):
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def lines_of(workspace):
    path = os.path.join(workspace.folder, "out.ndjson")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.readlines()


def credentials():
    with Workspace(init=False) as workspace, Forum(posts=60, key="k-3-y") as forum:
        options = "interval: 20ms, headers: {Api-Key: '%s', Api-Username: system}"
        workspace.write("wrong.yaml", to_file(forum.url, options % "wr0ng"))
        done = workspace.run("run", "wrong.yaml", code=None)
        said = done.err.decode()
        assert done.code != 0 and "'headers'" in said and forum.url in said and "wr0ng" not in said, said
        workspace.write("p.yaml", to_file(forum.url, options % "k-3-y"))
        process = workspace.start("run", "p.yaml", "--metrics", "127.0.0.1:0")
        line = process.stderr.readline().decode()
        url = line.split("Metrics on ")[1].split("/metrics")[0]
        eventually(lambda: len(lines_of(workspace)) == 60 and ready(url)[0] == 200)
        forum.key = "another"
        eventually(lambda: ready(url)[0] == 503)
        assert "credentials" in ready(url)[1] and "k-3-y" not in ready(url)[1], ready(url)
        forum.key = "k-3-y"
        forum.add(10)
        eventually(lambda: ready(url)[0] == 200)
        eventually(lambda: len(lines_of(workspace)) == 70)
        process.terminate()
        done = harness.wait(process)
        assert done.code == 0 and b"k-3-y" not in done.err, done
        assert [int(json.loads(one)["data_id"]) for one in lines_of(workspace)] == forum.numbers()


def tls():
    with Folder() as folder:
        certificate = [os.path.join(folder.path, name) for name in ("cert.pem", "key.pem")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", certificate[1], "-out", certificate[0], "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        with Forum(posts=20, certificate=certificate) as forum:
            folder.run("p.yaml", to_file(forum.url, "once: true, ca_file: cert.pem"))
            assert numbers(folder) == forum.numbers()
            done = folder.run("untrusted.yaml", to_file(forum.url), code=harness.EXIT_FAILURE)
            assert b"'url'" in done.err and b"certificate" in done.err.lower(), done


def bad_answers():
    """Whatever comes, the posts come after it, each once, and what is no post is a dead letter."""
    with Folder() as folder, Forum(posts=120) as forum:
        answers = [b"<html>We are down for maintenance</html>", b'{"latest_posts":[{"id":1', b"", b"\xff\xfe", b"[]", b'{"latest_posts":{}}',
                   b'{"latest_posts":[' + b"[" * 200_000 + b"]" * 200_000, b'{"latest_posts":"' + b"x" * (3 << 20) + b'"}']
        turn = [0]

        def answer(path, query):
            turn[0] += 1
            if turn[0] % 3 == 0 and answers:
                return 200, {}, answers.pop()
            if turn[0] % 7 == 0:
                return 302, {"Location": path + "?round=1"}, b""
            return None

        forum.add(1)
        forum.posts[40]["created_at"] = "yesterday"
        forum.posts[41]["raw"] = "x" * 1000 + "\x00"
        forum.posts[50] = {"id": "no number", "raw": "hello"}
        forum.posts[51] = "no object"
        forum.answer = answer
        folder.start("p.yaml", to_file(forum.url, "interval: 20ms, max_answer: 1MiB"))
        expected = [one["id"] for i, one in enumerate(forum.posts) if i not in (40, 50, 51)]
        eventually(lambda: not answers and len(numbers(folder)) >= len(expected))
        forum.answer = None
        forum.add(30)
        eventually(lambda: len(numbers(folder)) >= len(expected) + 30)
        assert numbers(folder) == expected + forum.numbers()[-30:]
        time.sleep(0.5)
        letters = folder.read("dead.ndjson")
        assert len(letters) == 3, letters
        reasons = " ".join(letter["dead_letter"]["reason"] for letter in letters)
        assert "created_at" in reasons and "'id'" in reasons, reasons


def a_draft_runs():
    with Folder() as folder, Forum(posts=20) as forum, Workspace(init=False, folder=folder.path) as workspace:
        workspace.run("new", "pipeline", "forum", "--from", "rest", "--to", "file")
        with open(os.path.join(folder.path, "forum.yaml"), encoding="utf-8") as file:
            text = file.read()
        assert "preset: discourse" in text, text
        folder.run("forum.yaml", text.replace("https://meta.discourse.org", forum.url).replace("interval: 60s", "once: true"))
        written = text.split("type: file")[1].split("path:")[1].split("\n")[0].strip()
        assert [int(one["data_id"]) for one in folder.read(written)] == forum.numbers()


if __name__ == "__main__":
    harness.main([posts_of_a_forum, topics_of_a_forum, issues_of_a_repository, limits_are_honoured, exactly_once_into_a_dataset,
                  exactly_once_into_a_dataset_a_tenant, nothing_is_lost_without_a_dataset, credentials, tls, bad_answers, a_draft_runs])
