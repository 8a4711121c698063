#!/usr/bin/env python3
"""The Redshift writer where there is no Redshift: its SQL against PostgreSQL, its staged files against moto's S3.

COPY from S3 is a statement that PostgreSQL does not know. A proxy between the two replaces it by an INSERT of what the staged object
holds, so that everything but the service's own COPY is run as it is. SUPER is jsonb there, varchar(65535) is text.
"""
import csv
import io
import json
import os
import random
import re
import socket
import struct
import threading
import urllib.request

from harness import EXIT_CHANGED, EXIT_FAILURE, Workspace, main, wait
from pipeline_postgres_test import dead_letters, records
from servers import Moto, Postgres

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_REGION": "us-east-1"}
CONFIG = """name: feedback
ingestors:
  - {{type: file, path: in.ndjson, follow: false}}
writer:
  type: redshift
  uri: {uri}
  table: feedback
  create_table: true
  on_duplicate: {on_duplicate}
{more}batch: {{max_records: 1000}}
retry: {{attempts: 20, initial: 50ms, max: 200ms}}
dead_letter: {{type: file, path: dead.ndjson}}
"""
COPY = re.compile(r"COPY (\w+) \((.*)\) FROM 's3://([^/]+)/(.+)' IAM_ROLE '(.+)' REGION 'us-east-1' FORMAT AS CSV TIMEFORMAT 'auto'$")


def config(ws, uri, on_duplicate="skip", more=""):
    return ws.write("p.yaml", CONFIG.format(uri=uri, on_duplicate=on_duplicate, more=more))


def staging(moto, bucket="stage"):
    return f"  staging: s3://{bucket}/some/prefix\n  iam_role: arn:aws:iam::1:role/copy\n  s3_endpoint: {moto.url}\n"


def s3(moto, method, path):
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"}
    with urllib.request.urlopen(urllib.request.Request(moto.url + path, method=method, headers=headers), timeout=20) as answer:
        return answer.read().decode()


