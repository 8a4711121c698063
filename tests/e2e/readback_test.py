#!/usr/bin/env python3
"""pyarrow reads what we wrote, all types of it; sizes and hashes are those that the blocks record."""
import hashlib
import json
import os
import re
import subprocess

from harness import LEDGER, PRIVATE_PYTHON, UPSERT, Workspace, main, record, records

FIELDS = [("event_time", "Timestamp"), ("k", "Int64"), ("b", "Bool"), ("i8", "Int8"), ("i16", "Int16"), ("i32", "Int32"),
          ("u8", "UInt8"), ("u16", "UInt16"), ("u32", "UInt32"), ("u64", "UInt64"), ("f32", "Float32"), ("f64", "Float64"),
          ("d", "Date"), ("s", "String"), ("dec", "{kind: Decimal, precision: 12, scale: 3}"),
          ("o", "{kind: Option, inner: String}"), ("l", "{kind: List, itemType: Int64}"),
          ("st", "{kind: Struct, fields: [{name: x, type: Int64}, {name: y, type: String}]}")]

VALUES = [
    {"b": True, "i8": -128, "i16": -32768, "i32": -2**31, "u8": 0, "u16": 0, "u32": 0, "u64": 0, "f32": 0.5, "f64": -0.1,
     "d": "1969-12-31", "s": "", "dec": "-123456789.125", "o": None, "l": [], "st": {"x": 1, "y": "\u017elu\u0165"}},
    {"b": False, "i8": 127, "i16": 32767, "i32": 2**31 - 1, "u8": 255, "u16": 65535, "u32": 2**32 - 1, "u64": 2**64 - 1,
     "f32": -1.5, "f64": 1e300, "d": "2024-02-29", "s": "\U0001f600 \"quoted\"\n", "dec": "0.001", "o": "there", "l": [1, -2, 3],
     "st": {"x": -7, "y": ""}},
]

READER = """
import decimal, json, sys
import pyarrow.parquet as pq
def plain(value):
    return value if isinstance(value, (bool, int, float, str, list, dict, type(None))) else str(value)
table = pq.read_table(sys.argv[1])
print(json.dumps({"types": {f.name: str(f.type) for f in table.schema}, "nullable": {f.name: f.nullable for f in table.schema},
                  "rows": [{k: plain(v) for k, v in row.items()} for row in table.to_pylist()],
                  "groups": pq.ParquetFile(sys.argv[1]).metadata.num_row_groups}))
"""


def with_pyarrow(path):
    done = subprocess.run([PRIVATE_PYTHON, "-c", READER, path], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def slices(ws, dataset):
    return [os.path.join(ws.path(dataset), "data", name) for name in os.listdir(os.path.join(ws.path(dataset), "data"))]


def every_type_is_read_back():
    with Workspace() as ws:
        ws.add("d", LEDGER, fields=FIELDS)
        rows = [{"event_time": f"2024-01-01T00:00:0{k}.123Z", "k": k, **v} for k, v in enumerate(VALUES)]
        ws.run("ingest", "d", "--stdin", data="".join(json.dumps(r) + "\n" for r in rows).encode())
        (path,) = slices(ws, "d")
        back = with_pyarrow(path)
        types = back["types"]
        assert list(types) == ["offset", "op", "system_time", *[n for n, _ in FIELDS]], types
        expected = {"offset": "int64", "op": "int32", "system_time": "timestamp[ms, tz=UTC]", "event_time": "timestamp[ms, tz=UTC]",
                    "b": "bool", "i8": "int8", "u64": "uint64", "f32": "float", "f64": "double", "d": "date32[day]", "s": "string",
                    "dec": "decimal128(12, 3)", "st": "struct<x: int64, y: string>"}
        for name, kind in expected.items():
            assert types[name].replace(" not null", "").replace("string_view", "string") == kind, f"{name}: {types[name]}"
        for got, given in zip(back["rows"], rows):
            for name, value in given.items():
                if name == "event_time":
                    assert got[name].startswith(value[:10] + " " + value[11:23]), got[name]
                else:
                    assert got[name] == value, f"{name}: {got[name]!r}, given {value!r}"
        assert [r["offset"] for r in back["rows"]] == [0, 1] and [r["op"] for r in back["rows"]] == [0, 0]
        ws.check_sound("d")


def sizes_and_hashes_are_recorded():
    with Workspace() as ws:
        ws.add("d", UPSERT)
        for n in range(4):
            ws.run("ingest", "d", "--stdin", data="".join(record(k, f"{n}/{k}") for k in range(n, n + 5)).encode())
        log = ws.run("log", "d", "--limit", 1000).out.decode()
        recorded = dict(zip(re.findall(r"PhysicalHash: (f1620[0-9a-f]{64})", log), map(int, re.findall(r"^\s*Size: (\d+)", log, re.M))))
        assert len(recorded) == 4
        for path in slices(ws, "d"):
            with open(path, "rb") as file:
                content = file.read()
            name = os.path.basename(path)
            assert name == "f1620" + hashlib.sha3_256(content).hexdigest()
            assert recorded.pop(name) == len(content)
        assert not recorded
        blocks = os.path.join(ws.path("d"), "blocks")
        for name in os.listdir(blocks):
            with open(os.path.join(blocks, name), "rb") as file:
                assert name == "f1620" + hashlib.sha3_256(file.read()).hexdigest()
        with open(os.path.join(ws.path("d"), "refs", "head"), encoding="ascii") as file:
            assert file.read() == ws.head("d")


def many_rows_are_all_there():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        ws.run("ingest", "d", "--stdin", data=records(range(150_000)), timeout=60)
        (path,) = slices(ws, "d")
        back = with_pyarrow(path)
        assert [r["k"] for r in back["rows"]] == list(range(150_000))
        assert [r["offset"] for r in back["rows"]] == list(range(150_000))


def exported_parquet_is_the_same():
    with Workspace() as ws:
        ws.add("d", LEDGER)
        ws.run("ingest", "d", "--stdin", data=records(range(1000)))
        path = os.path.join(ws.folder, "out.parquet")
        ws.run("sql", "-c", 'select * from "d" order by "offset"', "--output-path", path)
        assert [r["k"] for r in with_pyarrow(path)["rows"]] == list(range(1000))


if __name__ == "__main__":
    main([every_type_is_read_back, sizes_and_hashes_are_recorded, many_rows_are_all_there, exported_parquet_is_the_same])
