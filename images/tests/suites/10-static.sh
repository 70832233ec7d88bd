# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
all=(--buildpack staticfile=staticfile_buildpack --buildpack ruby=ruby_buildpack --buildpack nodejs=nodejs_buildpack
  --buildpack python=python_buildpack --buildpack binary=binary_buildpack)
static=(--skip-detect --buildpack staticfile=staticfile_buildpack)

# The status that the instance answers with. usage: status_of PATH [CURL_OPTION…]
status_of() { asked_for '%{http_code}' "$@"; }
# The version of HTTP and the status. usage: protocol_of PATH [CURL_OPTION…]
protocol_of() { asked_for '%{http_version} %{http_code}' "$@"; }
# Waits for the instance first: curl prints also when nothing listens.
asked_for() { answer / -o /dev/null && answer "${@:2}" -o /dev/null -w "$1"; }

# Makes a site in $work/site: index.html and a Staticfile of the given text. usage: make_site [TEXT]
make_site() {
  rm -rf "$work/site"
  mkdir -p "$work/site"
  echo '<h1>made</h1>' > "$work/site/index.html"
  [[ -z ${1:-} ]] || printf '%b\n' "$1" > "$work/site/Staticfile"
}

feature staticfile 'a site is detected by its Staticfile and served from the root folder it names'
stage "$fixtures/static" "${all[@]}"
check 'a static site is detected and staged' equals "$code" 0
check 'its log names the buildpack' contains "$log" '-----> Staticfile Buildpack version'
check 'and the server' contains "$log" '-----> Installing nginx 1.'
check 'result.json has the web process' equals "$(result_of .process_types.web)" '$HOME/boot.sh'
check 'result.json describes the buildpack' equals \
  "$(result_of '.lifecycle_metadata | [.buildpack_key, .detected_buildpack, .buildpacks[0].name] | join(" ")')" 'staticfile staticfile staticfile'
check 'the droplet holds exactly the paths of a layer' equals "$(tar -tf "$work/droplet.tar" | cut -d/ -f1-3 | sort -u | tr '\n' ' ')" \
  'home/vcap/app home/vcap/deps home/vcap/logs home/vcap/profile.d home/vcap/staging_info.yml home/vcap/tmp '
check 'the droplet belongs to vcap' equals "$(tar --numeric-owner -tvf "$work/droplet.tar" | awk '{print $2}' | sort -u)" 2000/2000
launch ''
check 'the site answers on PORT' equals "$(answer /)" '<h1>fixture</h1>'
check 'UTF-8 names survive' equals "$(answer /%CE%A9.txt)" Omega
feature staticfile 'pushstate, directory, ssi, host_dot_files, location_include, HSTS, Staticfile.auth, status_codes'
check 'pushstate serves the index for unknown paths' equals "$(answer /deep/link)" '<h1>fixture</h1>'
check 'a folder without a slash redirects to the name the visitor used' contains \
  "$(answer /sub -i -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: site.example')" 'Location: https://site.example/sub/'
check 'of a chain of proxies the first one counts' contains \
  "$(answer /sub -i -H 'X-Forwarded-Proto: https, http' -H 'X-Forwarded-Host: site.example, inner' -H 'X-Forwarded-Prefix: /a, /b')" 'Location: https://site.example/a/sub/'
check 'dot files are not served' equals "$(status_of /.hidden)" 404
stop
check 'it stops at SIGTERM' equals "$code" 0
check 'its access log is on standard output' contains "$log" '"GET /deep/link HTTP/1.1" 200'
check 'the launcher announces its steps' contains "$log" $'Invoking pre-start scripts.\nInvoking start command.'

stage "$fixtures/staticfile-options" "${all[@]}"
check 'a site with all options stages' equals "$code" 0
for line in 'hosting of dotfiles' 'location include file includes/*.conf' SSI HSTS 'HTTPS redirect' 'basic authentication using Staticfile.auth'; do
  check "the log says: Enabling $line" contains "$log" "-----> Enabling $line"
done
launch ''
https=(-H 'X-Forwarded-Proto: https')
visit=("${https[@]}" -u alice:secret)
check 'force_https redirects' contains "$(answer /a?b=c -i -H 'Host: site.example')" 'Location: https://site.example/a?b=c'
check 'Staticfile.auth asks for a password' equals "$(status_of / "${https[@]}")" 401
check 'directory lists the files' contains "$(answer / "${visit[@]}")" file.txt
check 'ssi is on' equals "$(answer /page.html "${visit[@]}")" GET
check 'host_dot_files serves dot files' equals "$(answer /.well-known "${visit[@]}")" dots
headers=$(answer /file.txt -i "${visit[@]}")
check 'HSTS covers subdomains' contains "$headers" 'Strict-Transport-Security: max-age=31536000; includeSubDomains'
check 'location_include is read' contains "$headers" 'X-Included: yes'
stop

