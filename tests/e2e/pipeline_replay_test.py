#!/usr/bin/env python3
"""Dead letters through the real program: all that was rejected can be sent again, to those who lack it, when the fault is mended."""
import base64
import json
import time

from forum import Forum
from harness import Workspace, main, wait
from pipes import Folder, Handler, Listener


class Refuser(Listener):
    """An ingestor that answers 400 to records with `no` in their data; what it took, by uuid and how often."""

    def __init__(self, no="no"):
        self.no, self.taken, self.texts, self.away = no, {}, [], False
        refuser = self

        class Refusing(Handler):
            def do_GET(self):  # noqa: N802
                self.answer(405)

            def do_POST(self):  # noqa: N802
                record = json.loads(self.body())
                if refuser.away:
                    return self.answer(503)
                if refuser.no and refuser.no in record["data"]:
                    return self.answer(400)
                refuser.taken[record["uuid"]] = refuser.taken.get(record["uuid"], 0) + 1
                refuser.texts.append(record["data"])
                return self.answer(200)

        super().__init__(Refusing)


def replay(folder, pipeline, letters, code=0):
    return Workspace(init=False, folder=folder.path).run("pipeline", "replay", pipeline, letters, code=code)


def records(texts):
    return "".join(json.dumps({"uuid": f"u{i}", "data": data}) + "\n" for i, data in enumerate(texts))


def uuids(folder, name):
    return [one["uuid"] for one in folder.read(name)]


def only_the_branch_that_refused_gets_it_again():
    with Folder() as folder, Refuser() as refuser:
        text = f"""ingestors: [{{type: file, path: in.ndjson}}]
processors: [{{type: redact, find: [email]}}]
writer:
  type: fan_out
  writers: [{{type: file, path: out.ndjson}}, {{type: http, url: '{refuser.url}'}}]
dead_letter: {{type: file, path: dead.ndjson}}
"""
        folder.write("in.ndjson", records(["yes", "no a@b.example", "yes", "no"]))
        folder.run("p.yaml", text)
        assert uuids(folder, "out.ndjson") == ["u0", "u1", "u2", "u3"] and sorted(refuser.taken) == ["u0", "u2"], refuser.taken
        letters = folder.read("dead.ndjson")
        assert [(one["uuid"], one["dead_letter"]["writers"]) for one in letters] == [("u1", ["1_http"]), ("u3", ["1_http"])], letters
        assert letters[0]["data"] == "no a@b.example", "as it came in, so that a processor can be mended too"
        done = replay(folder, "p.yaml", "dead.ndjson")
        assert b"2 record(s) sent again, 2 rejected again" in done.err, done
        refuser.no = None
        folder.write("again.ndjson", "".join(json.dumps(one) + "\n" for one in letters))
        done = replay(folder, "p.yaml", "again.ndjson")
        assert b"2 record(s) sent again, 0 rejected again" in done.err, done
        assert refuser.taken == {"u0": 1, "u1": 1, "u2": 1, "u3": 1}, refuser.taken
        assert uuids(folder, "out.ndjson") == ["u0", "u1", "u2", "u3"], "the file had them"
        assert "a@b.example" not in " ".join(refuser.texts)


def a_best_effort_branch_gets_its_own_dead_letters():
    with Folder() as folder, Refuser() as refuser:
        text = f"""ingestors: [{{type: file, path: in.ndjson}}]
processors: [{{type: sql, query: "select * replace (data || '!' as data) from input"}}]
writer:
  type: fan_out
  writers:
    - {{type: file, path: out.ndjson}}
    - {{type: http, url: '{refuser.url}', policy: best_effort, attempts: 1, dead_letter: {{type: file, path: lost.ndjson}}}}
"""
        folder.write("in.ndjson", records(["yes", "no", "yes"]))
        folder.run("p.yaml", text)
        letter, = folder.read("lost.ndjson")
        assert letter["dead_letter"]["writers"] == ["1_http"] and letter["dead_letter"]["processed"], letter
        refuser.no = None
        # One that nobody has, in the same file: it goes the whole way, to all.
        folder.write("mixed.ndjson", json.dumps(letter) + "\n" + json.dumps({"uuid": "new", "data": "n", "dead_letter": {"reason": "x"}}) + "\n")
        done = replay(folder, "p.yaml", "mixed.ndjson")
        assert b"2 record(s) sent again, 0 rejected again" in done.err, done
        assert refuser.taken == {"u0": 1, "u1": 1, "u2": 1, "new": 1}, refuser.taken
        assert sorted(refuser.texts) == ["n!", "no!", "yes!", "yes!"], "processed once, as the writer was given it"
        assert uuids(folder, "out.ndjson") == ["u0", "u1", "u2", "new"]
        # A writer that the pipeline has no longer: nothing is sent.
        letter["dead_letter"]["writers"] = ["2_postgres"]
        folder.write("mixed.ndjson", json.dumps({"uuid": "none", "data": "n"}) + "\n" + json.dumps(letter) + "\n")
        done = replay(folder, "p.yaml", "mixed.ndjson", code=None)
        assert done.code != 0 and b"'2_postgres'" in done.err and b"'writers'" in done.err, done
        assert "none" not in refuser.taken and "none" not in uuids(folder, "out.ndjson")


