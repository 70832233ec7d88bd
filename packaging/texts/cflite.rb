# A formula for Homebrew on Linux. On macOS cflite needs a Docker daemon that it can reach by address,
# and there is no build for it yet.
class Cflite < Formula
  desc "Cloud Foundry in one binary, on a Docker daemon"
  homepage "@URL@"
  url "@URL@/@TARBALL@"
  sha256 "@SHA256_TARBALL@"
  license "Apache-2.0"

  depends_on arch: :x86_64
  depends_on :linux

  def install
    bin.install "cflite"
    man1.install Dir["man/*.1"]
    man5.install Dir["man/*.5"]
    man7.install Dir["man/*.7"]
    bash_completion.install "completions/cflite"
    zsh_completion.install "completions/_cflite"
    fish_completion.install "completions/cflite.fish"
  end

  service do
    run [opt_bin/"cflite", "up", "--foreground", "--http-port", "8080", "--https-port", "8443"]
    keep_alive true
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/cflite --version")
  end
end
