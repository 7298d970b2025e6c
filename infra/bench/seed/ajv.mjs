// The reference of C1 and C2: JSON.parse and a check by ajv, in Node. Reads what `measure --json` printed, and prints nanoseconds of processor
// time for each of its events: the median of 31 batches, after the just-in-time compiler has had its say.
import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';

const BATCHES = 31;
const { schema, events } = JSON.parse(readFileSync(0, 'utf8'));
const check = new Ajv2020().compile(JSON.parse(schema));

function once(bytes) {
  const envelope = JSON.parse(bytes.toString());
  if (envelope.type !== 'plugin_event' || !check(envelope.payload)) throw new Error(JSON.stringify(check.errors));
}

function batch(bytes, rounds) {
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round += 1) once(bytes);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / rounds;
}

const result = {};
for (const { name, text } of events.filter((event) => event.name.startsWith('plugin_event'))) {
  const bytes = Buffer.from(text);
  const rounds = Math.max(50, Math.round(8_000_000 / (bytes.length + 400)));
  for (let warm = 0; warm < 10; warm += 1) batch(bytes, rounds);
  result[name] = Array.from({ length: BATCHES }, () => batch(bytes, rounds)).sort((a, b) => a - b)[BATCHES >> 1];
}
console.log(JSON.stringify(result));
