// Answers questions about version ranges with the semver that npm brings along.
// usage: node range.js satisfies VERSION RANGE      exit 0 when it does
//        node range.js requirement RANGE            prints the newest long-term release line in the range, or its exact version
const fs = require('fs');
const path = require('path');
const { execSync } = require('child_process');

const npm = fs.realpathSync(execSync('command -v npm', { encoding: 'utf8' }).trim());
const semver = require(require.resolve('semver', { paths: [path.dirname(npm)] }));
const [question, ...rest] = process.argv.slice(2);

if (question === 'satisfies') {
  const [version, range] = rest;
  if (!semver.validRange(range)) process.exit(2);
  process.exit(semver.satisfies(version, range) ? 0 : 1);
}
const [range] = rest;
const exact = semver.valid(range);
const lines = [26, 24, 22, 20, 18].filter((major) => semver.intersects(range, `${major}.x`));
if (!exact && lines.length === 0) process.exit(1);
console.log(exact || `${lines[0]}.*`);
