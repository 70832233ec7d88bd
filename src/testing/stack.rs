//! A stack in memory: base image, registry pulls, and a builder that creates a droplet of any app.

use crate::docker::{Behaviour, FakeEngine};

/// The builder's result for every app: one `web` process.
const RESULT: &str = r#"{"process_types":{"web":"$HOME/boot.sh"},"processes":[
    {"type":"web","command":"$HOME/boot.sh"}],"sidecars":[],"execution_metadata":"",
    "lifecycle_metadata":{"buildpack_key":"staticfile","detected_buildpack":"staticfile",
    "buildpacks":[{"key":"staticfile","name":"staticfile","version":"1.0.0"}]}}"#;

/// Makes apps stageable and startable.
pub(super) fn prepare(engine: &FakeEngine) {
    engine.offer("debian:bookworm-slim");
    // The registry of this platform, whose port the kernel chose.
    engine.offer_all("127.0.0.1:");
    let builder = Behaviour::runs()
        .prints("-----> Staticfile Buildpack\n")
        .writes("/tmp/result.json", RESULT)
        .writes("/tmp/droplet.tar", EMPTY_TAR.to_vec())
        .writes("/tmp/output-cache.tar", "cache")
        .exits(0);
    engine.script("--buildpack", builder);
    let task = Behaviour::runs().prints("hello\n").exits(0);
    engine.script("launcher app echo hello", task);
}

/// A tar without entries.
const EMPTY_TAR: [u8; 1024] = [0; 1024];
