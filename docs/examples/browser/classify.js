// Classifies one ECG with onnxruntime-web; model and recording are read from file inputs and stay in this page.
"use strict";

const find = (id) => document.getElementById(id);
const bytesOf = async (file) => new Uint8Array(await file.arrayBuffer());

// onnxruntime-web does not hand on a model's metadata: the field metadata_props (14) of the file's outermost message,
// pairs of key (1) and value (2). See the protocol buffers' wire format and onnx.proto.
function* fieldsOf(bytes) {
  let at = 0;
  const number = () => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("expected an ONNX file, found something else");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const kind = tag % 8;
    if (kind === 0) number();
    else if (kind === 2) {
      const length = number();
      yield [Math.floor(tag / 8), bytes.subarray(at, (at += length))];
    } else throw new Error("expected an ONNX file, found something else");
  }
}

function metadataOf(bytes) {
  const text = new TextDecoder();
  const metadata = {};
  for (const [field, pair] of fieldsOf(bytes)) {
    if (field !== 14) continue;
    const [key, value] = [...fieldsOf(pair)].map(([, part]) => text.decode(part));
    metadata[key] = value;
  }
  if (metadata.input !== "raw") throw new Error("expected a model exported with --from-raw, found another");
  return metadata;
}

// A header and its MATLAB file of level 4, as those of the Challenge: {rate, age, sex, leads: {name: samples in mV}}.
function readChallenge(headerText, mat) {
  const lines = headerText.split(/\r?\n/);
  const [, nLeads, rate] = lines[0].split(/\s+/).map(Number);
  const view = new DataView(mat.buffer, mat.byteOffset);
  if (view.getInt32(0, true) !== 30) throw new Error("expected a MATLAB file of level 4 with 16-bit numbers");
  const start = 20 + view.getInt32(16, true);
  const nSamples = view.getInt32(8, true);
  const leads = {};
  lines.slice(1, nLeads + 1).forEach((line, row) => {
    const fields = line.trim().split(/\s+/);
    const [, gain, baseline] = /^([\d.]+)(?:\((-?\d+)\))?\/mV$/.exec(fields[2]) ?? [];
    if (!(gain > 0)) throw new Error(`expected a gain such as 1000/mV, found ${fields[2]}`);
    const zero = Number(baseline ?? fields[4]);
    leads[fields.at(-1)] = Float32Array.from({ length: nSamples }, (_, k) => {
      const adc = view.getInt16(start + 2 * (k * nLeads + row), true);
      return adc === -32768 ? NaN : (adc - zero) / gain;
    });
  });
  const said = (name) => new RegExp(`^#\\s*${name}:\\s*(\\S+)`, "m").exec(headerText)?.[1];
  return { rate, age: Number(said("Age") ?? NaN), sex: said("Sex") ?? "Unknown", leads };
}

// A CSV file with the leads' names in its first line and then a line of values in mV for each sample.
function readTable(text) {
  const [names, ...rows] = text.trim().split(/\r?\n/).map((line) => line.split(",").map((cell) => cell.trim()));
  const leads = Object.fromEntries(
    names.map((name, k) => [name, Float32Array.from(rows, (row) => (row[k] ? Number(row[k]) : NaN))]),
  );
  return { rate: Number(find("rate").value), age: find("age").valueAsNumber, sex: find("sex").value, leads };
}

async function readRecording(files) {
  const named = (suffix) => files.find((file) => file.name.toLowerCase().endsWith(suffix));
  if (named(".csv")) return readTable(await named(".csv").text());
  if (!named(".hea") || !named(".mat")) throw new Error("expected a .hea and its .mat file, or a .csv file");
  return readChallenge(await named(".hea").text(), await bytesOf(named(".mat")));
}

