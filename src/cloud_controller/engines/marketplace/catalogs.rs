//! Taking over the catalogs of new and changed brokers.

use serde_json::json;

use super::brokers;
use super::turn::Turn;
use crate::base::Secret;
use crate::base::guid::ServiceBrokerGuid;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::service_brokers::{BrokerState, ServiceBroker};
use crate::cloud_controller::model::service_operations::{Operation, Work};
use crate::cloud_controller::{flows, model};
use crate::db::DbError;
use crate::marketplace::{Fault, FaultKind, Outcome, Request, Step, catalog, schedule};

pub(super) fn begin(turn: &Turn<'_>, mut operation: Operation) -> Result<Option<Step>> {
    let guid = ServiceBrokerGuid::from(operation.resource.as_str());
    let found = brokers::find(turn.tx, turn.vault, guid.as_str())?;
    let Some(mut broker) = found else {
        let text = "The service broker was removed before the synchronization completed";
        let gone = Error::new(Kind::ServiceBrokerGone, text);
        return turn.end(&operation, Err(gone)).map(|()| None);
    };
    let secret = model::service_operations::secret(turn.tx, turn.vault, operation.id)?;
    if let Some(change) = &operation.input.broker {
        if change.url.is_none() && secret.credentials.is_none() {
            // A new name alone is nothing to ask the broker about.
            return change_and_end(turn, &operation, None).map(|()| None);
        }
        if let Some(url) = &change.url {
            broker.url.clone_from(url);
            broker.version = None;
            broker.has_own_domain = brokers::has_own_domain(turn.tx, url)?;
        }
    }
    if let Some(credentials) = secret.credentials {
        broker.username = credentials.username;
        broker.password = Secret::new(credentials.password);
    }
    turn.send(&mut operation, schedule::longest(None))?;
    Ok(Some(Step {
        broker,
        request: Request::Catalog,
        user: Some(operation.actor.guid.clone()),
    }))
}

pub(super) fn done(turn: &Turn<'_>, operation: Operation, outcome: Outcome) -> Result<()> {
    let answer = match outcome {
        Outcome::Done(answer) => answer,
        Outcome::Failed(fault) => return failed(turn, &operation, &fault),
        Outcome::Accepted(_) | Outcome::InProgress { .. } | Outcome::OperationFailed { .. } => {
            return Err(Error::internal("a catalog that is being made"));
        }
    };
    match catalog::read(&answer.body) {
        Ok(services) => change_and_end(turn, &operation, Some(&services)),
        Err(faults) => refuse(turn, &operation, invalid(&faults)),
    }
}

fn invalid(faults: &catalog::Faults) -> Error {
    Error::new(
        Kind::ServiceBrokerCatalogInvalid,
        format!("Service broker catalog is invalid: {faults}"),
    )
}

/// Stores what is to change of a broker together with its catalog, or nothing of both.
fn change_and_end(
    turn: &Turn<'_>,
    operation: &Operation,
    services: Option<&[catalog::Service]>,
) -> Result<()> {
    let guid = ServiceBrokerGuid::from(operation.resource.as_str());
    let Some(broker) = model::service_brokers::find(turn.tx, &guid)? else {
        let gone = "The service broker was removed before the synchronization completed";
        return turn.end(operation, Err(Error::new(Kind::ServiceBrokerGone, gone)));
    };
    if let Some(services) = services {
        let faults = flows::catalog::conflicts(turn.tx, &broker, services)?;
        if !faults.is_empty() {
            return refuse(turn, operation, invalid(&faults));
        }
    }
    // A refusal rolls back what was stored before it, and leaves the operation to tell of it.
    let mut refusal = None;
    let stored = turn.tx.attempt(|| {
        change(turn, operation, broker, services).map_err(|error| {
            let text = error.to_string();
            refusal = Some(error);
            DbError::Interrupted(text)
        })
    });
    match (stored.map_err(Error::internal)?, refusal) {
        (Ok(warnings), _) => {
            if let Some(job) = operation.job.as_ref().filter(|_| !warnings.is_empty()) {
                let warnings = flows::catalog::as_job_has_them(&warnings);
                model::jobs::warn(turn.tx, job, &warnings)?;
            }
            turn.end(operation, Ok(()))
        }
        (Err(_), Some(refusal)) if refusal.kind() == Kind::UnprocessableEntity => {
            refuse(turn, operation, refusal)
        }
        (Err(error), _) => Err(Error::internal(error)),
    }
}

