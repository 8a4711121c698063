#!/usr/bin/env python3
"""Pipelines into a real PostgreSQL (Debian's): every record once, whatever is killed."""
import json
import os
import signal
import time

from harness import EXIT_FAILURE, Workspace, main, wait
from servers import Postgres

CONFIG = """name: feedback
ingestors:
  - {{type: file, path: in.ndjson, follow: false}}
writer:
  type: postgres
  uri: {uri}
  table: feedback
  create_table: true
  on_duplicate: {on_duplicate}
batch: {{max_records: {batch}}}
retry: {{attempts: 100, initial: 50ms, max: 500ms}}
dead_letter: {{type: file, path: dead.ndjson}}
"""


def records(first, count, **fields):
    return "".join(json.dumps({"uuid": f"u{i}", "tenant_id": "t", "source_type": "forum", "source_id": "s", "data_id": str(i),
                               "data": f"post {i}", "metadata": {"n": i}, "created_at": "2024-05-01T10:00:00Z", **fields}) + "\n"
                   for i in range(first, first + count))


def config(ws, postgres, batch=1000, on_duplicate="skip", password="secret"):
    return ws.write("p.yaml", CONFIG.format(uri=postgres.uri(password), batch=batch, on_duplicate=on_duplicate))


def dead_letters(ws):
    path = os.path.join(ws.folder, "dead.ndjson")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def stores_a_file_and_repeats_nothing():
    with Postgres() as postgres, Workspace(init=False) as ws:
        ws.write("in.ndjson", records(0, 5000) + records(2000, 500) + records(0, 10, uuid="") + '{"uuid": "nul", "data": "a\\u0000b"}\n')
        ws.run("run", config(ws, postgres))
        assert postgres.sql("SELECT count(*), count(DISTINCT data_id), sum((metadata->>'n')::int) FROM feedback") == \
            f"5000|5000|{sum(range(5000))}"
        dead = dead_letters(ws)
        assert len(dead) == 1 and "NUL" in json.dumps(dead[0]), dead


def updates_what_comes_again():
    with Postgres() as postgres, Workspace(init=False) as ws:
        ws.write("in.ndjson", records(0, 2000))
        ws.run("run", config(ws, postgres, on_duplicate="update"))
        ws.write("in.ndjson", records(0, 2000) + records(1000, 2000, data="new", created_at="2030-01-01T00:00:00Z"))
        ws.run("run", config(ws, postgres, on_duplicate="update"))
        assert postgres.sql("SELECT count(*), count(*) FILTER (WHERE data = 'new'), count(*) FILTER (WHERE data = 'new' AND "
                            "created_at < '2025-01-01') FROM feedback") == "3000|2000|1000"


def of_two_batches_the_later_updates():
    with Postgres() as postgres, Workspace(init=False) as ws:
        for turn in range(3):
            ws.write("in.ndjson", records(0, 10_000, data=f"old {turn}") + records(9_000, 10, data=f"new {turn}"))
            ws.run("run", config(ws, postgres, batch=10_000, on_duplicate="update"))
            assert postgres.sql(f"SELECT count(*) FROM feedback WHERE data = 'new {turn}'") == "10", "an earlier batch came later"


def a_dead_letter_that_is_refused_stays_in_a_file():
    with Postgres() as postgres, Workspace(init=False) as ws:
        ws.write("in.ndjson", '{"uuid": "nul", "data": "a\\u0000b"}\n' + records(0, 3) + "no record\n")
        writer = f"{{type: postgres, uri: '{postgres.uri()}', create_table: true, table: "
        ws.write("p.yaml", f"name: p\nstate: var\ningestors: [{{type: file, path: in.ndjson, follow: false}}]\nwriter: {writer}good}}\n"
                 f"dead_letter: {writer}dead}}\n")
        done = ws.run("run", "p.yaml", timeout=30)
        assert b"refused by the writer of dead_letter" in done.err, done.err
        assert postgres.sql("SELECT count(*), (SELECT string_agg(data, '') FROM dead) FROM good") == "3|no record"
        with open(os.path.join(ws.folder, "var", "dead-letters.ndjson"), encoding="utf-8") as file:
            assert [json.loads(line)["uuid"] for line in file] == ["nul"]