class CopyProxy:
    """Passes PostgreSQL's protocol on and replaces COPY from S3."""

    def __init__(self, postgres, moto):
        self.postgres, self.moto, self.copied = postgres, moto, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def uri(self):
        return f"postgres://tester:secret@127.0.0.1:{self.port}/postgres?sslmode=disable&gssencmode=disable"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.postgres.port))
            threading.Thread(target=self._pass, args=(server, client), daemon=True).start()
            threading.Thread(target=self._rewrite, args=(client, server), daemon=True).start()

    @staticmethod
    def _pass(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        target.close()

    def _rewrite(self, client, server):
        stream = client.makefile("rb")
        try:
            size = stream.read(4)  # the first message has no type
            server.sendall(size + stream.read(struct.unpack("!I", size)[0] - 4))
            while kind := stream.read(1):
                body = stream.read(struct.unpack("!I", stream.read(4))[0] - 4)
                if kind == b"Q" and (match := COPY.match(body[:-1].decode())):
                    body = self._insert(*match.groups()).encode() + b"\0"
                server.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        except OSError:
            pass
        server.close()

    def _insert(self, table, columns, bucket, key, _role):
        self.copied += 1
        text = s3(self.moto, "GET", f"/{bucket}/{key}")
        names = [name.strip().strip('"') for name in columns.split(",")]
        rows = []
        for row in csv.reader(io.StringIO(text, newline="")):
            values = ["NULL" if not value and name.endswith("_at") else "'" + value.replace("'", "''") + "'" for name, value in zip(names, row)]
            rows.append("(" + ", ".join(values) + ")")
        return f"INSERT INTO {table} ({columns}) VALUES " + ", ".join(rows)


def check_skip(ws, postgres, path):
    ws.write("in.ndjson", records(0, 1500) + records(700, 1500, uuid="") + records(0, 2, data="x\ny \"q\" \\ 'z'", data_id="")
             + '{"uuid": "nul", "data": "a\\u0000b"}\n' + json.dumps({"uuid": "long", "data": "x" * 70_000}) + "\n")
    ws.run("run", path, env={**os.environ, **KEYS})
    got = postgres.sql("SELECT count(*), count(DISTINCT data_id), count(DISTINCT uuid), sum((metadata->>'n')::int) FROM feedback")
    assert got == f"2200|2200|2200|{sum(range(2200))}", got
    assert len(dead_letters(ws)) == 2, dead_letters(ws)


def check_update(ws, postgres, path):
    ws.write("in.ndjson", records(0, 1500) + records(500, 1500, data="it's \\ \"new\"\nline", created_at="2030-01-01T00:00:00Z", uuid="")
             + json.dumps({"uuid": "u1", "tenant_id": "t", "source_type": "forum", "source_id": "s", "data_id": "2", "data": "clash"}) + "\n")
    ws.run("run", path, env={**os.environ, **KEYS})
    got = postgres.sql("SELECT count(*), count(*) FILTER (WHERE data = E'it''s \\\\ \"new\"\\nline'), count(*) FILTER (WHERE data LIKE 'it%' AND "
                       "created_at < '2025-01-01') FROM feedback")
    assert got == "2000|1500|1000", got
    dead = dead_letters(ws)
    assert len(dead) == 1 and "another" in json.dumps(dead[0]), dead
    # Two that are one stored record, by its uuid and by its key; the former takes its key away.
    key = {"tenant_id": "t", "source_type": "forum", "source_id": "s"}
    for number, order, left in ((5, 1, "other5|by key\nu5|by uuid"), (6, -1, "u6|by uuid")):
        two = [{"uuid": f"u{number}", "data": "by uuid"}, {"uuid": f"other{number}", **key, "data_id": str(number), "data": "by key"}][::order]
        ws.write("in.ndjson", "".join(json.dumps(one) + "\n" for one in two))
        ws.run("run", path, env={**os.environ, **KEYS})
        got = postgres.sql(f"SELECT uuid, data FROM feedback WHERE uuid IN ('u{number}', 'other{number}') ORDER BY uuid")
        assert got == left, (got, two)
    two = [{"uuid": f"new{n}", **key, "data_id": "new", "data": f"{n}", "created_at": f"203{n}-01-01T00:00:00Z"} for n in range(2)]
    ws.write("in.ndjson", "".join(json.dumps(one) + "\n" for one in two))
    ws.run("run", path, env={**os.environ, **KEYS})
    got = postgres.sql("SELECT uuid, data, extract(year from created_at) FROM feedback WHERE data_id = 'new'")
    assert got == "new0|1|2030", got


def by_insert():
    for on_duplicate, check in (("skip", check_skip), ("update", check_update)):
        def test(on_duplicate=on_duplicate, check=check):
            with Postgres() as postgres, Workspace(init=False) as ws:
                check(ws, postgres, config(ws, postgres.uri(), on_duplicate))
        yield on_duplicate, test


def by_staged_files():
    for on_duplicate, check in (("skip", check_skip), ("update", check_update)):
        def test(on_duplicate=on_duplicate, check=check):
            with Postgres() as postgres, Moto() as moto, CopyProxy(postgres, moto) as proxy, Workspace(init=False) as ws:
                s3(moto, "PUT", "/stage")
                check(ws, postgres, config(ws, proxy.uri(), on_duplicate, staging(moto)))
                assert proxy.copied >= 3
                assert "<Key>" not in s3(moto, "GET", "/stage"), "staged files are left over"
        yield on_duplicate, test


def two_programs_store_each_record_once():
    with Postgres() as postgres, Workspace(init=False) as ws, Workspace(init=False) as other:
        for w in (ws, other):
            w.write("in.ndjson", records(0, 5000))
        for process in [w.start("run", config(w, postgres.uri())) for w in (ws, other)]:
            done = wait(process)
            assert done.code == 0, done
        assert postgres.sql("SELECT count(*), count(DISTINCT data_id) FROM feedback") == "5000|5000"


def one_by_one(sent, on_duplicate):
    """What is stored of records that come one by one, and the data of those that are rejected."""
    rows, rejected = [], []
    for record in sent:
        by_uuid = next((row for row in rows if row["uuid"] == record["uuid"]), None)
        by_key = next((row for row in rows if record["data_id"] and row["data_id"] == record["data_id"]), None)
        known = by_uuid or by_key
        if known is None:
            rows.append(dict(record))
        elif on_duplicate == "update" and by_uuid and by_key and by_uuid is not by_key:
            rejected.append(record["data"])
        elif on_duplicate == "update":
            known.update(data=record["data"], data_id=record["data_id"])
    return sorted(f"{row['uuid']}|{row['data_id']}|{row['data']}|{row['created_at']}" for row in rows), rejected


def batches_end_as_their_records_one_by_one():
    """Records that share uuids and keys, change their keys, and clash: Redshift's writer, and PostgreSQL's."""
    with Postgres() as postgres, Workspace(init=False) as ws:
        for seed in range(50):
            dice = random.Random(seed)
            on_duplicate = dice.choice(["skip", "update", "update"])
            size = dice.choice([3, 7, 50])
            sent = [{"uuid": f"u{dice.randrange(6)}", "data_id": dice.choice(["", "k1", "k2", "k3"]), "data": f"d{i}", "created_at": f"2024-01-01 00:00:{i:02}"}
                    for i in range(dice.choice([4, 8, 15]))]
            stored, rejected = one_by_one(sent, on_duplicate)
            text = "".join(json.dumps({**one, "created_at": one["created_at"].replace(" ", "T") + "Z"}) + "\n" for one in sent)
            for writer, more in (("redshift", ""), ("postgres", ", connections: 1")):
                table, dead = f"{writer}{seed}", f"{writer}{seed}.ndjson"
                ws.write("r.yaml", f"ingestors: [{{type: stdio}}]\nwriter: {{type: {writer}, uri: '{postgres.uri()}', table: {table}, create_table: true, "
                                   f"on_duplicate: {on_duplicate}{more}}}\nbatch: {{max_records: {size}}}\ndead_letter: {{type: file, path: {dead}}}\n")
                ws.run("run", "r.yaml", data=text.encode())
                got = postgres.sql(f"SELECT uuid, data_id, data, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM {table}")
                assert sorted(got.splitlines()) == stored, (seed, writer, on_duplicate, size, text, got, stored)
                path = os.path.join(ws.folder, dead)
                refused = [json.loads(line)["data"] for line in open(path, encoding="utf-8")] if os.path.exists(path) else []
                assert refused == rejected, (seed, writer, text, refused, rejected)


def complains_at_the_start():
    with Postgres() as postgres, Moto() as moto, Workspace(init=False) as ws:
        ws.write("in.ndjson", records(0, 10))
        environment = {**os.environ, **KEYS}
        done = ws.run("run", config(ws, postgres.uri("hush-hush")), code=EXIT_FAILURE, timeout=20)
        assert b"password authentication failed" in done.err and b"hush" not in done.err and b"p.yaml:6: option 'uri'" in done.err, done
        postgres.sql("CREATE TABLE feedback (uuid text, source_type text, source_id text, data text, data_id text, metadata jsonb, metadata_type text, "
                     "lang text GENERATED ALWAYS AS (data) STORED, tenant_id text, created_at timestamptz, updated_at timestamptz)")
        done = ws.run("run", config(ws, postgres.uri()), code=EXIT_CHANGED, timeout=20)
        assert b"p.yaml:7: option 'table'" in done.err and b"'lang', which the server makes itself" in done.err, done
        postgres.sql("DROP TABLE feedback")
        done = ws.run("run", config(ws, postgres.uri(), more=staging(moto, "none")), code=EXIT_FAILURE, timeout=20, env=environment)
        assert b"NoSuchBucket" in done.err and b"s3://none" in done.err, done
        done = ws.run("run", config(ws, postgres.uri(), more="  staging: s3://b\n"), code=EXIT_FAILURE, env=environment)
        assert b"iam_role" in done.err and b"p.yaml:" in done.err, done


if __name__ == "__main__":
    main([by_insert, by_staged_files, two_programs_store_each_record_once, batches_end_as_their_records_one_by_one, complains_at_the_start])
