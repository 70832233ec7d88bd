//! Which token services may see the credentials for a registry.

/// Whether a token service may see the credentials for a registry: the same host, one above or
/// below it, or one beside it under a domain that is not a public suffix of two short labels
/// (`co.uk`).
pub(super) fn belongs_to(realm: &str, registry: &str) -> bool {
    let below = |host: &str, above: &str| {
        host.strip_suffix(above)
            .is_some_and(|rest| rest.ends_with('.'))
            && above.contains('.')
    };
    if realm == registry || below(realm, registry) || below(registry, realm) {
        return true;
    }
    if registry.ends_with("docker.io") && realm == "auth.docker.io" {
        return true;
    }
    let parent = |host: &str| host.split_once('.').map(|(_, parent)| parent.to_owned());
    match (parent(realm), parent(registry)) {
        (Some(one), Some(other)) if one == other => match one.rsplit_once('.') {
            Some((before, last)) => before.contains('.') || last.len() > 2,
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_only_to_the_registrys_own_token_service() {
        for (realm, registry) in [
            ("ghcr.io", "ghcr.io"),
            ("auth.docker.io", "registry-1.docker.io"),
            ("gitlab.example.com", "registry.example.com"),
            ("example.com", "registry.example.com"),
            ("auth.registry.example.co.uk", "registry.example.co.uk"),
            ("gitlab.example.co.uk", "registry.example.co.uk"),
        ] {
            assert!(belongs_to(realm, registry), "{realm} {registry}");
        }
        for (realm, registry) in [
            ("evil.com", "registry.example.com"),
            ("evil.co.uk", "registry.co.uk"),
            ("evilexample.com", "example.com"),
            ("com", "example.com"),
            ("localhost", "registry.localhost"),
        ] {
            assert!(!belongs_to(realm, registry), "{realm} {registry}");
        }
    }
}
