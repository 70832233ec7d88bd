# Says which instance answered, as plain text.
application = Proc.new do |_env|
  body = "Hello from Rack on cflite, instance #{ENV.fetch('CF_INSTANCE_INDEX', '0')}, Ruby #{RUBY_VERSION}\n"
  [200, { 'Content-Type' => 'text/plain' }, [body]]
end

run application
