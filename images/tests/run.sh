#!/usr/bin/env bash
# Stages and starts fixture apps on the built images, and checks builder's and launcher's contracts.
#
# usage: IMAGES_RUN=<run image> IMAGES_BUILD=<build image> images/tests/run.sh [SUITE…]
#   SUITE   the start of a file's name in suites/, all of them when none is given
# Needs a Docker daemon and the two images. Closes with "N passed, N failed" and exits non-zero when a check failed.
set -u -o pipefail
tests=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
images=${tests%/*}
fixtures=$tests/fixtures
# shellcheck disable=SC2034  # read by a suite
samples=$(realpath "$images/../samples")
IMAGES_RUN=${IMAGES_RUN:-cflite/cflinuxfs4:run-dev}
IMAGES_BUILD=${IMAGES_BUILD:-cflite/cflinuxfs4:build-dev}
STAGE_SECONDS=${STAGE_SECONDS:-180}
# shellcheck source=SCRIPTDIR/harness.sh
source "$tests/harness.sh"

for image in "$IMAGES_RUN" "$IMAGES_BUILD"; do
  docker image inspect "$image" > /dev/null 2>&1 || { echo "the image $image does not exist: build the images first" >&2; exit 2; }
done
trust_the_machine || { echo 'the authorities of this machine cannot be added to containers' >&2; exit 2; }
(($#)) || set -- ''
whole=$([[ $# == 1 && -z $1 ]] && echo yes || echo no)
for suite in "${@/#/$tests/suites/}"; do
  for file in "$suite"*.sh; do
    echo "# ${file##*/}"
    # shellcheck disable=SC1090
    source "$file"
  done
done

# The table of features in docs/buildpacks.md is what a whole run proved; UPDATE=1 writes it.
if [[ $whole == yes ]]; then
  page=$(realpath "$images/../docs/buildpacks.md")
  {
    sed '/^<!-- features -->$/q' "$page"
    printf '\n| buildpack | feature | suite |\n|---|---|---|\n'
    LC_ALL=C sort -u "$work/features"
  } > "$work/buildpacks.md"
  [[ -z ${UPDATE:-} ]] || cp "$work/buildpacks.md" "$page"
  check 'docs/buildpacks.md lists the features that are tested (UPDATE=1 writes it)' diff "$page" "$work/buildpacks.md"
fi

summary="$passed passed, $failed failed"
((skipped == 0)) || summary+=", $skipped skipped"
echo "$summary"
((failed == 0 && passed > 0))
