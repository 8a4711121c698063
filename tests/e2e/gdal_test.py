#!/usr/bin/env python3
"""Shapefiles and GeoJSON made by GDAL's ogr2ogr, read by the real program and compared with what GDAL reads itself."""
import glob
import json
import math
import os
import random
import re
import subprocess
import zipfile

from harness import Workspace, main

DATE = re.compile(r"\d{4}-\d\d-\d\d")
KINDS = {"Point": "Point", "MultiPoint": "MultiPoint", "LineString": "MultiLineString", "MultiLineString": "MultiLineString",
         "Polygon": "MultiPolygon", "MultiPolygon": "MultiPolygon"}


def feature(geometry, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def shape(kind, coordinates):
    return {"type": kind, "coordinates": coordinates}


def ogr2ogr(*args):
    done = subprocess.run(["ogr2ogr", *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(w, stem, features, *options, crs="EPSG:4326"):
    """A shapefile of these features; its path."""
    source = w.write(stem + ".geojson", json.dumps({"type": "FeatureCollection", "features": features}))
    target = os.path.join(w.folder, stem + ".shp")
    ogr2ogr("-f", "ESRI Shapefile", "-a_srs", crs, *options, target, source)
    return target


def pack(w, archive, *stems, folder=""):
    path = os.path.join(w.folder, archive)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for stem in stems:
            for part in sorted(glob.glob(os.path.join(w.folder, stem + ".*"))):
                if not part.endswith((".geojson", ".zip")):
                    out.write(part, folder + os.path.basename(part))
    return path


def by_gdal(path):
    """Features as GDAL reads them, geometries as ours are: always the multiple kind."""
    features = [json.loads(line) for line in ogr2ogr("-f", "GeoJSONSeq", "-lco", "COORDINATE_PRECISION=15", "/vsistdout/", path).splitlines() if line.strip("\x1e \n")]
    for f in features:
        g = f["geometry"]
        if g and KINDS[g["type"]] != g["type"]:
            f["geometry"] = shape(KINDS[g["type"]], [g["coordinates"]])
    return features


def rings(geometry):
    """Of a polygon, without regard to where a ring starts, which way it runs, and to the order of rings and parts."""
    def ring(points):
        points = [tuple(p) for p in points[:-1]]
        turns = []
        for run in (points, points[::-1]):
            at = run.index(min(run))
            turns.append(tuple(run[at:] + run[:at]))
        return min(turns)

    return sorted((ring(part[0]), tuple(sorted(ring(hole) for hole in part[1:]))) for part in geometry["coordinates"])


def same_geometry(ours, theirs):
    if theirs is None or ours is None:
        return ours == theirs
    if ours["type"] != theirs["type"]:
        return False
    if ours["type"] == "MultiPolygon":
        return rings(ours) == rings(theirs)
    return ours["coordinates"] == theirs["coordinates"]


def add(w, name, read):
    """A dataset without a schema of its own."""
    w.run("add", w.write(name + ".yaml", json.dumps({"kind": "DatasetSnapshot", "version": 1, "content": {
        "name": name, "kind": "Root", "metadata": [
            {"kind": "AddPushSource", "sourceName": "default", "read": read, "merge": {"kind": "Append"}}]}})))


def ingested(w, name, path, sub_path=None, code=0):
    add(w, name, {"kind": "EsriShapefile", **({"subPath": sub_path} if sub_path else {})})
    done = w.run("ingest", name, path, code=code)
    return w.rows(name) if code == 0 else done


def compare(w, name, path, zipped=None):
    rows = ingested(w, name, zipped or path)
    theirs = by_gdal(path)
    assert len(rows) == len(theirs), (len(rows), len(theirs))
    for row, f in zip(rows, theirs):
        ours = json.loads(row["geometry"]) if row["geometry"] else None
        assert same_geometry(ours, f["geometry"]), (ours, f["geometry"])
        for key, value in f["properties"].items():
            if isinstance(value, float) or isinstance(value, int) and not isinstance(value, bool):
                assert math.isclose(row[key], value), (key, row[key], value)
            elif not DATE.fullmatch(value or ""):  # they have a form of their own
                assert row[key] == value, (key, row[key], value)
    return rows


def geometries():
    square = [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]
    hole = [[2, 2], [3, 2], [3, 3], [2, 3], [2, 2]]
    far = [[20, 0], [20, 5], [25, 5], [25, 0], [20, 0]]
    cases = {
        "points": [shape("Point", [1.5, -2.25]), shape("Point", [1e-7, 179.123456789])],
        "multipoints": [shape("MultiPoint", [[1, 2], [3, 4]]), shape("MultiPoint", [[5, 6]])],
        "lines": [shape("LineString", [[0, 0], [1.5, 1]]), shape("MultiLineString", [[[0, 0], [1, 1]], [[2, 2], [3, 3], [4, 2]]])],
        "polygons": [shape("Polygon", [square, hole]), shape("MultiPolygon", [[square, hole], [far]])],
        "points_z": [shape("Point", [1, 2, 3.5])],
        "lines_z": [shape("LineString", [[0, 0, 1], [1, 1, 2]])],
        "polygons_z": [shape("Polygon", [[[x, y, x + y] for x, y in square]])],
    }
    for name, shapes in cases.items():
        def check(name=name, shapes=shapes):
            with Workspace() as w:
                path = make(w, name, [feature(g, n=i) for i, g in enumerate(shapes)])
                compare(w, "d", path)
                compare(w, "z", path, pack(w, name + ".zip", name))
                w.check_sound("d", "z")

        yield name, check


def random_polygons():
    """Many parts with holes, in any order."""
    random.seed(7)
    with Workspace() as w:
        features = []
        for n in range(300):
            parts = []
            for p in range(random.randint(1, 6)):
                x, y, size = 100 * p + random.randint(0, 20), random.randint(0, 1000), random.randint(20, 60)
                part = [[[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]]
                for h in range(random.randint(0, 3)):
                    hx, hy = x + 2 + 5 * h, y + random.randint(2, 10)
                    part.append([[hx, hy], [hx, hy + 3.5], [hx + 3.25, hy + 3.5], [hx + 3.25, hy], [hx, hy]])
                parts.append(part)
            random.shuffle(parts)
            features.append(feature(shape("MultiPolygon", parts), n=n))
        compare(w, "d", make(w, "many", features))


def null_shapes():
    with Workspace() as w:
        rows = compare(w, "d", make(w, "nulls", [feature(shape("Point", [1, 2]), n=1), feature(None, n=2)]))
        assert rows[1]["geometry"] is None


def field_types():
    with Workspace() as w:
        path = make(w, "types", [
            feature(shape("Point", [1, 2]), i=7, big=12345678901, r=-2.5, t="  text ", d="2020-01-05", empty=None),
            feature(shape("Point", [1, 2]), i=None, big=None, r=None, t=None, d=None, empty=None),
        ])
        rows = compare(w, "d", path)
        assert rows[0]["d"] == "2020-1-5", rows[0]
        assert rows[0]["i"] == 7.0 and rows[0]["big"] == 12345678901.0, rows[0]
        assert all(rows[1][key] is None for key in ("i", "big", "r", "t", "d", "empty")), rows[1]


def character_sets():
    for encoding, text in (("UTF-8", "Zürich 東京"), ("ISO-8859-1", "Zürich"), ("CP1252", "Zürich – “x”"), ("CP866", "Москва"),
                           ("CP1251", "Москва"), ("CP932", "東京")):
        def check(encoding=encoding, text=text):
            with Workspace() as w:
                path = make(w, "texts", [feature(shape("Point", [1, 2]), name=text)], "-lco", f"ENCODING={encoding}")
                assert compare(w, "d", path)[0]["name"] == text
                # The mark inside the table says the same where there is one.
                os.unlink(path.replace(".shp", ".cpg"))
                with open(path.replace(".shp", ".dbf"), "rb") as file:
                    marked = file.read(30)[29] != 0
                if marked or encoding == "UTF-8":
                    assert ingested(w, "m", path)[0]["name"] == text

        yield encoding, check


def archives():
    with Workspace() as w:
        for stem in ("one", "two"):
            make(w, stem, [feature(shape("Point", [1, 2]), name=stem)])
        both = pack(w, "both.zip", "one", "two", folder="in/")
        err = ingested(w, "d", both, code=1).err.decode()
        assert "in/one.shp" in err and "in/two.shp" in err and "subPath" in err, err
        assert ingested(w, "e", both, sub_path="in/two.*")[0]["name"] == "two"
        assert ingested(w, "f", both, sub_path="in/one.shp")[0]["name"] == "one"
        err = ingested(w, "g", both, sub_path="three.*", code=1).err.decode()
        assert "none" in err and "in/one.shp" in err, err
        # From standard input, in another format than the source's own.
        add(w, "h", {"kind": "NdJson"})
        with open(pack(w, "one.zip", "one"), "rb") as file:
            w.run("ingest", "h", "--stdin", "--input-format", "shapefile", data=file.read())
        assert w.rows("h")[0]["name"] == "one"
        with zipfile.ZipFile(os.path.join(w.folder, "none.zip"), "w") as out:
            out.writestr("a.txt", "x")
        assert "no .shp" in ingested(w, "i", os.path.join(w.folder, "none.zip"), code=1).err.decode()


def projections():
    """Coordinates stay as they are in the file; whoever ingests is told which projection that is."""
    with Workspace() as w:
        make(w, "utm", [feature(shape("Point", [491000.5, 5458000.25]), name="a")], crs="EPSG:3157")
        make(w, "deg", [feature(shape("Point", [1, 2]), name="a")])
        utm, deg = pack(w, "utm.zip", "utm"), pack(w, "deg.zip", "deg")
        add(w, "d", {"kind": "EsriShapefile"})
        err = w.run("ingest", "d", utm).err.decode()
        assert "projection 'NAD" in err and "ST_Transform" in err, err
        assert json.loads(w.rows("d")[0]["geometry"])["coordinates"] == [491000.5, 5458000.25]
        add(w, "e", {"kind": "EsriShapefile"})
        assert "projection" not in w.run("ingest", "e", deg).err.decode()
        polled = w.write("p.yaml", "kind: DatasetSnapshot\nversion: 1\ncontent:\n  name: p\n  kind: Root\n  metadata:\n"
                         f"    - {{kind: SetPollingSource, fetch: {{kind: Url, url: 'file://{utm}'}}, read: {{kind: EsriShapefile}}, "
                         "merge: {kind: Append}}\n")
        assert "projection 'NAD" in w.run("preview", polled).err.decode()
        w.run("add", polled)
        assert "projection 'NAD" in w.run("pull", "p").err.decode()


def damaged_parts():
    """Cut anywhere, a part is named and nothing is committed."""
    random.seed(3)
    with Workspace() as w:
        path = make(w, "cut", [feature(shape("Polygon", [[[0, 0], [0, i + 1], [1, 1], [0, 0]]]), n=i, t="x" * i) for i in range(20)])
        add(w, "d", {"kind": "EsriShapefile"})
        head = w.head("d")
        for extension in (".shp", ".dbf", ".shx"):
            part = path.replace(".shp", extension)
            with open(part, "rb") as file:
                whole = file.read()
            for size in [0, 1, 31, 99, 100, len(whole) - 2] + [random.randrange(len(whole) - 2) for _ in range(6)]:
                with open(part, "wb") as file:
                    file.write(whole[:size])
                done = w.run("ingest", "d", path, code=None)
                assert done.code != 0 or (extension == ".shp" and size == 0), (extension, size, done)
                assert w.head("d") == head, (extension, size)
                if done.code != 0:
                    assert ("cut" + extension).encode() in done.err, (extension, size, done.err)
            with open(part, "wb") as file:
                file.write(whole)
        w.run("ingest", "d", path)
        assert len(w.rows("d")) == 20


def geojson():
    """What GDAL writes as GeoJSON, in both forms."""
    with Workspace() as w:
        path = make(w, "areas", [feature(shape("Polygon", [[[0, 0], [0, 1.5], [1, 1], [0, 0]]]), name=f"ä{i}", n=i, r=i / 4)
                                 for i in range(50)])
        collection, lines = os.path.join(w.folder, "out.geojson"), os.path.join(w.folder, "out.ndgeojson")
        ogr2ogr("-f", "GeoJSON", collection, path)
        ogr2ogr("-f", "GeoJSONSeq", lines, path)
        add(w, "a", {"kind": "GeoJson"})
        add(w, "b", {"kind": "NdGeoJson"})
        w.run("ingest", "a", collection)
        w.run("ingest", "b", lines)
        with open(collection, encoding="utf-8") as file:
            of_collection = json.load(file)["features"]
        with open(lines, encoding="utf-8") as file:
            of_lines = [json.loads(line) for line in file]
        for name, theirs in (("a", of_collection), ("b", of_lines)):
            rows = w.rows(name)
            assert len(rows) == len(theirs)
            for row, f in zip(rows, theirs):
                assert json.loads(row["geometry"]) == f["geometry"]
                assert all(row[key] == value for key, value in f["properties"].items()), (row, f)
        # And back: a file made of our rows is one that GDAL reads.
        made = w.write("back.geojson", json.dumps({"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"n": row["n"]}, "geometry": json.loads(row["geometry"])} for row in w.rows("a")]}))
        listed = subprocess.run(["ogrinfo", "-so", "-al", made], capture_output=True, text=True, check=True).stdout
        assert "Feature Count: 50" in listed and "Geometry: Polygon" in listed, listed


if __name__ == "__main__":
    main([geometries, random_polygons, null_shapes, field_types, character_sets, archives, projections, damaged_parts, geojson])
