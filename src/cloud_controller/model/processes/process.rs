//! What a process is: pure types and rules.

use crate::base::Megabytes;
use crate::base::Timestamp;
use crate::base::guid::{AppGuid, ProcessGuid, RevisionGuid};
use crate::cloud_controller::body::Invalid;

/// Memory of a new process in MB.
pub(crate) const DEFAULT_MEMORY: i64 = 1024;
/// Disk of a new process in MB.
pub(crate) const DEFAULT_DISK: i64 = 1024;
/// Most disk a process may have in MB.
pub(crate) const LARGEST_DISK: i64 = 2048;
/// Most instances of a process: more than one machine can run, and few enough to be listed.
const MOST_INSTANCES: i64 = 10_000;
/// Longest startup time in seconds.
const LONGEST_TIMEOUT: i64 = 180;
/// The only user that a process may run as.
const PERMITTED_USER: &str = "vcap";
/// Open files of an instance.
pub(crate) const FILE_DESCRIPTORS: i64 = 16384;

/// A stored process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub guid: ProcessGuid,
    pub app_guid: AppGuid,
    pub kind: String,
    pub command: Option<String>,
    pub user: Option<String>,
    pub instances: i64,
    pub memory: i64,
    pub disk: i64,
    pub log_rate_limit: i64,
    pub health_check: Check,
    pub readiness_check: Check,
    /// The revision it was started with.
    pub revision_guid: Option<RevisionGuid>,
    pub version: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The type of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckType {
    Port,
    Process,
    Http,
}

impl CheckType {
    /// As shown and stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Process => "process",
            Self::Http => "http",
        }
    }

    /// Parses the name that clients send; `none` is an old name of `process`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Port, Self::Process, Self::Http]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A health check or a readiness check (which has no timeout); times in seconds, `None` = the
/// platform's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub kind: CheckType,
    pub timeout: Option<i64>,
    pub invocation_timeout: Option<i64>,
    pub interval: Option<i64>,
    pub endpoint: Option<String>,
}

impl Check {
    /// A check with default times.
    pub(crate) const fn new(kind: CheckType) -> Self {
        Self {
            kind,
            timeout: None,
            invocation_timeout: None,
            interval: None,
            endpoint: None,
        }
    }

    /// Applies a change; the endpoint is removed when the check no longer uses HTTP.
    pub(crate) fn apply(&mut self, change: &CheckChange) {
        if let Some(kind) = change.kind {
            self.kind = kind;
        }
        let times = [
            (&mut self.timeout, change.timeout),
            (&mut self.invocation_timeout, change.invocation_timeout),
            (&mut self.interval, change.interval),
        ];
        for (time, change) in times {
            if let Some(change) = change {
                *time = change;
            }
        }
        if change.kind.is_some_and(|kind| kind != CheckType::Http) {
            self.endpoint = None;
        } else if let Some(endpoint) = &change.endpoint {
            self.endpoint.clone_from(endpoint);
        }
    }
}

/// A requested change of a check; the inner `None` = null in the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CheckChange {
    pub kind: Option<CheckType>,
    pub timeout: Option<Option<i64>>,
    pub invocation_timeout: Option<Option<i64>>,
    pub interval: Option<Option<i64>>,
    pub endpoint: Option<Option<String>>,
}

/// A validated scaling; `None` keeps a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scaling {
    pub instances: Option<i64>,
    pub memory: Option<i64>,
    pub disk: Option<i64>,
    pub log_rate_limit: Option<i64>,
}

/// Whether this is the path of a URI: `/`, or a slash and no blanks.
pub(crate) fn is_uri_path(text: &str) -> bool {
    text.strip_prefix('/')
        .is_some_and(|rest| !rest.starts_with('/') && !rest.chars().any(char::is_whitespace))
}

/// The fault of the user that a process or task shall run as.
pub(crate) fn user_fault(user: &str) -> Option<String> {
    let permitted = user.is_empty() || user.eq_ignore_ascii_case(PERMITTED_USER);
    (!permitted).then(|| {
        format!(
            "user invalid (requested user '{user}' not allowed, permitted users are: '{PERMITTED_USER}')"
        )
    })
}

impl Process {
    /// Number of instances as the scheduler counts them.
    pub(crate) fn wanted(&self) -> u32 {
        u32::try_from(self.instances).unwrap_or(0)
    }

