# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
stage "$fixtures/nginx" --buildpack staticfile=staticfile_buildpack --buildpack nginx=nginx_buildpack
check 'an app with an nginx.conf is detected and staged' equals "$code" 0
launch '' 'GREETING=a<b' 'RAW=c<d'
check 'port and environment are filled in, escaped unless that is switched off' equals "$(answer /)" 'a&lt;b c<d'
stop
mkdir -p "$work/nginx"
sed 's/{{port}}/8080/' "$fixtures/nginx/nginx.conf" > "$work/nginx/nginx.conf"
stage "$work/nginx" --buildpack nginx=nginx_buildpack
check 'a fixed port fails the staging' contains "$log" 'must be configured to respect the value of {{port}}'
check 'with 223' equals "$code" 223
printf 'events {}\nhttp { server { listen {{port}}; nonsense on; } }\n' > "$work/nginx/nginx.conf"
stage "$work/nginx" --buildpack nginx=nginx_buildpack
check 'a mistake in nginx.conf fails the staging' contains "$log" 'unknown directive "nonsense" in nginx.conf:2'
