//! Texts that may repeat what a command got.

use super::store::{Binding, Instance};

/// What must not be in a text.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of an instance, and of a binding if it is about one.
    pub(super) fn of(instance: &Instance, binding: Option<&Binding>) -> Self {
        let own = instance.secrets.expose().values().cloned();
        let bound = binding.map(|binding| binding.password.expose().clone());
        Self(
            own.chain(bound)
                .filter(|secret| !secret.is_empty())
                .collect(),
        )
    }

    /// The text without them.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.0.iter();
        secrets.fold(text.to_owned(), |text, secret| {
            text.replace(secret, "[redacted]")
        })
    }
}
