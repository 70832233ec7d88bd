# shellcheck shell=bash
# Which Ruby the app asks for. Uses gemfile, BUILD of supply.
# shellcheck disable=SC2154

# The stack has one Ruby, and no registry has others: another one that is asked for is refused.
check_ruby() {
  local have kind='' text='' asked='' where
  have=$(ruby --disable=gems -e 'print RUBY_VERSION')
  if [[ -f $gemfile ]]; then
    where=$(line_of "$gemfile" '^[[:space:]]*ruby[[:space:](]')
    [[ $where != *:* ]] || read -r kind text < <(BUNDLE_GEMFILE=$gemfile ruby "$BUILDPACK_DIR/lib/gemfile.rb" "$gemfile" "$have" 2> /dev/null) || true
    case $kind in
      ruby) fail "$where asks for Ruby $text: no match found; there is $have" ;;
      engine) fail "$where asks for the engine $text; there is Ruby $have only" ;;
      invalid) fail "${gemfile#"$BUILD"/} cannot be read: $text" ;;
    esac
    asked=$(sed -n '/^RUBY VERSION$/{n;s/^ *ruby \([0-9.]*[0-9]\).*/\1/p;}' "$gemfile.lock" 2> /dev/null) || true
    # The lock's version is that of the machine where it was made; the Gemfile decides.
    [[ -z $asked || $asked == "$have" ]] || { warn "${gemfile#"$BUILD"/}.lock was made with Ruby $asked: the app will run on $have"; forget_section 'RUBY VERSION'; }
    [[ $where == *:* ]] || warn "You have not declared a Ruby version in your Gemfile: the default is $have"
    if [[ -f $BUILD/.ruby-version && $where != *:* ]]; then
      text=$(tr -d '[:space:]' < "$BUILD/.ruby-version") text=${text#ruby-}
      [[ $text == "$have" || $have == "$text".* || -z $text ]] || warn ".ruby-version has $text, which only counts when the Gemfile names the file: the app will run on Ruby $have"
    fi
  fi
  note "Installing ruby $have"
}

# Takes a section out of the lock file. usage: forget_section TITLE
forget_section() { sed -i "/^$1\$/,/^\$/d" "$gemfile.lock"; }