fn change(
    turn: &Turn<'_>,
    operation: &Operation,
    mut broker: ServiceBroker,
    services: Option<&[catalog::Service]>,
) -> Result<Vec<String>> {
    let secret = model::service_operations::secret(turn.tx, turn.vault, operation.id)?;
    if let Some(change) = &operation.input.broker {
        if let Some(name) = &change.name {
            broker.name.clone_from(name);
        }
        if let Some(url) = &change.url {
            broker.url.clone_from(url);
        }
        let resource = ResourceType::ServiceBroker;
        change
            .metadata
            .store(turn.tx, resource, broker.guid.as_str())?;
    }
    broker.state = match (&operation.input.broker, services) {
        (Some(change), None) => change.previous,
        _ => BrokerState::Available,
    };
    broker.updated_at = turn.now();
    model::service_brokers::update(turn.tx, &broker)?;
    if let Some(credentials) = &secret.credentials {
        model::service_brokers::set_credentials(turn.tx, turn.vault, &broker.guid, credentials)?;
    }
    match services {
        None => Ok(Vec::new()),
        Some(services) => {
            flows::catalog::synchronize(turn.tx, turn.vault, &turn.by, &broker, services)
        }
    }
}

/// The catalog is not taken over: a new broker stays without one, a changed one as it was.
fn unchanged(turn: &Turn<'_>, operation: &Operation) -> Result<()> {
    let guid = ServiceBrokerGuid::from(operation.resource.as_str());
    let Some(mut broker) = model::service_brokers::find(turn.tx, &guid)? else {
        return Ok(());
    };
    broker.state = match &operation.input.broker {
        Some(change) if operation.work == Work::UpdateBroker => change.previous,
        _ => BrokerState::SynchronizationFailed,
    };
    model::service_brokers::update(turn.tx, &broker)
}

fn refuse(turn: &Turn<'_>, operation: &Operation, error: Error) -> Result<()> {
    unchanged(turn, operation)?;
    turn.end(operation, Err(error))
}

fn failed(turn: &Turn<'_>, operation: &Operation, fault: &Fault) -> Result<()> {
    let title = match fault.kind {
        FaultKind::Malformed => {
            return refuse(
                turn,
                operation,
                Error::new(
                    Kind::ServiceBrokerRequestMalformed,
                    "The service broker returned an invalid response: expected valid JSON object in body. Please \
                     check that the URL points to a valid service broker.",
                ),
            );
        }
        FaultKind::Rejected => {
            let status = fault.status.unwrap_or((400, "Bad Request"));
            return refuse(
                turn,
                operation,
                Error::new(
                    Kind::ServiceBrokerRequestRejected,
                    format!(
                        "The service broker rejected the request. Status Code: {} {}. Please check that the URL \
                         points to a valid service broker.",
                        status.0, status.1
                    ),
                ),
            );
        }
        FaultKind::Authentication => "CF-ServiceBrokerApiAuthenticationFailed",
        FaultKind::Unreachable => "CF-ServiceBrokerApiUnreachable",
        FaultKind::TimedOut => "CF-HttpClientTimeout",
        _ => "CF-ServiceBrokerBadResponse",
    };
    unchanged(turn, operation)?;
    let errors = json!([{ "code": 10001, "title": title, "detail": fault.text }]);
    turn.end_with(operation, errors)
}
