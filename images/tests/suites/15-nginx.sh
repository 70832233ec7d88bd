# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
nginx=(--skip-detect --buildpack nginx=nginx_buildpack)

# Makes an app of an nginx.conf in $work/nginx. usage: make_nginx TEXT [BUILDPACK_YML]
make_nginx() {
  rm -rf "$work/nginx"
  mkdir -p "$work/nginx"
  [[ -z $1 ]] || printf '%s\n' "$1" > "$work/nginx/nginx.conf"
  [[ -z ${2:-} ]] || printf '%b\n' "$2" > "$work/nginx/buildpack.yml"
}
simple='daemon off; events {} http { access_log /dev/stdout; server { listen {{port}}; return 200 fine; } }'

feature nginx 'an app is detected by its nginx.conf and checked while staging'
stage "$fixtures/nginx" --buildpack staticfile=staticfile_buildpack --buildpack nginx=nginx_buildpack
check 'an app with an nginx.conf is detected and staged' equals "$code" 0
check 'the line of the version is the familiar one' contains "$log" '-----> Requested nginx version: mainline => 1.'
check 'the start command is the familiar one' contains "$(result_of .process_types.web)" 'varify -buildpack-yml-path ./buildpack.yml ./nginx.conf $HOME/modules'
feature nginx '{{port}}, {{env "X"}} (plaintext_env_vars), {{module "x"}}, {{nameservers}}, {{if}}, {{- -}}, comments; in included files, too'
launch '' 'GREETING=a<b+' 'RAW=c<d'
check 'port and environment are filled in, escaped unless that is switched off' equals "$(answer /)" 'a&lt;b&#43; c<d'
stop
make_nginx "${simple/'{{port}}'/8080}"
stage "$work/nginx" "${nginx[@]}"
check 'a fixed port fails the staging' contains "$log" 'must be configured to the template `{{port}}`'
check 'with 223' equals "$code" 223
make_nginx $'events {}\nhttp { server { listen {{port}}; nonsense on; } }'
stage "$work/nginx" "${nginx[@]}"
check 'a mistake in nginx.conf fails the staging' contains "$log" 'unknown directive "nonsense" in nginx.conf:2'
make_nginx $'# first\nevents {}\n{{range "x"}}'
stage "$work/nginx" "${nginx[@]}"
check 'an action that is not known is named with its line' contains "$log" 'nginx.conf:3: the template action {{range "x"}} is not known'
make_nginx '' 'nginx: {}'
stage "$work/nginx" "${nginx[@]}"
check 'without an nginx.conf staging fails by name' contains "$log" 'Could not validate nginx.conf: there is no nginx.conf'

stage "$fixtures/nginx-include" "${nginx[@]}"
check 'a port in an included file counts' equals "$code" 0
check 'an included access_log counts' lacks "$log" 'access logging is turned off'
launch '' GREETING=visitor
answered=$(answer / -i)
check 'included files are filled in' contains "$answered" included
check 'also those that they include' contains "$answered" 'X-Env: visitor'
stop
launch ''
check 'a condition decides at each start' contains "$(answer / -i)" 'X-Env: nobody'
stop
check 'the templates are the same after staging' contains "$(tar -xOf "$work/droplet.tar" home/vcap/app/conf.d/site.conf)" '{{ port -}}'

feature nginx 'the dynamic modules of the official build: ngx_stream_module and ngx_mail_module'
stage "$fixtures/nginx-stream" "${nginx[@]}"
check 'a dynamic module is there' equals "$code" 0
launch ''
check 'and works' equals "$(answer /)" streamed
stop
make_nginx "{{module \"ngx_nowhere_module\"}} $simple"
stage "$work/nginx" "${nginx[@]}"
check 'one that is not there is named' contains "$log" 'ngx_nowhere_module.so'

feature nginx 'buildpack.yml: version, dist and settings that are not known'
make_nginx "$simple" '---\nnginx:\n  version: 1.1.1'
stage "$work/nginx" "${nginx[@]}"
check 'a version that cannot be had fails the staging' equals "$code" 223
check 'with who asked and what can be had' contains "$log" 'buildpack.yml:3 asks for nginx 1.1.1, which cannot be had. Available versions: mainline, stable, 1.'
make_nginx "$simple" 'dist: openresty'
stage "$work/nginx" "${nginx[@]}"
check 'OpenResty is refused by name' contains "$log" 'asks for dist: openresty'
make_nginx "${simple/'/dev/stdout'/off}" 'nginx:\n  version: stable\n  colour: red'
stage "$work/nginx" "${nginx[@]}"
check 'stable is a version' contains "$log" '-----> Requested nginx version: stable => 1.'
check 'a setting that is not known is told' contains "$log" 'buildpack.yml: nginx.colour is not known'
check 'access_log off is told' contains "$log" 'access logging is turned off in your nginx.conf file, this may make your app difficult to debug.'
rm "$work/nginx/buildpack.yml"
stage "$work/nginx" "${nginx[@]}"
check 'without a version the log says which one it is' contains "$log" '-----> No nginx version specified - using mainline => 1.'
check 'the droplet has a folder for logs' contains "$(tar -tf "$work/droplet.tar")" home/vcap/app/logs/

feature nginx 'as one of several buildpacks'
stage "$work/nginx" --skip-detect --buildpack nginx=nginx_buildpack --buildpack binary=binary_buildpack
check 'nginx is supplied to another buildpack' equals "$(result_of '[.lifecycle_metadata.buildpacks[].name] | join(",")')" nginx,binary
launch 'varify -buildpack-yml-path ./buildpack.yml ./nginx.conf $HOME/modules $DEP_DIR/nginx/modules && exec nginx -p $PWD -c ./nginx.conf'
check 'and starts with the official command' equals "$(answer /)" fine
stop