def wrong_credentials_end_it_at_once():
    with Postgres() as postgres, Workspace(init=False) as ws:
        ws.write("in.ndjson", records(0, 10))
        done = ws.run("run", config(ws, postgres, password="hush-hush"), code=EXIT_FAILURE, timeout=20)
        said = done.err.decode()
        assert "password authentication failed" in said and "127.0.0.1" in said and "hush" not in said, said
        assert "p.yaml:6: option 'uri'" in said, said
        assert done.seconds < 10


def survives_kills_of_the_program_and_the_server():
    with Postgres() as postgres, Workspace(init=False) as ws:
        total = 100_000
        ws.write("in.ndjson", records(0, total))
        path = config(ws, postgres, batch=500)
        deadline = time.monotonic() + 90

        def run_until(stored):
            """A program that runs, and has at least so many records in the table."""
            process = ws.start("run", path)
            while int(postgres.sql("SELECT count(*) FROM feedback") if table_exists() else 0) < stored:
                assert process.poll() is None and time.monotonic() < deadline, f"ended before {stored} records"
                time.sleep(0.005)
            return process

        def table_exists():
            return postgres.sql("SELECT to_regclass('feedback') IS NOT NULL") == "t"

        for stored in (1, 8_000, 16_000):
            process = run_until(stored)
            process.send_signal(signal.SIGKILL)
            wait(process)
        process = run_until(24_000)
        for _ in range(2):
            postgres.crash()
            time.sleep(0.3)
            postgres.start()
            time.sleep(0.3)
        done = wait(process, timeout=60)
        assert done.code == 0, done
        assert postgres.sql("SELECT count(*), count(DISTINCT data_id), min(data_id::int), max(data_id::int) FROM feedback") == \
            f"{total}|{total}|0|{total - 1}"


def two_programs_with_the_same_records():
    with Postgres() as postgres, Workspace(init=False) as ws, Workspace(init=False) as other:
        for w in (ws, other):
            w.write("in.ndjson", records(0, 20_000))
        processes = [w.start("run", config(w, postgres)) for w in (ws, other)]
        for process in processes:
            done = wait(process)
            assert done.code == 0, done
        assert postgres.sql("SELECT count(*), count(DISTINCT data_id) FROM feedback") == "20000|20000"


def two_programs_that_update_the_same_records():
    """On a table that is new to both, so that the server knows nothing of its size."""
    with Postgres() as postgres, Workspace(init=False) as one, Workspace(init=False) as other:
        count = 12_000
        running = []
        for ws, text in ((one, "mine"), (other, "theirs")):
            ws.write("in.ndjson", records(0, count, data=text))
            running.append(ws.start("run", config(ws, postgres, batch=5000, on_duplicate="update")))
        for process in running:
            done = wait(process, 60)
            assert done.code == 0 and b"timeout" not in done.err, done
        assert postgres.sql("SELECT count(*), count(*) FILTER (WHERE data IN ('mine', 'theirs')) FROM feedback") == f"{count}|{count}"
        assert not dead_letters(one) and not dead_letters(other)


def the_first_of_a_batch_counts():
    with Postgres() as postgres, Workspace(init=False) as ws:
        ws.write("in.ndjson", records(1, 1, uuid="z9", data="first") + records(1, 1, uuid="a1", data="second") + records(2, 1, uuid="z9", data_id=""))
        ws.run("run", config(ws, postgres))
        assert postgres.sql("SELECT uuid, data FROM feedback") == "z9|first"


if __name__ == "__main__":
    main([stores_a_file_and_repeats_nothing, updates_what_comes_again, of_two_batches_the_later_updates, a_dead_letter_that_is_refused_stays_in_a_file, wrong_credentials_end_it_at_once, survives_kills_of_the_program_and_the_server, two_programs_with_the_same_records,
          two_programs_that_update_the_same_records, the_first_of_a_batch_counts])