feature staticfile 'the Staticfile is optional, and so is each of its options'
make_site
stage "$work/site" "${static[@]}"
check 'a site without a Staticfile stages when the buildpack is named' equals "$code" 0
check 'and no error of a shell is in its log' lacks "$log" 'No such file'
launch ''
check 'and answers' equals "$(answer /)" '<h1>made</h1>'
stop
printf 'bob:{SHA}%s\n' "$(printf bob | openssl dgst -sha1 -binary | base64)" > "$work/site/Staticfile.auth"
stage "$work/site" "${static[@]}"
launch ''
check 'then Staticfile.auth counts all the same' equals "$(status_of /)" 401
check 'and is not served' equals "$(status_of /Staticfile.auth -u bob:bob)" 404
stop
make_site '---\n# nothing set'
stage "$work/site" "${all[@]}"
check 'a Staticfile with only a comment stages' equals "$code" 0
make_site 'pushstate: enabled\r\nroot: pages\r'
mkdir "$work/site/pages"
echo paged > "$work/site/pages/index.html"
stage "$work/site" "${all[@]}"
launch ''
check 'lines may end as on Windows' equals "$(answer /deep/link)" paged
stop
make_site 'pushstate: [a\n'
stage "$work/site" "${all[@]}"
check 'one that is not YAML is named' contains "${log}" 'Staticfile is not valid YAML'
make_site 'pushstate: yes\npush_state: true\nroot: /\nlocation_include: includes/*.conf'
mkdir -p "$work/site/nginx/conf/includes"
echo 'add_header X-Included root;' > "$work/site/nginx/conf/includes/h.conf"
stage "$work/site" "${all[@]}"
check 'an unknown option is told' contains "$log" "the Staticfile's option push_state is not known"
check 'and a switch that is neither on nor off' contains "$log" "the Staticfile's pushstate is neither enabled nor true"
check 'and that nginx/conf needs a root' contains "$log" 'You have an nginx/conf directory, but have not set *root*'
launch ''
check 'location_include works without a root folder, too' contains "$(answer / -i)" 'X-Included: root'
check 'and the configuration is not served' equals "$(status_of /nginx/conf/includes/h.conf)" 404
stop
make_site 'root: nowhere'
stage "$work/site" "${all[@]}"
check 'a root folder that is missing is named' contains "$log" 'specifies a root directory nowhere that does not exist'
make_site 'status_codes:\n  4xx: /sorry.html\n  503: /down.html'
echo sorry > "$work/site/sorry.html"
stage "$work/site" "${all[@]}"
check 'status_codes are announced' contains "$log" '-----> Enabling custom pages for status_codes'
launch ''
check 'a page stands for all codes of its class' equals "$(status_of /nowhere)/$(answer /nowhere)" 404/sorry
stop

feature staticfile 'FORCE_HTTPS and ENABLE_HTTP2 are read at each start; of a chain of proxies the first value counts'
make_site
stage "$work/site" "${static[@]}"
launch '' FORCE_HTTPS=1
check 'FORCE_HTTPS redirects, whatever its value' equals "$(status_of /)" 301
check 'the first proxy was reached over https: no redirect' equals "$(status_of / -H 'X-Forwarded-Proto: https, http')" 200
check 'the redirect goes to the first host and prefix' contains \
  "$(answer /a/b -i -H 'X-Forwarded-Host: host.example, other' -H 'X-Forwarded-Prefix: /pre/fix1, /pre/fix2')" 'Location: https://host.example/pre/fix1/a/b'
stop
launch ''
check 'the next start without it does not' equals "$(status_of /)" 200
stop
feature staticfile 'enable_http2: HTTP/1.1 and HTTP/2 on one port'
launch '' ENABLE_HTTP2=true
check 'ENABLE_HTTP2 answers HTTP/2' equals "$(protocol_of / --http2-prior-knowledge)" '2 200'
check 'and HTTP/1.1' equals "$(protocol_of /)" '1.1 200'
stop
make_site 'enable_http2: enabled'
stage "$work/site" "${all[@]}"
launch ''
check 'enable_http2 answers HTTP/2' equals "$(protocol_of / --http2-prior-knowledge)" '2 200'
check 'and HTTP/1.1, which a plain route speaks' equals "$(protocol_of /)" '1.1 200'
stop

feature staticfile 'own mime.types and nginx.conf, with ((PORT)), ((APP_ROOT)), {{port}}, {{env "X"}} and <%= ENV["X"] %>'
stage "$fixtures/static-own" "${all[@]}"
check 'a site with an nginx.conf of its own stages, with a warning' contains "$log" 'overriding nginx.conf is deprecated and highly discouraged'
launch '' GREETING=hi
headers=$(answer /a.own -i)
check 'its own types are used' contains "$headers" 'Content-Type: text/x-own'
check 'all forms are filled in' contains "$headers" 'X-Greeting: hihi'
check 'the configuration is not served' equals "$(status_of /nginx.conf)" 404
stop
check 'what it logs to its files is in the log' contains "$log" '"GET /a.own HTTP/1.1" 200'
launch 'exec nginx -p $APP_ROOT/nginx -c $APP_ROOT/nginx/conf/nginx.conf'
check 'a start command of the user finds APP_ROOT and the configuration' equals "$(answer /)" '<h1>own</h1>'
stop

feature staticfile 'files that are there only compressed are served to everyone'
make_site ''
gzip -n < "$fixtures/static/site/index.html" > "$work/site/only.txt.gz"
: > "$work/site/Staticfile"
stage "$work/site" "${all[@]}"
launch ''
check 'unpacked for a client that does not accept gzip' equals "$(answer /only.txt)" '<h1>fixture</h1>'
check 'as it is for one that does' contains "$(answer /only.txt -D - -o /dev/null -H 'Accept-Encoding: gzip')" 'Content-Encoding: gzip'
stop
