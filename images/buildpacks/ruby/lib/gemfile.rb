# Reads a Gemfile with Bundler, which knows all that one can hold. usage: ruby gemfile.rb GEMFILE RUBY_VERSION
# Prints `ruby REQUIREMENTS` when it names a version that RUBY_VERSION is not, `engine NAME` for another engine than ruby, `invalid TEXT`.
require 'bundler'

class Reader < Bundler::Dsl
  attr_reader :wanted, :engine

  def ruby(*versions)
    options = versions.last.is_a?(Hash) ? versions.pop : {}
    @engine = options[:engine]&.to_s
    versions = [from_file(options[:file])] if options[:file]
    @wanted = versions.flatten.compact.map { |version| version.delete_suffix('.x') }
  end

  # .ruby-version has a version, .tool-versions a line `ruby VERSION`.
  def from_file(name)
    text = Bundler.read_file(Pathname(@gemfile).dirname.join(name))
    (text[/^ruby\s+([^\s#]+)/, 1] || text.strip).delete_prefix('ruby-').sub(/-?p\d+\z/, '')
  end

  def gem(*) = nil
  def gemspec(*) = nil
end

begin
  reader = Reader.new
  reader.eval_gemfile(ARGV[0])
  have = Gem::Version.new(ARGV[1])
  if reader.engine && reader.engine != 'ruby'
    puts "engine #{reader.engine}"
  elsif reader.wanted&.any? && !Gem::Requirement.new(reader.wanted).satisfied_by?(have)
    puts "ruby #{reader.wanted.join(', ')}"
  end
rescue StandardError, SyntaxError => error
  puts "invalid #{error.message.lines.map(&:strip).reject(&:empty?).first}"
end
