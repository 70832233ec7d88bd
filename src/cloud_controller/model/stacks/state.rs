//! Whether a stack may be used for staging.

use super::Stack;

/// What the stack is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StackUse {
    /// The first staging of an app.
    NewApp,
    /// A later staging.
    Restaging,
}

/// `Ok` with an optional warning, `Err` with the refusal.
pub(crate) fn verdict(stack: &Stack, usage: StackUse) -> Result<Option<String>, String> {
    let reason = stack.state_reason.as_deref().unwrap_or_default();
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" {reason}")
    };
    let (name, state) = (&stack.name, &stack.state);
    match (state.as_str(), usage) {
        ("DISABLED", _) | ("RESTRICTED", StackUse::NewApp) => Err(format!(
            "ERROR: Staging failed. The stack '{name}' is '{state}' and cannot be used for staging.{reason}"
        )),
        ("DEPRECATED" | "RESTRICTED", _) => Ok(Some(format!(
            "WARNING: The stack '{name}' is '{state}' and will be removed in the future.{reason}"
        ))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn states_decide_who_may_be_staged() {
        let stack = |state: &str, reason: Option<&str>| Stack {
            guid: "s".into(),
            name: "old".to_owned(),
            description: None,
            state: state.to_owned(),
            state_reason: reason.map(str::to_owned),
            is_default: false,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        let warning = |state: &str| {
            Ok(Some(format!(
                "WARNING: The stack 'old' is '{state}' and will be removed in the future. Use new."
            )))
        };
        let refusal = |state: &str| {
            Err(format!(
                "ERROR: Staging failed. The stack 'old' is '{state}' and cannot be used for staging. Use new."
            ))
        };
        let cases = [
            ("ACTIVE", Ok(None), Ok(None)),
            ("DEPRECATED", warning("DEPRECATED"), warning("DEPRECATED")),
            ("RESTRICTED", refusal("RESTRICTED"), warning("RESTRICTED")),
            ("DISABLED", refusal("DISABLED"), refusal("DISABLED")),
        ];
        for (state, new, again) in cases {
            let stack = stack(state, Some("Use new."));
            assert_eq!(verdict(&stack, StackUse::NewApp), new, "{state}");
            assert_eq!(verdict(&stack, StackUse::Restaging), again, "{state}");
        }
        let plain = verdict(&stack("DISABLED", None), StackUse::NewApp);
        assert!(plain.is_err_and(|text| text.ends_with("for staging.")));
    }
}
