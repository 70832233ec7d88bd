//! The volume of authorities on the engine in memory.

use std::sync::Arc;

use super::*;
use crate::base::SystemClock;
use crate::docker::{Behaviour, FakeEngine, Verb};

fn authority(pem: &str) -> Authority {
    Authority {
        name: format!("{pem}.crt"),
        pem: pem.as_bytes().to_vec(),
    }
}

fn engine() -> FakeEngine {
    let engine = FakeEngine::new(Arc::new(SystemClock));
    engine.add_image("stack");
    engine.script("update-ca-certificates", Behaviour::runs().exits(0));
    engine
}

async fn volumes(engine: &FakeEngine) -> Vec<String> {
    engine.volume_names("").await.expect("listed")
}

#[tokio::test]
async fn a_machine_without_own_authorities_needs_no_volume() {
    let (trust, engine) = (Trust::new("here", Vec::new()), engine());
    trust.ensure(&engine, "stack").await.expect("nothing to do");
    assert_eq!((trust.mount(), trust.variable()), (None, None));
    assert!(trust.is_complete(&engine).await.expect("asked"));
    assert!(volumes(&engine).await.is_empty());
}

#[tokio::test]
async fn the_volume_is_filled_once_by_a_container_that_goes_again() {
    let (trust, engine) = (Trust::new("here", vec![authority("a")]), engine());
    assert!(!trust.is_complete(&engine).await.expect("asked"));
    let (one, other) = tokio::join!(
        trust.ensure(&engine, "stack"),
        trust.ensure(&engine, "stack")
    );
    one.and(other).expect("filled");
    assert!(trust.is_complete(&engine).await.expect("asked"));
    let mount = trust.mount().expect("a volume");
    assert_eq!(
        (mount.folder.as_str(), mount.access),
        ("/etc/ssl/certs", Access::ReadOnly)
    );
    assert_eq!(volumes(&engine).await, [mount.volume]);
    assert!(engine.container_names().is_empty(), "no helper is left");
    engine.fail(Verb::Create, DockerError::Failed("filled twice".to_owned()));
    trust.ensure(&engine, "stack").await.expect("complete");
}

#[tokio::test]
async fn the_helper_has_the_certificates_and_no_network() {
    let (trust, engine) = (
        Trust::new("here", vec![authority("a"), authority("b")]),
        engine(),
    );
    engine.stall(Verb::Wait);
    let (filling, seen) = (trust.clone(), engine.clone());
    let work = tokio::time::timeout(Duration::from_millis(200), async move {
        filling.ensure(&seen, "stack").await
    });
    work.await.expect_err("it waits for the helper");
    let name = engine.container_names().pop().expect("a helper");
    let spec = engine.spec(&name).expect("created");
    assert_eq!(spec.network.as_deref(), Some("none"));
    for (number, content) in ["a", "b"].into_iter().enumerate() {
        let path = format!("/usr/local/share/ca-certificates/machine-{number}.crt");
        let file = engine.file(&name, &path).expect("uploaded");
        assert_eq!(file.content, content);
    }
    // As after a kill: the next process replaces what is left.
    engine.heal();
    trust.ensure(&engine, "stack").await.expect("filled");
    assert!(engine.container_names().is_empty());
}

#[tokio::test]
async fn a_pruned_volume_is_filled_again() {
    let (trust, engine) = (Trust::new("here", vec![authority("a")]), engine());
    trust.ensure(&engine, "stack").await.expect("filled");
    let volume = trust.mount().expect("a volume").volume;
    engine.remove_volume(&volume).await.expect("pruned");
    assert!(!trust.is_complete(&engine).await.expect("asked"));
    // As the daemon creates it for a container: without labels.
    let unlabelled = Labels::new();
    engine
        .ensure_volume(&volume, &unlabelled)
        .await
        .expect("created");
    trust.ensure(&engine, "stack").await.expect("filled");
    let found = engine.volume(&volume).await.expect("asked").expect("there");
    assert!(!found.labels.is_empty(), "it is ours again");
}

#[tokio::test]
async fn a_failure_says_what_the_container_said_and_is_tried_again() {
    let (trust, engine) = (Trust::new("here", vec![authority("a")]), engine());
    let fault = Behaviour::runs().complains("bash: update-ca-certificates:\ncommand not found\n");
    engine.script("update-ca-certificates", fault.exits(127));
    let error = trust
        .ensure(&engine, "stack")
        .await
        .expect_err("no such command");
    assert_eq!(
        error.to_string(),
        "docker: the certificate authorities of this machine cannot be added to containers: exit status 127: \
         bash: update-ca-certificates: command not found"
    );
    assert!(engine.container_names().is_empty());
    engine.script("update-ca-certificates", Behaviour::runs().exits(0));
    trust.ensure(&engine, "stack").await.expect("filled");
}

#[tokio::test]
async fn other_authorities_get_a_volume_of_their_own() {
    let engine = engine();
    let old = Trust::new("here", vec![authority("a")]);
    let new = Trust::new("here", vec![authority("a"), authority("b")]);
    let foreign = Trust::new("there", vec![authority("a")]);
    for trust in [&old, &new, &foreign] {
        trust.ensure(&engine, "stack").await.expect("filled");
    }
    let user = ContainerSpec {
        name: "app".to_owned(),
        image: "stack".to_owned(),
        volumes: old.mount().into_iter().collect(),
        ..ContainerSpec::default()
    };
    engine.create(&user).await.expect("created");
    new.remove_unused(&engine, "here").await.expect("looked");
    assert_eq!(
        volumes(&engine).await.len(),
        3,
        "a container has the old one"
    );
    engine.remove("app").await.expect("removed");
    new.remove_unused(&engine, "here").await.expect("looked");
    let named = |trust: &Trust| trust.mount().expect("a volume").volume;
    assert_eq!(volumes(&engine).await, [named(&new), named(&foreign)]);
    remove_volumes(&engine, "there").await.expect("removed");
    assert_eq!(volumes(&engine).await, [named(&new)]);
}
