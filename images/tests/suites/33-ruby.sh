# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
ruby=(--buildpack ruby=ruby_buildpack)

# The line that tells why staging failed. usage: cause
cause() { grep -F '**ERROR**' <<< "$log" | tail -n 1; }

feature ruby 'gems in vendor/cache are installed without a network'
stage "$fixtures/ruby" "${ruby[@]}"
check 'a Ruby app with vendored gems stages without a network' equals "$code" 0
launch ''
check 'its gem is found' equals "$(answer /)" 'from a vendored gem production'
stop
feature ruby 'apps start without bundle exec; commands of gems are found'
launch 'ruby server.rb'
check 'without bundle exec, too' equals "$(answer /)" 'from a vendored gem production'
stop
launch 'greeting; bundle exec greeting; bundle exec ruby -e "puts Gem.loaded_specs.keys.sort.first"; cd / && greeting'
finish
check 'its command is found, with and without bundle exec, in any folder' contains "$log" $'command from a vendored gem\ncommand from a vendored gem\nbundler\ncommand from a vendored gem'

feature ruby 'without a gem server the gems of the stack are used when they suffice'
stage "$fixtures/ruby-newer-lock" "${ruby[@]}"
check "without a gem server the stack's gems are used, with a warning" contains "$log" "using the stack's versions instead of Gemfile.lock's: rack"
check 'the start command is that of a rack app' equals "$(result_of .process_types.web)" 'bundle exec rackup config.ru -p $PORT -o 0.0.0.0'
launch ''
check 'and the app answers with them' equals "$(answer /)" newer
stop

feature ruby 'lock files made on Windows, on other platforms, by other Rubies and bundlers are taken, with a warning'
# usage: with_lock PLATFORM [MORE]; makes the vendored app with a lock file of another machine
with_lock() {
  rm -rf "$work/ruby-lock" && cp -r "$fixtures/ruby" "$work/ruby-lock"
  sed -i "/^PLATFORMS/{n;s/.*/  $1/}" "$work/ruby-lock/Gemfile.lock"
  # The gem of the group test is not vendored: the versions could not be resolved again.
  sed -i '/group :test/,$d' "$work/ruby-lock/Gemfile"
  sed -i '/never-there/d' "$work/ruby-lock/Gemfile.lock"
  [[ -z ${2:-} ]] || printf '%b' "$2" >> "$work/ruby-lock/Gemfile.lock"
  stage "$work/ruby-lock" "${ruby[@]}"
}
with_lock x64-mingw-ucrt
check 'a lock made on Windows is set aside' contains "$log" 'Removing `Gemfile.lock` because it was generated on Windows'
check 'and the vendored gems suffice' equals "$code" 0
launch ''
check 'to run the app' equals "$(answer /)" 'from a vendored gem production'
stop
with_lock arm64-darwin-23
check 'a lock made on another platform gets this one' contains "$log" 'Gemfile.lock was made for arm64-darwin-23 only'
check 'and stages' equals "$code" 0
with_lock ruby '\nCHECKSUMS\n  greeting (1.0) sha256=00\n\nRUBY VERSION\n   ruby 3.1.4p223\n'
check 'a lock of another patch version of Ruby is a warning' contains "$log" 'Gemfile.lock was made with Ruby 3.1.4: the app will run on 3.1.'
check 'and the digests of newer bundlers are no hindrance' equals "$code" 0
printf "source 'https://rubygems.org'\n\ngem 'greeting', '>= 1.0'\n" > "$work/ruby-lock/Gemfile"
stage "$work/ruby-lock" "${ruby[@]}"
check 'a lock out of step with the Gemfile is a warning' contains "$log" 'Gemfile.lock is out of step with Gemfile'
check 'and is resolved again' equals "$code" 0

feature ruby 'a Ruby or an engine that cannot be had is refused'
# usage: ask_for LINE [RUBY_VERSION_FILE]
ask_for() {
  rm -rf "$work/ruby-version" && cp -r "$fixtures/ruby" "$work/ruby-version"
  sed -i "1a $1" "$work/ruby-version/Gemfile"
  [[ -z ${2:-} ]] || echo "$2" > "$work/ruby-version/.ruby-version"
  stage "$work/ruby-version" "${ruby[@]}"
}
ask_for "ruby '3.3.5'"
check 'an exact version that is not in the stack' contains "$(cause)" 'Gemfile:2 asks for Ruby 3.3.5: no match found; there is 3.1.'
check 'fails the staging' equals "$code" 223
ask_for "ruby '~> 3.1'"
check 'a range that the stack fits stages' equals "$code" 0
ask_for "ruby file: '.ruby-version'" ruby-3.2.2
check '.ruby-version counts when the Gemfile names it' contains "$(cause)" 'Gemfile:2 asks for Ruby 3.2.2: no match found'
ask_for "ruby '3.1.7', engine: 'jruby', engine_version: '9.4.14.0'"
check 'another engine' contains "$(cause)" 'Gemfile:2 asks for the engine jruby; there is Ruby 3.1.'
ask_for "ruby ("
check 'a broken Gemfile is named' contains "$(cause)" 'Gemfile cannot be read: '