def a_best_effort_branch_that_is_away_is_waited_for():
    with Folder() as folder, Refuser() as refuser:
        text = f"""ingestors: [{{type: file, path: in.ndjson}}]
writer:
  type: fan_out
  writers:
    - {{type: file, path: out.ndjson}}
    - {{type: http, url: '{refuser.url}', policy: best_effort, attempts: 1, dead_letter: {{type: file, path: lost.ndjson}}}}
retry: {{attempts: 2, initial: 20ms}}
dead_letter: {{type: file, path: dead.ndjson}}
"""
        folder.write("in.ndjson", records(["yes", "no", "yes"]))
        refuser.away = True
        folder.run("p.yaml", text)
        assert len(folder.read("lost.ndjson")) == 3
        process = Workspace(init=False, folder=folder.path).start("pipeline", "replay", "p.yaml", "lost.ndjson")
        try:
            time.sleep(2)
            assert process.poll() is None, wait(process)
            assert len(folder.read("lost.ndjson")) == 3, "once is enough"
            refuser.away = False
            done = wait(process)
        finally:
            process.kill()
        assert done.code == 0 and b"3 record(s) sent again, 1 rejected again" in done.err, done
        assert refuser.taken == {"u0": 1, "u2": 1} and len(folder.read("lost.ndjson")) == 3, refuser.taken
        # What the writer refuses now is a letter of the pipeline, for that writer, and goes no second time through the processors.
        letter, = folder.read("dead.ndjson")
        assert letter["dead_letter"]["writers"] == ["1_http"] and letter["dead_letter"]["processed"], letter
        assert uuids(folder, "out.ndjson") == ["u0", "u1", "u2"]


def items_of_an_api_are_mapped_again():
    with Folder() as folder, Forum(posts=60) as forum:
        text = f"""name: p
ingestors: [{{type: rest, preset: discourse, url: '{forum.url}', requests_per_second: 0, once: true}}]
writer: {{type: file, path: out.ndjson}}
dead_letter: {{type: file, path: dead.ndjson}}
"""
        forum.posts[20]["created_at"] = "yesterday"
        forum.posts[30] = {"id": "no number", "raw": "hello", "created_at": "2024-01-01T00:00:00Z"}
        folder.run("p.yaml", text)
        letters = folder.read("dead.ndjson")
        assert {json.loads(one["data"])["id"] for one in letters} == {forum.posts[20]["id"], "no number"}, letters
        assert all(one["dead_letter"]["ingestor"] == "0_rest" for one in letters), letters
        before = len(folder.read("out.ndjson"))
        # The mapping is mended: a post without a time that is one goes without.
        mended = text.replace("once: true", "once: true, record: {created_at: {from: nowhere}}")
        folder.write("p.yaml", mended)
        done = replay(folder, "p.yaml", "dead.ndjson")
        assert b"2 record(s) sent again, 0 rejected again" in done.err, done
        replay(folder, "p.yaml", "dead.ndjson")
        last = folder.read("out.ndjson")[before:]
        assert len(last) == 4 and [one["uuid"] for one in last[:2]] == [one["uuid"] for one in last[2:]], "the same records again"
        by_id = {one["data_id"]: one for one in last}
        assert by_id["no number"]["data"] == "hello" and by_id["no number"]["source_type"] == "discourse", by_id
        assert str(forum.posts[20]["id"]) in by_id and "dead_letter" not in by_id["no number"], by_id


