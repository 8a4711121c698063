#!/usr/bin/env python3
"""Makes the packed inputs of inventory.test, shapefiles with GDAL's ogr2ogr, from invented places."""
import gzip
import json
import pathlib
import subprocess
import tempfile
import zipfile

FOLDER = pathlib.Path(__file__).parent


def square(x, y, size):
    return [[x, y], [x, y + size], [x + size, y + size], [x + size, y], [x, y]]


def feature(geometry, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def write(archive, stem, features, crs="EPSG:4326", prefix="", more=()):
    """One shapefile as `stem`.* in the archive, with the names of `more` beside it."""
    with tempfile.TemporaryDirectory() as temp:
        temp = pathlib.Path(temp)
        source = temp / "in.geojson"
        with zipfile.ZipFile(FOLDER / archive, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in [(stem, features), *more]:
                source.write_text(json.dumps({"type": "FeatureCollection", "features": content}))
                subprocess.run(
                    ["ogr2ogr", "-f", "ESRI Shapefile", "-a_srs", crs, "-lco", "ENCODING=UTF-8", temp / f"{name}.shp", source],
                    check=True,
                )
                for part in sorted(temp.glob(f"{name}.*")):
                    info = zipfile.ZipInfo(prefix + part.name, (2020, 1, 1, 0, 0, 0))
                    info.compress_type = zipfile.ZIP_DEFLATED
                    out.writestr(info, part.read_bytes())


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


hole = [[2.0, 2.0], [3.0, 2.0], [3.0, 3.0], [2.0, 3.0], [2.0, 2.0]]
write("provinces.zip", "lpr_000", [
    feature(polygon(square(0, 0, 10), hole), PRUID="10", PRNAME="Norda / Norde", PRENAME="Norda", PRAREA=1.5),
    feature(polygon(square(20, 0, 5)), PRUID="11", PRNAME="Süda", PRENAME="Suda", PRAREA=2.25),
])
write("countries.zip", "ne_countries", [
    feature(polygon(square(0, 0, 1)), ISO_A2="AA", NAME="Aland", ADM0_A3="AAL", POP_EST=1200.0, LASTCENSUS=2010),
    feature({"type": "MultiPolygon", "coordinates": [[square(5, 5, 1)], [square(8, 8, 1)]]},
            ISO_A2="BB", NAME="Beland", ADM0_A3="BBL", POP_EST=3400.0, LASTCENSUS=None),
])
write("states.zip", "ne_states", [
    feature(polygon(square(0, 0, 1)), iso_3166_2="AA-X", name="Ixa", adm0_a3="AAL", latitude=0.5, longitude=0.5),
    feature(polygon(square(1, 0, 1)), iso_3166_2="AA-Y", name="Ypsa", adm0_a3="AAL", latitude=0.5, longitude=1.5),
])
write("transit.zip", "rapid_transit_line", [
    feature({"type": "LineString", "coordinates": [[491000, 5459000], [491100, 5459100]]}, LINE="Red Line"),
    feature({"type": "LineString", "coordinates": [[492000, 5459000], [492000, 5459500]]}, LINE="Blue Line"),
], crs="EPSG:3157", more=[("rapid_transit_stations", [
    feature({"type": "Point", "coordinates": [491000, 5459000]}, STATION="First", LINE="Red Line"),
    feature({"type": "Point", "coordinates": [491100, 5459100]}, STATION="Second", LINE="Red Line"),
])])
write("zoning.zip", "zoning_districts", [
    feature(polygon(square(491000, 5459000, 100)), ZONE_NAME="R-1", CATEGORY="One"),
    feature(polygon(square(491100, 5459000, 100)), ZONE_NAME="C-2", CATEGORY="Two"),
], crs="EPSG:3157")
write("events.zip", "ASAM_events", [
    feature({"type": "Point", "coordinates": [104.1, 1.25]}, reference="2020-1", dateofocc="2020-01-05",
            subreg="71", hostility_=None, descriptio="Skiff approached"),
    feature({"type": "Point", "coordinates": [-1.5, 4.0]}, reference="2020-2", dateofocc="2020-11-30",
            subreg="57", hostility_="Pirates", descriptio="Boarded at anchor"),
], prefix="asam_data_download/")
write("zipcodes.zip", "MODZCTA", [
    feature(polygon(square(0, 0, 1)), modzcta="10001", label="10001, 10118", pop_est=23072.0),
    feature(polygon(square(1, 0, 1)), modzcta="10002", label="10002", pop_est=74993.0),
])


def pack(archive, **files):
    with zipfile.ZipFile(FOLDER / archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in files.items():
            info = zipfile.ZipInfo(name.replace("__", "."), (2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, text)


pack("altnames.zip", iso_languagecodes__txt="aa\tAfar\n", alternateNamesV2__txt="1\t100\ten\tNew \"Haven\t1\n2\t100\tde\tNeuhafen\t\n")
pack("cities.zip", cities__txt="100\tHaven\t41.5\t-72.9\t130000\t2020-01-05\n200\tFord\t10.25\t20.5\t\t2020-02-06\n")
(FOLDER / "cases.csv.gz").write_bytes(gzip.compress(b"Row_ID,Case_Reported_Date,Age_Group\n1,2020-01-05,20s\n2,2020-01-06,30s\n", mtime=0))
