# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
all=(--buildpack staticfile=staticfile_buildpack --buildpack ruby=ruby_buildpack --buildpack nodejs=nodejs_buildpack
  --buildpack python=python_buildpack --buildpack binary=binary_buildpack)

stage "$fixtures/static" "${all[@]}"
check 'a static site is detected and staged' equals "$code" 0
check 'its log names the buildpack' contains "$log" '-----> Staticfile Buildpack version'
check 'result.json has the web process' equals "$(result_of .process_types.web)" '$HOME/boot.sh'
check 'result.json describes the buildpack' equals \
  "$(result_of '.lifecycle_metadata | [.buildpack_key, .detected_buildpack, .buildpacks[0].name] | join(" ")')" 'staticfile staticfile staticfile'
check 'the droplet holds exactly the paths of a layer' equals "$(tar -tf "$work/droplet.tar" | cut -d/ -f1-3 | sort -u | tr '\n' ' ')" \
  'home/vcap/app home/vcap/deps home/vcap/logs home/vcap/profile.d home/vcap/staging_info.yml home/vcap/tmp '
check 'the droplet belongs to vcap' equals "$(tar --numeric-owner -tvf "$work/droplet.tar" | awk '{print $2}' | sort -u)" 2000/2000
launch ''
check 'the site answers on PORT' equals "$(answer /)" '<h1>fixture</h1>'
check 'UTF-8 names survive' equals "$(answer /%CE%A9.txt)" Omega
check 'pushstate serves the index for unknown paths' equals "$(answer /deep/link)" '<h1>fixture</h1>'
check 'a folder without a slash redirects to the name the visitor used' contains \
  "$(answer /sub -i -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: site.example')" 'Location: https://site.example/sub/'
check 'dot files are not served' equals "$(answer /.hidden -o /dev/null -w '%{http_code}')" 404
stop
check 'it stops at SIGTERM' equals "$code" 0
check 'its access log is on standard output' contains "$log" '"GET /deep/link HTTP/1.1" 200'
check 'the launcher announces its steps' contains "$log" $'Invoking pre-start scripts.\nInvoking start command.'

stage "$fixtures/staticfile-options" "${all[@]}"
check 'a site with all options stages' equals "$code" 0
launch ''
https=(-H 'X-Forwarded-Proto: https')
visit=("${https[@]}" -u alice:secret)
check 'force_https redirects' contains "$(answer /a?b=c -i -H 'Host: site.example')" 'Location: https://site.example/a?b=c'
check 'Staticfile.auth asks for a password' equals "$(answer / -o /dev/null -w '%{http_code}' "${https[@]}")" 401
check 'directory lists the files' contains "$(answer / "${visit[@]}")" file.txt
check 'ssi is on' equals "$(answer /page.html "${visit[@]}")" GET
check 'host_dot_files serves dot files' equals "$(answer /.well-known "${visit[@]}")" dots
headers=$(answer /file.txt -i "${visit[@]}")
check 'HSTS covers subdomains' contains "$headers" 'Strict-Transport-Security: max-age=31536000; includeSubDomains'
check 'location_include is read' contains "$headers" 'X-Included: yes'
stop
