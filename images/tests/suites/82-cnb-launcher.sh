# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# A droplet made by hand: what layers may hold is more than fixtures of buildpacks write.
droplet=$work/cnb-launcher/home/vcap
rm -rf "$work/cnb-launcher" && mkdir -p "$droplet"/{workspace,layers/config,layers/one/a/{bin,env,env.launch,exec.d,profile.d},layers/two/b/env.launch}
make_report "$droplet/workspace"
printf '%s\0' one two > "$droplet/layers/config/buildpacks"
# Type, command, how, folder, number of the command's words and of all, the words.
printf '%s\0' web 'bash report .' direct '' 2 3 bash report . \
  old 'bash old' shell '' 1 5 bash report . '$words/$index/$command' '$at' \
  show 'show other variables' direct '' 1 1 a=b > "$droplet/layers/config/processes"

# usage: pack_droplet
pack_droplet() { tar -C "$work/cnb-launcher" --owner=2000 --group=2000 -cf "$work/droplet.tar" home/vcap/layers home/vcap/workspace; }

# usage: program TEXT, the exec.d program of the layer
program() { printf '#!/bin/bash\n%s\n' "$1" > "$droplet/layers/one/a/exec.d/program" && chmod +x "$droplet/layers/one/a/exec.d/program" && pack_droplet; }

# Variables of any name, also of those that the launcher's scripts have.
mapfile -t variables < <(sed 's/$/=kept/' "$droplet/workspace/names")
echo './report . hook' > "$droplet/layers/one/a/profile.d/hook.sh"
program './report . program; exec 1>&3; true'
launch_with cnb-launcher app 'bash report .' "${variables[@]}"
finish
check 'programs of exec.d and a process get variables of any name' equals "$log" $'program lost: nothing\ncommand lost: nothing'
launch_with cnb-launcher -- './report . "$words"' "${variables[@]}"
finish
check 'hooks and a task, too' equals "$log" $'program lost: nothing\nhook lost: nothing\nkept lost: nothing'
launch_with cnb-launcher app 'bash old' "${variables[@]}"
finish
check 'words of a command are expanded with them' equals "${log##*$'\n'}" 'kept/kept/kept lost: nothing'
while read -r name; do printf kept > "$droplet/layers/one/a/env.launch/$name"; done < "$droplet/workspace/names"
pack_droplet
launch_with cnb-launcher app 'bash report .'
finish
check 'files of layers can set them' equals "$log" $'program lost: nothing\ncommand lost: nothing'
rm -rf "$droplet/layers/one/a/env.launch"
program 'while read -r NAME; do echo "$NAME = \"kept\"" >&3; done < names'
launch_with cnb-launcher app 'bash report .'
finish
check 'programs can set them' equals "$log" 'command lost: nothing'
echo 'while read -r NAME; do export "$NAME=kept"; done < names; fail() { echo "the fail of a hook"; }; expand_words() { fail; }; cd() { fail; }' \
  > "$droplet/layers/one/a/profile.d/hook.sh"
program 'true'
launch_with cnb-launcher app 'bash old'
finish
check 'hooks can set them, and define functions' equals "$log" 'kept/kept/kept lost: nothing'

# Names that bash cannot hold, or keeps for itself, from all sources.
printf first > "$droplet/layers/one/a/env/with-dash.append"
printf second > "$droplet/layers/two/b/env.launch/with-dash.append"
printf , > "$droplet/layers/two/b/env.launch/with-dash.delim"
printf ':' > "$droplet/layers/two/b/env.launch/given-one.delim"
printf before > "$droplet/layers/two/b/env.launch/given-one.prepend"
printf unused > "$droplet/layers/two/b/env.launch/given-one.default"
printf 4711 > "$droplet/layers/two/b/env.launch/UID"
printf left > "$droplet/layers/two/b/env.launch/out=here"
printf '#!/bin/bash\necho "with a = in its name: $FROM_PROGRAM"; env | LC_ALL=C sort | grep -E "^(X|UID=|9|a b|with-|given-)"\n' > "$droplet/layers/one/a/bin/a=b"
chmod +x "$droplet/layers/one/a/bin/a=b"
program 'cat >&3 << "TOML"
# A comment
X-bare-1 = "a"
"X.quoted" = "b # no comment" # a comment
'"'X \"literal\"'"' = '"'c'"'
"X\u0041=" = "left out"
"" = "left out"
"a b" = """
d
e"""
9 = "nine"
"FROM_PROGRAM" = "yes"
_cflite_words = "no"
X = "\u00e4\"\\"
TOML'
for form in 'show other variables' '"a=b"'; do
  launch_with cnb-launcher app "$form" given-one=after
  finish
  check "variables that bash cannot hold reach a process ($form)" contains "$log" 'with a = in its name: yes
9=nine
UID=4711
X "literal"=c
X-bare-1=a
X.quoted=b # no comment
X=ä"\
a b=d
given-one=before:after
with-dash=first,second'
done
check 'what no variable can be named is left out, which is said' equals "$(grep -c 'no variable can have the name' <<< "$log")" 3
rm "$droplet/layers/two/b/env.launch/out=here"
for text in 'a.b = "x"' 'a = 1' '"""a""" = "x"' '"a = "x"' "'a\" = 'x'" '"a\q" = "x"' 'a b = "x"' ' = "x"'; do
  program "printf '%s\n' $(printf %q "$text") >&3"
  launch_with cnb-launcher app 'bash report .'
  finish
  check "no table of texts is refused: $text" contains "$code $log" '236 launcher: /home/vcap/layers/one/a/exec.d/program wrote what is not a table of texts'
done
