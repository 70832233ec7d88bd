//! The last operation of a service instance or a binding: columns of its row, whose names are the
//! same in all three tables.

use rusqlite::{Row, params};
use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::cloud_controller::error::Result;
use crate::db::WriteTx;

/// The tables with the columns of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operated {
    Instance,
    CredentialBinding,
    RouteBinding,
}

impl Operated {
    fn table(self) -> &'static str {
        match self {
            Self::Instance => "service_instances",
            Self::CredentialBinding => "service_credential_bindings",
            Self::RouteBinding => "service_route_bindings",
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationType {
    Create,
    Update,
    Delete,
}

impl OperationType {
    /// The text in SQL and JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationState {
    /// The broker has not answered yet.
    Initial,
    InProgress,
    Succeeded,
    Failed,
}

impl OperationState {
    /// The text in SQL and JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::InProgress => "in progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// A stored operation.
#[derive(Debug, Clone)]
pub(crate) struct LastOperation {
    pub kind: OperationType,
    pub state: OperationState,
    pub description: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl LastOperation {
    /// One without a description.
    pub(crate) fn new(kind: OperationType, state: OperationState, now: Timestamp) -> Self {
        Self {
            kind,
            state,
            description: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The same with a description.
    #[must_use]
    pub(crate) fn told(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// What follows `before`: an operation that goes on began when it began.
    #[must_use]
    pub(crate) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.kind == self.kind && before.is_open()) {
            self.created_at = before.created_at;
        }
        self
    }

    /// Whether it goes on.
    pub(crate) fn is_open(&self) -> bool {
        matches!(
            self.state,
            OperationState::Initial | OperationState::InProgress
        )
    }

    /// Whether it is this.
    pub(crate) fn is(&self, kind: OperationType, state: OperationState) -> bool {
        self.kind == kind && self.state == state
    }

    /// Reads type, state, description and times from column `first` on; `None` = there was none.
    pub(crate) fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Self>> {
        let kind: Option<String> = row.get(first)?;
        let state: Option<String> = row.get(first + 1)?;
        let (Some(kind), Some(state)) = (kind, state) else {
            return Ok(None);
        };
        Ok(Some(Self {
            kind: match kind.as_str() {
                "create" => OperationType::Create,
                "update" => OperationType::Update,
                _ => OperationType::Delete,
            },
            state: match state.as_str() {
                "initial" => OperationState::Initial,
                "in progress" => OperationState::InProgress,
                "succeeded" => OperationState::Succeeded,
                _ => OperationState::Failed,
            },
            description: row.get(first + 2)?,
            created_at: row.get(first + 3)?,
            updated_at: row.get(first + 4)?,
        }))
    }

    /// `last_operation`.
    pub(crate) fn present(last: Option<&Self>) -> Value {
        match last {
            None => json!({}),
            Some(last) => json!({
                "type": last.kind.as_str(),
                "state": last.state.as_str(),
                "description": last.description,
                "created_at": last.created_at,
                "updated_at": last.updated_at,
            }),
        }
    }
}

/// Stores the last operation of a row.
pub(crate) fn save(
    tx: &WriteTx<'_>,
    of: Operated,
    guid: &str,
    operation: &LastOperation,
) -> Result<()> {
    let sql = format!(
        "update {} set operation_type = ?2, operation_state = ?3, operation_description = ?4, \
         operation_created_at = ?5, operation_updated_at = ?6 where guid = ?1",
        of.table()
    );
    tx.sql().prepare_cached(&sql)?.execute(params![
        guid,
        operation.kind.as_str(),
        operation.state.as_str(),
        operation.description,
        operation.created_at,
        operation.updated_at,
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_goes_on_keeps_its_beginning() {
        let at = Timestamp::from_micros;
        let began = LastOperation::new(OperationType::Create, OperationState::Initial, at(1));
        let polled = LastOperation::new(OperationType::Create, OperationState::InProgress, at(2));
        let polled = polled.after(Some(&began));
        assert_eq!((polled.created_at, polled.updated_at), (at(1), at(2)));
        let done = LastOperation::new(OperationType::Create, OperationState::Succeeded, at(3));
        let done = done.after(Some(&polled));
        assert_eq!(done.created_at, at(1));
        let next = LastOperation::new(OperationType::Update, OperationState::InProgress, at(4));
        assert_eq!(next.after(Some(&done)).created_at, at(4));
    }
}