    /// Validates like CC's model, with its error texts.
    pub(crate) fn check(&self, invalid: &mut Invalid) {
        if self.disk > LARGEST_DISK {
            invalid.add(format!(
                "disk_quota too much disk requested (requested {} MB - must be less than {LARGEST_DISK} MB)",
                self.disk
            ));
        }
        if self.disk < 1 {
            invalid.add("disk_quota too little disk requested (must be greater than zero)");
        }
        if self.memory < 1 {
            invalid.add("memory zero_or_less");
        }
        if self.instances < 0 {
            invalid.add("instances less_than_zero");
        }
        if self.instances > MOST_INSTANCES {
            invalid.add(format!(
                "instances too many (requested {}, this platform runs at most {MOST_INSTANCES} of a process)",
                self.instances
            ));
        }
        if self.log_rate_limit < -1 {
            invalid.add(
                "log_rate_limit log_rate_limit must be greater than or equal to -1 (where -1 is unlimited)",
            );
        }
        self.check_checks(invalid);
        if let Some(fault) = self.user.as_deref().and_then(user_fault) {
            invalid.add(fault);
        }
    }

    fn check_checks(&self, invalid: &mut Invalid) {
        if self
            .health_check
            .timeout
            .is_some_and(|timeout| timeout > LONGEST_TIMEOUT)
        {
            invalid.add(format!(
                "health_check_timeout Maximum exceeded: max {LONGEST_TIMEOUT}s"
            ));
        }
        let checks = [
            ("health_check", &self.health_check),
            ("readiness_health_check", &self.readiness_check),
        ];
        for (name, check) in checks {
            let endpoint = check.endpoint.as_deref().unwrap_or("");
            if check.kind == CheckType::Http && !is_uri_path(endpoint) {
                invalid.add(format!(
                    "{name}_http_endpoint HTTP {} endpoint is not a valid URI path: {endpoint}",
                    name.replace('_', " ")
                ));
            }
        }
    }
}

/// The limits that instances were started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub memory: Megabytes,
    pub disk: Megabytes,
    pub log_rate: i64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn web() -> Process {
        Process {
            guid: "p".into(),
            app_guid: "a".into(),
            kind: "web".to_owned(),
            command: None,
            user: None,
            instances: 1,
            memory: 256,
            disk: 512,
            log_rate_limit: -1,
            health_check: Check::new(CheckType::Port),
            readiness_check: Check::new(CheckType::Process),
            revision_guid: None,
            version: "v".to_owned(),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    fn faults(change: impl Fn(&mut Process)) -> Vec<String> {
        let mut process = web();
        change(&mut process);
        let mut invalid = Invalid::default();
        process.check(&mut invalid);
        invalid.into_texts()
    }

    #[test]
    fn limits_are_refused_in_ccs_words() {
        assert_eq!(faults(|_| {}), Vec::<String>::new());
        assert_eq!(
            faults(|p| p.disk = 2049),
            ["disk_quota too much disk requested (requested 2049 MB - must be less than 2048 MB)"]
        );
        assert_eq!(
            faults(|p| p.instances = 10_001),
            ["instances too many (requested 10001, this platform runs at most 10000 of a process)"]
        );
        assert_eq!(
            faults(|p| p.health_check.timeout = Some(181)),
            ["health_check_timeout Maximum exceeded: max 180s"]
        );
        assert_eq!(
            faults(|p| p.health_check.kind = CheckType::Http),
            ["health_check_http_endpoint HTTP health check endpoint is not a valid URI path: "]
        );
        assert_eq!(
            faults(|p| p.user = Some("root".to_owned())),
            ["user invalid (requested user 'root' not allowed, permitted users are: 'vcap')"]
        );
        assert_eq!(
            faults(|p| p.user = Some("VCAP".to_owned())),
            Vec::<String>::new()
        );
    }

    #[test]
    fn leaving_http_removes_the_endpoint() {
        let mut check = Check::new(CheckType::Port);
        let http = CheckChange {
            kind: Some(CheckType::Http),
            endpoint: Some(Some("/health".to_owned())),
            timeout: Some(Some(10)),
            ..CheckChange::default()
        };
        check.apply(&http);
        assert_eq!(
            (check.kind, check.endpoint.as_deref()),
            (CheckType::Http, Some("/health"))
        );
        check.apply(&CheckChange {
            interval: Some(Some(5)),
            ..CheckChange::default()
        });
        assert_eq!(check.endpoint.as_deref(), Some("/health"));
        check.apply(&CheckChange {
            kind: Some(CheckType::Process),
            ..CheckChange::default()
        });
        assert_eq!(
            (check.endpoint, check.timeout, check.interval),
            (None, Some(10), Some(5))
        );
    }

    #[test]
    fn uri_paths() {
        for path in ["/", "/health", "/a/b?c=d"] {
            assert!(is_uri_path(path), "{path}");
        }
        for path in ["", "health", "//", "/a b", "http://x/"] {
            assert!(!is_uri_path(path), "{path}");
        }
    }
}
