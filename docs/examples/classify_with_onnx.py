"""Classifies one Challenge recording with numpy and onnxruntime alone.

    python classify_with_onnx.py model.onnx A0001.hea

The model is from `ecg export model.onnx --model model/distilled --from-raw 500`. The recording has 500 Hz, no missing
samples, and its signals in a MATLAB file of level 4 beside the header, as those of the Challenge of 2020.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
thresholds, weights = np.array(json.loads(about["thresholds"])), np.array(json.loads(about["challenge_weights"]))

lines = Path(sys.argv[2]).read_text().splitlines()
n_leads, rate = int(lines[0].split()[1]), float(lines[0].split()[2])
fields = [line.split() for line in lines[1 : n_leads + 1]]
said = {key.strip("# "): value.strip() for key, _, value in (line.partition(":") for line in lines[n_leads + 1 :])}
mat = Path(sys.argv[2]).with_suffix(".mat").read_bytes()
adc = np.frombuffer(mat, "<i2", offset=20 + mat[16]).reshape(-1, n_leads).T  # after 20 bytes and the name "val"
if about["input"] != "raw" or rate != float(about["sampling_frequency_hz"]) or adc.min() == -32768:
    sys.exit(f"expected a model for raw signals at {rate:g} Hz and no missing samples")
gain, zero = (np.array([[float(row[k].removesuffix("/mV"))] for row in fields]) for k in (2, 4))
order = [[row[-1] for row in fields].index(lead) for lead in json.loads(about["leads"])]
signal = ((adc - zero) / gain)[order].astype(np.float32)  # (12, n), mV
age, sex = float(said["Age"]), said["Sex"]
person = [np.nan_to_num(age / 100), age == age, sex == "Female", sex == "Male", sex in ("Female", "Male")]

inputs = {"signal": signal[None], "demographics": np.array([person], dtype=np.float32)}
[[members]] = session.run(["member_probabilities"], inputs)  # (n_members, n_classes)
odds = (1 / np.clip(members.astype(float), 1e-6, 1 - 1e-6) - 1) / (1 / np.clip(thresholds, 1e-6, 1 - 1e-6) - 1)
p = (1 / (1 + odds)).mean(axis=0)  # a probability at its threshold counts as one half
credit, chosen = p @ weights, np.zeros(len(p), dtype=bool)
while not chosen.all():  # the labels of highest expected challenge score: the best next one, as long as it raises it
    gained, union = credit[chosen].sum(), p.sum() + (1 - p[chosen]).sum()
    score = np.where(chosen, -np.inf, (gained + credit) / (union + 1 - p))
    if chosen.any() and score.max() <= gained / union:
        break
    chosen[score.argmax()] = True
for k in np.flatnonzero(chosen):
    print(json.loads(about["classes"])[k], json.loads(about["class_names"])[k], f"{members[:, k].mean():.3f}")