feature ruby 'what cannot be installed is named in one line, with the cause'
rm -rf "$work/ruby-lock" && cp -r "$fixtures/ruby-newer-lock" "$work/ruby-lock"
sed -i "s/gem 'rack', '>= 2'/gem 'rack', '2.999.0'/" "$work/ruby-lock/Gemfile"
sed -i 's/rack (>= 2)/rack (= 2.999.0)/' "$work/ruby-lock/Gemfile.lock"
stage "$work/ruby-lock" "${ruby[@]}"
check 'without a network, that is the cause' contains "$(cause)" 'Failed to install gems via bundler: the gem server'
rm "$work/ruby-lock/Gemfile.lock"
stage "$work/ruby-lock" "${ruby[@]}"
check 'a Gemfile needs a lock' contains "$(cause)" 'Gemfile.lock required'

feature ruby 'gems are fetched from a gem server, and kept for the next staging'
feature ruby 'gems with C code compile'
feature ruby 'BUNDLE_GEMFILE names another Gemfile'
stage --env BUNDLE_GEMFILE=Gemfile-app "$fixtures/ruby-server" "${ruby[@]}"
check 'an app with gems of a server stages' contains "$log" 'Installing native 1.0 with native extensions'
check 'with the Gemfile that BUNDLE_GEMFILE names' equals "$code" 0
launch 'ruby app.rb; bundle exec ruby app.rb' BUNDLE_GEMFILE=Gemfile-app
finish
check 'its gems are found' contains "$log" $'native 42 rake\nnative 42 rake'
check 'no path of staging is kept' equals "$(rm -rf "$work/droplet" && mkdir "$work/droplet" && tar -C "$work/droplet" -xf "$work/droplet.tar" && grep -rIlE '/tmp/(contents|app)($|[^A-Za-z0-9_.-])' "$work/droplet")" ''
cp "$work/output-cache.tar" "$work/ruby-cache.tar"
stage --env BUNDLE_GEMFILE=Gemfile-app --env NO_SERVER=1 --cache "$work/ruby-cache.tar" "$fixtures/ruby-server" "${ruby[@]}"
check 'the next staging needs no gem server' equals "$code" 0
check 'and compiles nothing' lacks "$log" 'Installing native'

feature ruby 'assets are precompiled, SECRET_KEY_BASE is generated and kept, RAILS_ENV and RACK_ENV are production'
stage "$fixtures/ruby-rails" "${ruby[@]}"
check 'assets are precompiled' contains "$log" 'assets for production with a key: true, database sqlite3'
check 'and cleaned' contains "$log" 'assets are clean'
check 'the start command is that of Rails' equals "$(result_of .process_types.web)" 'bin/rails server -b 0.0.0.0 -p $PORT -e $RAILS_ENV'
launch 'echo "key ${#SECRET_KEY_BASE} $SECRET_KEY_BASE $RAILS_ENV $RACK_ENV $RAILS_SERVE_STATIC_FILES $RAILS_LOG_TO_STDOUT"'
finish
check 'the app has a key and its environment' contains "$log" 'production production enabled enabled'
key=$(sed -n 's/^key 128 //p' <<< "$log")
cp "$work/output-cache.tar" "$work/ruby-cache.tar"
stage --cache "$work/ruby-cache.tar" "$fixtures/ruby-rails" "${ruby[@]}"
launch 'echo "key ${#SECRET_KEY_BASE} $SECRET_KEY_BASE $RAILS_ENV $RACK_ENV $RAILS_SERVE_STATIC_FILES $RAILS_LOG_TO_STDOUT"'
finish
check 'which stays the same after the next staging' contains "$log" "key 128 ${key:-none}"
rm -rf "$work/ruby-assets" && cp -r "$fixtures/ruby-rails" "$work/ruby-assets"
mkdir -p "$work/ruby-assets/public/assets" && touch "$work/ruby-assets/public/assets/manifest-1.json"
stage "$work/ruby-assets" "${ruby[@]}"
check 'assets that were compiled before are left alone' contains "$log" 'Detected assets manifest file, assuming assets were compiled locally'

feature ruby 'as an earlier buildpack it supplies Ruby, also without a Gemfile'
rm -rf "$work/ruby-supply" && mkdir -p "$work/ruby-supply"
echo 'web: ruby app.rb' > "$work/ruby-supply/Procfile"
echo 'puts "ruby #{RUBY_VERSION} #{ENV["RACK_ENV"]}"' > "$work/ruby-supply/app.rb"
stage "$work/ruby-supply" --skip-detect "${ruby[@]}" --buildpack binary=binary_buildpack
check 'an app without a Gemfile stages' equals "$code" 0
launch ''
finish
check 'and finds Ruby and its environment' contains "$log" 'ruby 3.1.2 production'
