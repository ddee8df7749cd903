#!/usr/bin/env python3
"""Converts public sets of labelled series to the layout that `make bench-detect` reads. Needs numpy and pandas.

convert.py OUT SET=SOURCE [SET=SOURCE ...], for example: convert.py ~/detect nasa=~/telemanom skab=~/SKAB

SET is one of nasa, smd, asd, skab, wsn. SOURCE is the folder of the set: README.md beside this file says where to get it.
"""
import csv
import json
import pathlib
import pickle
import sys

import numpy as np
import pandas as pd

# Time of the first reading in sets without times: 2024-01-01, in seconds since 1970.
BEGIN = 1_704_067_200
COLUMNS = "set,series,fields,rows,first_row_that_counts,seconds_per_reading,anomalous_spans".split(",")


def times(rows, seconds):
    return (BEGIN + seconds * np.arange(rows)) * 1_000_000


def joined(train, test, test_label, seconds):
    """The training part is history, the test part counts."""
    values = np.vstack([train, test])
    label = np.r_[np.zeros(len(train), int), np.asarray(test_label, int)]
    return times(len(values), seconds), label, values, len(train), seconds


def nasa(source):
    """data/{train,test}/CHANNEL.npy: the first column is the telemetry, the others are commands."""
    channels = {}
    for row in csv.DictReader(open(source / "labeled_anomalies.csv")):
        channels.setdefault((row["spacecraft"], row["chan_id"]), []).extend(json.loads(row["anomaly_sequences"]))
    for (spacecraft, channel), spans in channels.items():
        train, test = (np.load(source / "data" / part / f"{channel}.npy")[:, :1] for part in ("train", "test"))
        label = np.zeros(len(test), int)
        for first, last in spans:
            label[first : last + 1] = 1
        yield f"{spacecraft}-{channel}", *joined(train, test, label, 60)


def smd(source):
    """{train,test,test_label}/machine-A-B.txt: numbers separated by commas."""
    for path in sorted((source / "train").glob("machine-*.txt")):
        parts = [np.loadtxt(source / part / path.name, delimiter=",") for part in ("train", "test", "test_label")]
        yield path.stem, *joined(*parts, 60)


def asd(source):
    """data/processed/omi-N_{train,test,test_label}.pkl. Unpickle only files that you trust."""
    for path in sorted((source / "data/processed").glob("omi-*_train.pkl")):
        name = path.stem.removesuffix("_train")
        files = [path.with_name(f"{name}_{part}.pkl") for part in ("train", "test", "test_label")]
        yield name, *joined(*(pickle.loads(file.read_bytes()) for file in files), 300)


def skab(source):
    """data/{valve1,valve2,other}/N.csv. Some rows have the same second, so the row is added in microseconds."""
    for path in sorted(path for folder in ("valve1", "valve2", "other") for path in (source / "data" / folder).glob("*.csv")):
        table = pd.read_csv(path, sep=";", parse_dates=["datetime"])
        micros = table.datetime.to_numpy().astype("datetime64[us]").astype(int) + np.arange(len(table))
        values = table.drop(columns=["datetime", "anomaly", "changepoint"]).to_numpy()
        yield f"{path.parent.name}-{path.stem}", micros, table.anomaly.to_numpy().astype(int), values, 400, 1


def wsn(source):
    """{single,multi}.json: the files data/data.json of the two packages. Each mote is a series."""
    for kind in ("single", "multi"):
        for mote, rows in pd.read_json(source / f"{kind}.json").groupby("mote_id"):
            values = rows[["humidity", "temperature"]].to_numpy()
            yield f"{kind}-{mote}", times(len(rows), 5), rows.label.to_numpy(), values, 512, 5


def main():
    out, index = pathlib.Path(sys.argv[1]).expanduser(), []
    for argument in sys.argv[2:]:
        kind, source = argument.split("=", 1)
        (out / kind).mkdir(parents=True, exist_ok=True)
        for name, micros, label, values, start, seconds in {"nasa": nasa, "smd": smd, "asd": asd, "skab": skab, "wsn": wsn}[kind](pathlib.Path(source).expanduser()):
            values = values[:, values.min(axis=0) != values.max(axis=0)]
            table = pd.DataFrame(values, columns=[f"f{field:03}" for field in range(values.shape[1])])
            table.insert(0, "micros", micros)
            table.insert(1, "label", label)
            table.to_csv(out / kind / f"{name}.csv.gz", index=False)
            spans = int((np.diff(np.r_[0, label[start:]]) == 1).sum())
            index.append([kind, name, values.shape[1], len(values), start, seconds, spans])
            print(*index[-1])
    pd.DataFrame(index, columns=COLUMNS).to_csv(out / "index.csv", index=False)


main()