def what_is_no_dead_letter_and_who_cannot_read_one():
    with Folder() as folder:
        folder.write("p.yaml", "ingestors: [{type: stdio}]\nwriter: {type: file, path: out.ndjson}\ndead_letter: {type: file, path: dead.ndjson}\n")
        folder.write("d.ndjson", '{"uuid":"r","data":"{}","dead_letter":{"raw":true,"ingestor":"3_rest"}}\nno json\n{"uuid":"plain"}\n')
        for name in ("d.ndjson", "dead.ndjson"):
            done = replay(folder, "p.yaml", name)
            assert b"2 rejected again" in done.err, done
        letters = folder.read("dead.ndjson")
        assert [one["data"] for one in letters] == ["{}", "no json"] * 2 and letters[0]["uuid"] == letters[2]["uuid"] == "r", letters
        assert letters[2]["dead_letter"]["ingestor"] == "3_rest" and "'3_rest'" in letters[2]["dead_letter"]["reason"]
        assert "ingestor" not in letters[3]["dead_letter"] and uuids(folder, "out.ndjson") == ["plain"], letters[3]


def csv_lines_with_wrong_quotes():
    with Folder() as folder:
        folder.write("in.csv", 'uuid,"da;ta",data\na,x,first\nb,x,"second\n')
        folder.run("p.yaml", "ingestors: [{type: file, path: in.csv, format: csv}]\nwriter: {type: file, path: out.ndjson}\n"
                             "dead_letter: {type: file, path: dead.ndjson}\n")
        letter, = folder.read("dead.ndjson")
        assert letter["data"] == '"uuid","da;ta","data"\nb,x,"second\n', letter
        letter["data"] = letter["data"].rstrip() + '"'
        folder.write("mended.ndjson", json.dumps(letter) + "\n")
        replay(folder, "p.yaml", "mended.ndjson")
        assert [(one["uuid"], one["data"], one["da;ta"]) for one in folder.read("out.ndjson")] == [("a", "first", "x"), ("b", "second", "x")]


def large_records_and_bytes_that_are_no_text_are_kept_whole():
    with Folder() as folder:
        big = '"' * (7 << 20)  # twice as long in JSON, and four times in a dead letter
        bad = b'{"uuid":"latin","data":"caf\xe9","lang":"fr"}'
        over = b"x" * ((16 << 20) + 5)
        folder.write("in.ndjson", json.dumps({"uuid": "big", "data": big, "lang": 7}).encode() + b"\n" + bad + b"\n" + over + b"\n")
        folder.run("p.yaml", "ingestors: [{type: file, path: in.ndjson}]\nwriter: {type: file, path: out.ndjson}\n"
                             "dead_letter: {type: file, path: dead.ndjson}\n")
        letters = folder.read("dead.ndjson")
        assert json.loads(letters[0]["data"])["data"] == big
        assert base64.b64decode(letters[1]["data_base64"]) == bad and "\ufffd" in letters[1]["data"], letters[1]
        assert len(letters[2]["data"]) == 16 << 20 and "larger than 16777216 bytes" in letters[2]["dead_letter"]["reason"]
        # Unchanged they are as bad as they were, and are kept as they were.
        folder.write("d.ndjson", "".join(json.dumps(one) + "\n" for one in letters[:2]))
        done = replay(folder, "p.yaml", "d.ndjson")
        assert b"2 record(s) sent again, 2 rejected again" in done.err, done
        again = folder.read("dead.ndjson")[3:]
        assert [one["data"] for one in again] == [one["data"] for one in letters[:2]]
        assert again[1]["data_base64"] == letters[1]["data_base64"] and again[0]["dead_letter"]["ingestor"] == "0_file"
        assert [one["uuid"] for one in again] == [one["uuid"] for one in letters[:2]]
        letters[0]["data"] = letters[0]["data"].replace('"lang": 7', '"lang": "x"')
        letters[1]["data"] = bad.decode("latin-1")
        folder.write("d.ndjson", "".join(json.dumps(one) + "\n" for one in letters[:2]))
        done = replay(folder, "p.yaml", "d.ndjson")
        assert b"2 record(s) sent again, 0 rejected again" in done.err, done
        out = folder.read("out.ndjson")
        assert out[0]["data"] == big and out[1]["data"] == "caf\u00e9" and "data_base64" not in out[1], out[1]


if __name__ == "__main__":
    main([only_the_branch_that_refused_gets_it_again, a_best_effort_branch_gets_its_own_dead_letters, a_best_effort_branch_that_is_away_is_waited_for, items_of_an_api_are_mapped_again,
          what_is_no_dead_letter_and_who_cannot_read_one,
          csv_lines_with_wrong_quotes, large_records_and_bytes_that_are_no_text_are_kept_whole])