function tensorsOf(recording, metadata) {
  const rate = Number(metadata.sampling_frequency_hz);
  if (recording.rate !== rate) throw new Error(`expected a recording at ${rate} Hz, found one at ${recording.rate} Hz`);
  const names = JSON.parse(metadata.leads);
  const missing = names.filter((name) => !recording.leads[name]);
  if (missing.length) throw new Error(`expected the leads ${names.join(", ")}; missing: ${missing.join(", ")}`);
  const nSamples = recording.leads[names[0]].length;
  const longest = Number(metadata.longest_seconds);
  if (nSamples < rate || nSamples > longest * rate) {
    throw new Error(`expected 1 to ${longest.toFixed(1)} s, found ${(nSamples / rate).toFixed(1)} s`);
  }
  const signal = new Float32Array(names.length * nSamples);
  names.forEach((name, k) => signal.set(recording.leads[name], k * nSamples));
  if (!signal.every(Number.isFinite)) throw new Error("expected a recording without missing samples");
  const known = Number.isFinite(recording.age);
  const [female, male] = ["Female", "Male"].map((sex) => Number(recording.sex === sex));
  const person = Float32Array.of(known ? recording.age / 100 : 0, Number(known), female, male, female + male);
  return {
    signal: new ort.Tensor("float32", signal, [1, names.length, nSamples]),
    demographics: new ort.Tensor("float32", person, [1, person.length]),
  };
}

// The labels of highest expected challenge score, where a probability at its threshold counts as one half.
function decide(members, thresholds, weights) {
  const inner = (value) => Math.min(Math.max(value, 1e-6), 1 - 1e-6);
  const classes = weights.map((_, k) => k);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const p = classes.map((k) => {
    const moved = members.map((row, m) => 1 / (1 + (1 / inner(row[k]) - 1) / (1 / inner(thresholds[m][k]) - 1)));
    return sum(moved) / moved.length;
  });
  const credit = classes.map((j) => sum(classes.map((i) => p[i] * weights[i][j])));
  const chosen = new Set();
  let [gained, union] = [0, sum(p)];
  while (chosen.size < classes.length) {
    const score = (k) => (gained + credit[k]) / (union + 1 - p[k]);
    const best = classes.filter((k) => !chosen.has(k)).reduce((a, b) => (score(b) > score(a) ? b : a));
    if (chosen.size && score(best) <= gained / union) break;
    chosen.add(best);
    gained += credit[best];
    union += 1 - p[best];
  }
  return chosen;
}

async function classify() {
  const [modelFile, files] = [find("model").files[0], [...find("recording").files]];
  if (!modelFile || !files.length) throw new Error("choose a model and a recording");
  find("status").textContent = "Computing …";
  find("result").hidden = true;
  const bytes = await bytesOf(modelFile);
  const metadata = metadataOf(bytes);
  const inputs = tensorsOf(await readRecording(files), metadata);
  ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  if (!session.inputNames.includes("demographics")) delete inputs.demographics;
  const { member_probabilities: output } = await session.run(inputs);
  await session.release();
  const classes = JSON.parse(metadata.classes);
  const members = Array.from({ length: output.dims[1] }, (_, m) =>
    Array.from(output.data.subarray(m * classes.length, (m + 1) * classes.length)),
  );
  show(classes, members, metadata);
}

function show(classes, members, metadata) {
  const names = JSON.parse(metadata.class_names);
  const chosen = decide(members, JSON.parse(metadata.thresholds), JSON.parse(metadata.challenge_weights));
  const means = classes.map((_, k) => members.reduce((total, row) => total + row[k], 0) / members.length);
  const order = classes.map((_, k) => k).sort((a, b) => means[b] - means[a]);
  find("result").tBodies[0].replaceChildren(
    ...order.map((k) => {
      const row = document.createElement("tr");
      row.className = chosen.has(k) ? "positive" : "";
      for (const text of [names[k], classes[k], means[k].toFixed(4), chosen.has(k) ? "yes" : ""]) {
        row.insertCell().textContent = text;
      }
      return row;
    }),
  );
  find("result").hidden = false;
  find("status").textContent = "Done.";
}

find("classify").addEventListener("click", async () => {
  find("classify").disabled = true;
  try {
    await classify();
  } catch (error) {
    find("status").textContent = `This did not work: ${error.message ?? error}`;
  }
  find("classify").disabled = false;
});
