//! What an app is: pure types and rules, no SQL, no JSON.

use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, SpaceGuid};
use crate::registry::upstream::ImageReference;
use crate::staging::HostCredentials;

/// Environment variables as users set them; values other than text are stored unchanged.
pub(crate) type Variables = Map<String, Value>;

/// A stored app, without its environment.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub guid: AppGuid,
    pub name: String,
    pub space_guid: SpaceGuid,
    pub state: AppState,
    pub lifecycle: Lifecycle,
    pub current_droplet_guid: Option<DropletGuid>,
    pub features: Features,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The state that users requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppState {
    /// No instances.
    Stopped,
    /// Its processes run their instances.
    Started,
}

impl AppState {
    /// As shown and stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Started => "STARTED",
        }
    }
}

/// How an app's package becomes a droplet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifecycleType {
    /// Classic buildpacks.
    Buildpack,
    /// An image as it is.
    Docker,
    /// Cloud Native Buildpacks.
    Cnb,
}

impl LifecycleType {
    /// All, in the order CC lists them.
    pub(crate) const ALL: [Self; 3] = [Self::Buildpack, Self::Docker, Self::Cnb];

    /// As shown and stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Buildpack => "buildpack",
            Self::Docker => "docker",
            Self::Cnb => "cnb",
        }
    }

    /// Parses the name that clients send.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The feature flag that must be enabled, if any.
    pub(crate) const fn feature_flag(self) -> Option<&'static str> {
        match self {
            Self::Buildpack => None,
            Self::Docker => Some("diego_docker"),
            Self::Cnb => Some("diego_cnb"),
        }
    }
}

/// An app's lifecycle with its data; Docker apps have neither buildpacks nor a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    pub kind: LifecycleType,
    pub buildpacks: Vec<String>,
    pub stack: Option<String>,
    /// Whether there are credentials for the next build.
    pub has_credentials: bool,
}

/// A requested change of the lifecycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LifecycleChange {
    pub kind: Option<LifecycleType>,
    /// `Some(vec![])` goes back to detection.
    pub buildpacks: Option<Vec<String>>,
    /// `Some(None)` = null in the request.
    pub stack: Option<Option<String>>,
    /// Of the hosts of Cloud Native Buildpacks; `Some(None)` = null in the request.
    pub credentials: Option<Option<HostCredentials>>,
}

/// A feature of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    Ssh,
    Revisions,
    ServiceBindingK8s,
    FileBasedVcapServices,
}

impl Feature {
    /// All, in the order CC lists them.
    pub(crate) const ALL: [Self; 4] = [
        Self::Ssh,
        Self::Revisions,
        Self::ServiceBindingK8s,
        Self::FileBasedVcapServices,
    ];

    /// Name in paths and bodies.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Revisions => "revisions",
            Self::ServiceBindingK8s => "service-binding-k8s",
            Self::FileBasedVcapServices => "file-based-vcap-services",
        }
    }

    /// Its description, in CC's words.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Ssh => "Enable SSHing into the app.",
            Self::Revisions => "Enable versioning of an application",
            Self::ServiceBindingK8s => "Enable k8s service bindings for the app",
            Self::FileBasedVcapServices => "Enable file-based VCAP service bindings for the app",
        }
    }

    /// From a path or a manifest.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }

    /// The feature that cannot be enabled at the same time.
    const fn rival(self) -> Option<Self> {
        match self {
            Self::Ssh | Self::Revisions => None,
            Self::ServiceBindingK8s => Some(Self::FileBasedVcapServices),
            Self::FileBasedVcapServices => Some(Self::ServiceBindingK8s),
        }
    }
}

/// The features of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features([bool; 4]);

impl Features {
    /// In the order of [`Feature::ALL`].
    pub(crate) const fn new(switches: [bool; 4]) -> Self {
        Self(switches)
    }

    /// Whether a feature is enabled.
    pub(crate) const fn on(self, feature: Feature) -> bool {
        self.0[feature as usize]
    }

    /// With one feature set; the text says why it cannot be.
    pub(crate) fn with(mut self, feature: Feature, on: bool) -> Result<Self, &'static str> {
        if on && feature.rival().is_some_and(|rival| self.on(rival)) {
            return Err(
                "'file-based-vcap-services' and 'service-binding-k8s' features cannot be \
                        enabled at the same time.",
            );
        }
        self.0[feature as usize] = on;
        Ok(self)
    }
}

impl Default for Features {
    fn default() -> Self {
        Self([true, true, false, false])
    }
}

/// Whether a buildpack is named by URL instead of by name.
pub(crate) fn is_buildpack_url(text: &str) -> bool {
    let ssh = text.strip_prefix("ssh://").unwrap_or(text);
    let by_ssh = ssh.starts_with("git@") && ssh.contains(':') && ssh.strip_suffix(".git").is_some();
    by_ssh || url::Url::parse(text).is_ok()
}

/// Whether a Cloud Native Buildpack is named by URL: an image or an archive.
pub(crate) fn is_cnb_url(text: &str) -> bool {
    match text.strip_prefix("docker://") {
        Some(image) => ImageReference::parse(image).is_ok(),
        None => {
            (text.starts_with("http://") || text.starts_with("https://"))
                && url::Url::parse(text).is_ok()
        }
    }
}

/// A buildpack as shown to users: without the password in its URL.
pub(crate) fn without_password(buildpack: &str) -> String {
    let Ok(mut url) = url::Url::parse(buildpack) else {
        return buildpack.to_owned();
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !has_user || url.set_username("***").is_err() || url.set_password(Some("***")).is_err() {
        return buildpack.to_owned();
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_service_binding_features_exclude_each_other() {
        let one = Features::default()
            .with(Feature::ServiceBindingK8s, true)
            .expect("first");
        assert!(one.with(Feature::FileBasedVcapServices, true).is_err());
        assert!(one.with(Feature::FileBasedVcapServices, false).is_ok());
        assert!(one.with(Feature::ServiceBindingK8s, true).is_ok());
        let none = one.with(Feature::ServiceBindingK8s, false).expect("off");
        assert!(none.with(Feature::FileBasedVcapServices, true).is_ok());
        assert!(none.on(Feature::Ssh) && none.on(Feature::Revisions));
    }

    #[test]
    fn cloud_native_buildpacks_are_images_or_archives() {
        let cases = [
            ("docker://docker.io/me/buildpack:1", true),
            ("docker://me/Buildpack", false),
            ("docker://", false),
            ("https://host/buildpack.cnb", true),
            ("git@host:me/repo.git", false),
            ("file:///buildpack.tgz", false),
            ("name", false),
        ];
        for (text, by_url) in cases {
            assert_eq!(is_cnb_url(text), by_url, "{text}");
        }
    }

    #[test]
    fn buildpacks_by_url_are_distinguished_from_names_and_shown_without_password() {
        let cases = [
            ("ruby_buildpack", false, "ruby_buildpack"),
            ("https://host/repo.git#v1", true, "https://host/repo.git#v1"),
            (
                "https://me:secret@host/repo",
                true,
                "https://***:***@host/repo",
            ),
            ("https://token@host/repo", true, "https://***:***@host/repo"),
            ("git@host:me/repo.git", true, "git@host:me/repo.git"),
        ];
        for (buildpack, by_url, shown) in cases {
            assert_eq!(is_buildpack_url(buildpack), by_url, "{buildpack}");
            assert_eq!(without_password(buildpack), shown);
        }
    }
}
