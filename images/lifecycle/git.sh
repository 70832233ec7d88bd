# shellcheck shell=bash
# Custom buildpacks from git repositories. Uses custom.sh and its variables reason, offline, version.
# shellcheck disable=SC2154,SC2034

# Runs git without a terminal to ask for a password, and not for ever. usage: run_git SECONDS LOG ARGUMENT…
run_git() {
  local seconds=$1 log=$2 status=0
  shift 2
  GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -o BatchMode=yes -o ConnectTimeout=15 -o StrictHostKeyChecking=accept-new}" \
    GIT_HTTP_LOW_SPEED_LIMIT=1024 GIT_HTTP_LOW_SPEED_TIME=60 LC_ALL=C.UTF-8 timeout "$seconds" git "$@" 2> "$log" || status=$?
  ((status != 124)) || echo "fatal: no answer in $seconds seconds, timed out" >> "$log"
  return "$status"
}

# usage: fetch_git URL FOLDER KEPT. On failure sets reason and offline.
fetch_git() {
  local address=${1%%#*} wanted='' folder=$2 kept=$3 log=$2.log commit='' have='' refs
  [[ $1 != *#* ]] || wanted=${1#*#}
  [[ ! -s $kept/commit ]] || have=$(<"$kept/commit")
  # A commit never changes: a kept one needs no server.
  if [[ $wanted =~ ^[0-9a-f]{7,40}$ && -n $have && $have == "$wanted"* ]]; then
    use_kept_commit && return 0
  fi
  if ! refs=$(run_git 60 "$log" ls-remote "$address"); then
    reason=$(explain "$log")
    ! is_offline "$log" || offline=true
    return 1
  fi
  commit=$(resolve_ref "$wanted" "$refs")
  if [[ -z $commit ]]; then
    reason="it has no branch, tag or commit named ${wanted:-HEAD}; its branches are: $(sed -n 's#.*refs/heads/##p' <<< "$refs" | head -n 20 | paste -sd, | sed 's/,/, /g')"
    return 1
  fi
  [[ $commit != "$have" ]] || ! use_kept_commit || return 0
  if ! clone_buildpack "$address" "$folder" "$wanted" "$commit" "$log"; then
    reason=$(explain "$log")
    ! is_offline "$log" || offline=true
    return 1
  fi
  keep_clone
}

use_kept_commit() {
  restore_buildpack "$kept" "$folder" || return 1
  echo "The buildpack is the one of the earlier staging, $version"
}

# What the credentials of the URL were written to does not get into the cache, and buildpacks do not see it.
keep_clone() {
  commit=$(git -C "$folder" rev-parse HEAD) || return 1
  find "$folder/.git" -name config -type f -exec sed -i -E 's#(://)[^/@[:space:]]*@#\1#' {} +
  find "$folder/.git" \( -name FETCH_HEAD -o -name logs \) -prune -exec rm -rf {} +
  printf '%s' "$commit" > "$kept/commit"
  printf 'commit %s' "$commit" > "$kept/version"
  tar -C "$folder" -cf "$kept/buildpack.tar" .
  echo "The buildpack is at commit $commit"
}

is_offline() {
  grep -qiE 'could not resolve|failed to connect|could(n.t| not) connect|connection (refused|reset|timed out)|timed out|unreachable|no route to host|name resolution|returned error: 5[0-9][0-9]' "$1"
}

# Prints the commit of a branch or a tag, or the text itself when it may be a commit. usage: resolve_ref NAME REFS
resolve_ref() {
  local hash name found='' rank=0
  while IFS=$'\t' read -r hash name; do
    case $name in
      HEAD) [[ -n $1 ]] || found=$hash ;;
      "refs/heads/$1") found=$hash rank=3 ;;
      "refs/tags/$1^{}") ((rank > 2)) || { found=$hash rank=2; } ;;
      "refs/tags/$1") ((rank > 1)) || { found=$hash rank=1; } ;;
    esac
  done <<< "$2"
  [[ -n $found || ! $1 =~ ^[0-9a-f]{7,40}$ ]] || found=$1
  printf '%s' "$found"
}

# A shallow clone, else a full one: for servers that do not support it, or do not give out a commit by its name.
# usage: clone_buildpack ADDRESS FOLDER NAME COMMIT LOG
clone_buildpack() {
  local address=$1 folder=$2 name=$3 commit=$4 log=$5
  if [[ $name != "$commit" ]]; then
    run_git 600 "$log" clone --quiet --depth 1 --recursive ${name:+--branch "$name"} "$address" "$folder" && return 0
    ! is_offline "$log" || return 1
  elif git init --quiet "$folder" && run_git 600 "$log" -C "$folder" fetch --quiet --depth 1 "$address" "$commit"; then
    run_git 600 "$log" -C "$folder" -c advice.detachedHead=false checkout --quiet FETCH_HEAD &&
      git -C "$folder" remote add origin "$address" && run_git 600 "$log" -C "$folder" submodule --quiet update --init --recursive && return 0
  fi
  rm -rf "$folder"
  run_git 600 "$log" clone --quiet --recursive "$address" "$folder" || return 1
  [[ -z $name ]] || run_git 600 "$log" -C "$folder" checkout --quiet --recurse-submodules "$commit" || {
    echo "fatal: it has no branch, tag or commit named $name" > "$log"
    return 1
  }
  run_git 600 "$log" -C "$folder" submodule --quiet update --init --recursive
}
