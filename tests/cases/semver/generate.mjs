// Writes verdicts.json: what npm's own `semver` says about some 2,000 pairs of a range and a version.
//
//   npm install --prefix <elsewhere> semver@7.8.6
//   NODE_PATH=<elsewhere>/node_modules node generate.mjs > verdicts.json
//
// Seeded, so that the same version of `semver` writes the same file. A verdict is true, false, or null for a text that is no range.
import { createRequire } from 'node:module';
import path from 'node:path';

const base = (process.env.NODE_PATH ?? process.cwd()).split(path.delimiter)[0];
const semver = createRequire(path.join(base, 'x.js'))('semver');

// mulberry32
let state = 20260807;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

const prerelease = () => pick(['-0', '-1', '-alpha', '-alpha.1', '-beta', '-beta.2', '-rc.1', '-rc.10', '-0.3.7', '-x-y']);
const number = () => pick([0, 0, 0, 1, 1, 2, 3, 9, 10]);
const version = () => `${number()}.${number()}.${number()}${random() < 0.3 ? prerelease() : ''}${random() < 0.1 ? '+build.5' : ''}`;
const part = () => (random() < 0.15 ? pick(['x', 'X', '*']) : String(number()));
function partial() {
  const parts = 1 + below(3);
  let text = part();
  for (let i = 1; i < parts; i++) text += `.${part()}`;
  return parts === 3 && random() < 0.25 ? text + prerelease() : text;
}
function comparator() {
  const space = random() < 0.1 ? ' ' : '';
  return `${pick(['', '', '=', '>', '>=', '<', '<=', '^', '^', '~', '~', '~>', 'v'])}${space}${partial()}`;
}
function set() {
  if (random() < 0.12) return `${partial()} - ${partial()}`;
  return Array.from({ length: 1 + below(3) }, comparator).join(random() < 0.9 ? ' ' : '  ');
}
function range() {
  const text = Array.from({ length: 1 + below(3) }, set).join(pick(['||', ' || ', ' ||']));
  return random() < 0.04 ? text.replace(pick(['.', ' ', '1', '0']), pick(['..', ',', '>', 'a', '01'])) : text;
}

const edges = [
  '', ' ', '*', 'x', 'X.x', '||', '|| ||', '1 ||', '|| 1', '^', '~', '>', '>=', '=', '~>x||>= 10.3.0-beta.1', '^0', '^0.0', '^0.0.0', '^0.0.1', '^0.1.x', '~0', '~1.2',
  '>x', '<x', '>=x', '<=x', '>1', '<=1', '>1.2', '<=1.2', '1.2.3 - 2', '1 - 2.3', '1.2.3-beta - 2', '>=1.0.0-rc.1', '<1.0.0-0', '^1.0.0-rc.1', '~1.0.0-rc.1', '1.0.0 2.0.0',
  '>=1 <2 <1.5', '^1 || >=2', 'v1', '=v1', '==1', '>>1', '1.2.3.4', '01.0.0', '1.0.0-01', '1.0.0+', '1.0.0-', 'latest', '1,2', '>=1,<2', '- 1', '1 -', '1-2', '1.0.0 -2.0.0',
  '9007199254740991.0.0', '9007199254740992.0.0', '>=9007199254740991', '^9007199254740991', '\t1.0.0\n', '1 . 2', '^ 1', '~ > 1', '>= 1', '!1', '<>1', '1.x.3', '*.1', 'x.1.0',
];

const verdict = (range, version) => (semver.validRange(range) === null ? null : semver.satisfies(version, range));
const lines = [];
const add = (range, version) => lines.push(`  ${JSON.stringify([range, version, verdict(range, version)])}`);
const probes = ['0.0.0', '0.0.1', '1.0.0', '1.0.0-rc.1', '1.2.3', '2.0.0-0', '2.3.9', '10.3.0-beta.1', '9007199254740991.0.0'];
// A text that is no range is judged once; its version does not matter.
for (const range of edges) for (const version of semver.validRange(range) === null ? probes.slice(0, 1) : probes) add(range, version);
while (lines.length < 2000) {
  const text = range();
  add(text, version());
  add(text, version());
}
process.stdout.write(`[\n${lines.join(',\n')}\n]\n`);
