// Answers questions about version ranges with the semver that npm brings along.
// usage: node range.js satisfies VERSION RANGE   exit 0 when it does, 1 when not, 2 when RANGE is no range
//        node range.js newest RANGE              prints the newest of the versions on standard input that is in the range; exit 1 when none is
//        node range.js lines                     prints the newest version of each major version from 16 on
//        node range.js npm VERSION               prints the major version of npm that suits a Node.js that the stack's npm does not support
const fs = require('fs');
const path = require('path');
const { execSync } = require('child_process');

const npm = fs.realpathSync(execSync('command -v npm', { encoding: 'utf8' }).trim());
const semver = require(require.resolve('semver', { paths: [path.dirname(npm)] }));
const [question, first, range] = process.argv.slice(2);
const given = () => fs.readFileSync(0, 'utf8').split('\n').filter((version) => semver.valid(version));

if (question === 'satisfies') {
  if (!semver.validRange(range)) process.exit(2);
  process.exit(semver.satisfies(first, range) ? 0 : 1);
} else if (question === 'newest') {
  const newest = semver.maxSatisfying(given(), first);
  if (!newest) process.exit(1);
  console.log(newest);
} else if (question === 'lines') {
  const newest = {};
  for (const version of semver.sort(given().filter((one) => semver.major(one) >= 16))) newest[semver.major(version)] = version;
  console.log(Object.values(newest).join(', '));
} else if (question === 'npm') {
  const suits = { 10: '^18.17.0 || >=20.5.0', 9: '^14.17.0 || ^16.13.0 || >=18.0.0', 6: '*' };
  console.log([10, 9, 6].find((major) => semver.satisfies(first, suits[major])));
}
