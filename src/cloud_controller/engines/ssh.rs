//! Who may enter the instances of an app by SSH: who holds a one-time code and may change the app,
//! where nobody switched SSH off. Sessions are audited, and lines in the app's log.

use std::net::SocketAddr;

use async_trait::async_trait;
use serde_json::json;

use crate::base::guid::ProcessGuid;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::actions;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{caller_of, check_scope};
use crate::db::WriteTx;
use crate::logs::{Line, LogStream};
use crate::ssh::{Authorizer, Observer, Place, Refusal, Visitor};

/// Source of the lines in the app's log.
const SOURCE: &str = "SSH";

/// Decides about SSH sessions, and tells of them.
#[derive(Clone)]
pub(crate) struct SshAccess(pub(crate) CloudController);

/// An instance, by the name of an SSH user.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    process: ProcessGuid,
    index: u32,
}

/// `cf:PROCESS/INDEX`.
fn parse(user: &str) -> Option<Named> {
    let (process, index) = user.strip_prefix("cf:")?.split_once('/')?;
    let is_guid = !process.is_empty() && process.len() <= 64 && { process.bytes() }
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    if !is_guid || !is_index {
        return None;
    }
    Some(Named {
        process: ProcessGuid::from(process),
        index: index.parse().ok()?,
    })
}

impl SshAccess {
    /// The holder of the code.
    async fn caller(&self, visitor: &Visitor) -> std::result::Result<Caller, Refusal> {
        let from = visitor.from.ip();
        let redeemed = self.0.uaa().redeem_ssh_code(&visitor.code, from).await;
        let claims = redeemed
            .map_err(|error| Refusal(format!("cannot check the one-time code: {error:?}")))?
            .ok_or_else(|| {
                let text = "the one-time code is wrong, has expired or was used before";
                Refusal(text.to_owned())
            })?;
        let lacking = || Refusal("the code's user may not write".to_owned());
        let caller = caller_of(&claims).map_err(|_| lacking())?;
        check_scope(false, &claims, &caller).map_err(|_| lacking())?;
        Ok(caller)
    }

    fn line(&self, app: &str, index: u32, stream: LogStream, text: &str) {
        self.0.logs().emit(Line {
            source_id: app,
            source_type: SOURCE,
            instance_id: &index.to_string(),
            stream,
            text,
        });
    }
}

/// The app and why its instance may not be entered; in either case with its audit event.
fn check(
    tx: &WriteTx<'_>,
    caller: &Caller,
    recorder: &Recorder,
    named: &Named,
    is_on: bool,
) -> Result<Option<(App, Option<String>)>> {
    let Some(process) = model::processes::find(tx, &named.process)? else {
        return Ok(None);
    };
    let Some(app) = model::apps::find(tx, &process.app_guid)? else {
        return Ok(None);
    };
    let Some(space) = model::spaces::find(tx, &app.space_guid)? else {
        return Ok(None);
    };
    let refusal = match caller.may_write_space(tx, &app.space_guid) {
        Ok(()) => actions::apps::ssh_refusal(is_on, &space, &app),
        Err(error) => Some(format!("{} may not change the app: {error}", caller.name)),
    };
    let kind = match refusal {
        None => "audit.app.ssh-authorized",
        Some(_) => "audit.app.ssh-unauthorized",
    };
    actions::apps::record(tx, recorder, kind, &app, &json!({ "index": named.index }))?;
    Ok(Some((app, refusal)))
}

#[async_trait]
impl Authorizer for SshAccess {
    async fn admit(&self, visitor: Visitor) -> std::result::Result<Place, Refusal> {
        // The code first: without a right one nobody learns anything.
        let caller = self.caller(&visitor).await?;
        let Some(named) = parse(&visitor.user) else {
            let text = "the user is not of the form cf:PROCESS_GUID/INDEX";
            return Err(Refusal(text.to_owned()));
        };
        let recorder = Recorder {
            actor: (&caller).into(),
            now: self.0.now(),
            guids: self.0.guids().clone(),
        };
        let (asked, is_on) = (named.clone(), self.0.settings().on_board.ssh.is_some());
        let checked = self
            .0
            .db()
            .write_without_wake(move |tx| check(tx, &caller, &recorder, &asked, is_on))
            .await
            .map_err(|error| Refusal(format!("cannot check who may enter: {error}")))?;
        let Some((app, refusal)) = checked else {
            return Err(Refusal(format!("there is no process {}", named.process)));
        };
        let container = self.0.scheduler().container(&named.process, named.index);
        let admitted = match (refusal, container) {
            (Some(refusal), _) => Err(refusal),
            (None, None) => Err(format!("instance {} does not run", named.index)),
            (None, Some(container)) => Ok(container),
        };
        match admitted {
            Ok(container_id) => Ok(Place {
                app_guid: app.guid,
                process_guid: named.process,
                index: named.index,
                container_id,
            }),
            Err(reason) => {
                let text = format!("Refused remote access by {}: {reason}", visitor.from);
                self.line(app.guid.as_str(), named.index, LogStream::Err, &text);
                Err(Refusal(reason))
            }
        }
    }
}

impl Observer for SshAccess {
    fn began(&self, place: &Place, from: SocketAddr) {
        let text = format!("Successful remote access by {from}");
        self.line(place.app_guid.as_str(), place.index, LogStream::Out, &text);
    }

    fn ended(&self, place: &Place, from: SocketAddr) {
        let text = format!("Remote access ended for {from}");
        self.line(place.app_guid.as_str(), place.index, LogStream::Out, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_names_a_process_and_an_index() {
        let named = parse("cf:6f9a-1/12").unwrap();
        assert_eq!(named.process, ProcessGuid::from("6f9a-1"));
        assert_eq!(named.index, 12);
        for bad in [
            "",
            "root",
            "cf:/0",
            "cf:a",
            "cf:a/",
            "cf:a/-1",
            "cf:a/+1",
            "cf:a/0/0",
            "cf:a/99999999999",
            "cf:a'b/0",
            "CF:a/0",
            "diego:a/0",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
