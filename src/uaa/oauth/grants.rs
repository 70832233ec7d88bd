//! The grant types. The client is authenticated and allowed to use the grant type already.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::issue::{self, Refresh, Stamp, TokenResponse, UserGrant};
use super::persist::{Basis, persist};
use crate::base::guid::UserGuid;
use crate::base::{Secret, Timestamp};
use crate::uaa::caller::Parameters;
use crate::uaa::clients::{Client, GrantType};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::Scopes;
use crate::uaa::throttle::{Source, Subject};
use crate::uaa::tokens::{self, Code};
use crate::uaa::users::{self, Identity, ORIGIN_UAA, User};
use crate::uaa::{Uaa, groups, logins, sessions};

/// A request for a token.
pub(crate) struct Asked<'a> {
    /// The authenticated client.
    pub(crate) client: Client,
    pub(crate) form: &'a Parameters,
    pub(crate) source: Source,
    pub(crate) stamp: Stamp,
}

/// `grant_type=password`.
pub(crate) async fn password(
    uaa: &Uaa,
    asked: Asked<'_>,
    login_hint: Option<&str>,
) -> UaaResult<TokenResponse> {
    let origin = hinted_origin(login_hint)?;
    if let Some(code) = asked.form.get("passcode") {
        let code = Secret::new(code.trim().to_owned());
        return passcode(uaa, asked, code).await;
    }
    let Asked {
        client,
        form,
        source,
        stamp,
    } = asked;
    let password = Secret::new(form.require("password")?.to_owned());
    let identity = Identity {
        user_name: form.require("username")?,
        origin: &origin,
    };
    let proven = logins::authenticate(uaa, source, identity, password).await?;
    let user = proven.ok_or_else(UaaError::bad_credentials)?;
    // The password check may have waited.
    let stamp = Stamp {
        now: uaa.now(),
        ..stamp
    };
    let scopes = granted(uaa, &client, &user.guid, form.get("scope")).await?;
    let grant = UserGrant {
        user: user.clone(),
        scopes,
        grant_type: GrantType::Password.as_str().to_owned(),
        authenticated_at: stamp.now,
        nonce: None,
        client,
    };
    let (now, refresh) = (stamp.now, refresh_for(&grant.client));
    let issued = issue::for_user(uaa, grant, stamp, refresh).await?;
    persist(uaa, issued, Basis::LogIn(user), now).await
}

/// The same with a one-time code from the browser (`cf login --sso`).
async fn passcode(uaa: &Uaa, asked: Asked<'_>, code: Secret<String>) -> UaaResult<TokenResponse> {
    let Asked {
        client,
        form,
        source,
        stamp,
    } = asked;
    let attempt = logins::attempt(uaa, source, Subject::new("passcode", "")).await?;
    let taken = sessions::take_passcode(uaa, &code, stamp.now).await?;
    let taken = logins::answer(attempt, taken).await;
    let (user, since) = taken.ok_or_else(|| UaaError::unauthorized("Invalid passcode"))?;
    let scopes = granted(uaa, &client, &user.guid, form.get("scope")).await?;
    let grant = UserGrant {
        user: user.clone(),
        scopes,
        grant_type: GrantType::Password.as_str().to_owned(),
        authenticated_at: since,
        nonce: None,
        client,
    };
    let (now, refresh) = (stamp.now, refresh_for(&grant.client));
    let issued = issue::for_user(uaa, grant, stamp, refresh).await?;
    persist(uaa, issued, Basis::Code(user), now).await
}

/// `grant_type=refresh_token`. Returns the same refresh token: parallel commands of the CLI share
/// it.
pub(crate) async fn refresh_token(uaa: &Uaa, asked: Asked<'_>) -> UaaResult<TokenResponse> {
    let Asked {
        client,
        form,
        stamp,
        ..
    } = asked;
    let token = form.require("refresh_token")?.to_owned();
    let hash = crate::base::secrets::hash(&token);
    let found = uaa.db().read(move |tx| {
        let Some(row) = tokens::find_refresh(tx, &hash)? else {
            return Ok::<_, UaaError>(None);
        };
        let user = users::find_user(tx, &row.user)?;
        let groups = groups::groups_of(tx, &row.user)?;
        Ok(user.map(|user| (row, user, groups)))
    });
    let Some((row, user, groups)) = found.await? else {
        return Err(UaaError::invalid_token(
            "The refresh token is unknown or was revoked",
        ));
    };
    if row.client_id != client.client_id {
        return Err(UaaError::invalid_grant(
            "Wrong client for this refresh token",
        ));
    }
    if row.expires_at <= stamp.now {
        let text = format!("The refresh token expired at {}", row.expires_at);
        return Err(UaaError::invalid_token(text));
    }
    if !user.active || user.generation != row.generation {
        return Err(UaaError::invalid_token("The refresh token was revoked"));
    }
    let allowed = row
        .scopes
        .intersection(&client.scopes)
        .intersection(&groups);
    let scopes = match form.get("scope").map(Scopes::parse) {
        None => allowed,
        Some(asked) if asked.without(&row.scopes).is_empty() => asked.intersection(&allowed),
        Some(asked) => {
            let text =
                format!("Unable to narrow the scope of the client authentication to {asked}.");
            return Err(UaaError::invalid_scope(text));
        }
    };
    let grant = UserGrant {
        user: user.clone(),
        client,
        scopes: require_scopes(scopes)?,
        grant_type: row.grant_type,
        authenticated_at: row.authenticated_at,
        nonce: None,
    };
    let now = stamp.now;
    let issued = issue::for_user(uaa, grant, stamp, Refresh::Same(token)).await?;
    persist(uaa, issued, Basis::Refresh(user, row.id), now).await
}

/// `grant_type=client_credentials`.
pub(crate) async fn client_credentials(uaa: &Uaa, asked: Asked<'_>) -> UaaResult<TokenResponse> {
    let Asked {
        client,
        form,
        stamp,
        ..
    } = asked;
    let scopes = match form.get("scope").map(Scopes::parse) {
        None => client.authorities.clone(),
        Some(asked) => {
            refuse_excess_scopes(&asked, &client.authorities)?;
            asked
        }
    };
    let now = stamp.now;
    let issued = issue::for_client(uaa, client, require_scopes(scopes)?, stamp).await?;
    persist(uaa, issued, Basis::Client, now).await
}

/// `grant_type=authorization_code`.
pub(crate) async fn authorization_code(uaa: &Uaa, asked: Asked<'_>) -> UaaResult<TokenResponse> {
    let Asked {
        client,
        form,
        source,
        stamp,
    } = asked;
    let code = Secret::new(form.require("code")?.to_owned());
    let attempt = logins::attempt(uaa, source, Subject::new("code", &client.client_id)).await?;
    let taken = take_code(uaa, &client, &code, stamp.now).await?;
    let taken = taken.filter(|(code, _)| {
        let redirect_uri = code.redirect_uri.as_deref();
        redirect_uri.is_none_or(|asked| form.get("redirect_uri") == Some(asked))
            && proves(form.get("code_verifier"), code.challenge.as_deref())
    });
    let taken = logins::answer(attempt, taken).await;
    let (code, user) = taken.ok_or_else(wrong_code)?;
    let grant = UserGrant {
        user: user.clone(),
        scopes: require_scopes(code.scopes.intersection(&client.scopes))?,
        grant_type: GrantType::AuthorizationCode.as_str().to_owned(),
        authenticated_at: code.authenticated_at,
        nonce: code.nonce,
        client,
    };
    let (now, refresh) = (stamp.now, refresh_for(&grant.client));
    let issued = issue::for_user(uaa, grant, stamp, refresh).await?;
    persist(uaa, issued, Basis::Code(user), now).await
}

/// The code and its user, when the code is valid. A code is valid once.
pub(crate) async fn take_code(
    uaa: &Uaa,
    client: &Client,
    code: &Secret<String>,
    now: Timestamp,
) -> UaaResult<Option<(Code, User)>> {
    let hash = crate::base::secrets::hash(code.expose());
    let taken = uaa.db().write_without_wake(move |tx| {
        let Some(code) = tokens::take_code(tx, &hash)? else {
            return Ok::<_, UaaError>(None);
        };
        let user = users::find_user(tx, &code.user)?;
        Ok(user.map(|user| (code, user)))
    });
    Ok(taken.await?.filter(|(code, user)| {
        code.client_id == client.client_id
            && code.expires_at > now
            && user.active
            && user.generation == code.generation
    }))
}

fn wrong_code() -> UaaError {
    UaaError::invalid_grant("Invalid authorization code")
}

/// PKCE: a code requested with a challenge needs the verifier of that challenge.
fn proves(verifier: Option<&str>, challenge: Option<&str>) -> bool {
    match (verifier, challenge) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(verifier), Some(challenge)) => {
            URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == challenge
        }
    }
}

fn refresh_for(client: &Client) -> Refresh {
    if client.allows(GrantType::RefreshToken) {
        Refresh::New
    } else {
        Refresh::None
    }
}

/// What a user's token through this client may carry.
pub(crate) async fn granted(
    uaa: &Uaa,
    client: &Client,
    user: &UserGuid,
    asked: Option<&str>,
) -> UaaResult<Scopes> {
    let user = user.clone();
    let groups = uaa
        .db()
        .read(move |tx| groups::groups_of(tx, &user))
        .await?;
    let scopes = match asked.map(Scopes::parse) {
        None => client.scopes.intersection(&groups),
        Some(asked) => {
            refuse_excess_scopes(&asked, &client.scopes)?;
            asked.intersection(&groups)
        }
    };
    require_scopes(scopes)
}

fn refuse_excess_scopes(asked: &Scopes, allowed: &Scopes) -> UaaResult<()> {
    let strange = asked.without(allowed);
    if strange.is_empty() {
        return Ok(());
    }
    let text = format!("Invalid scope: {strange}. This client may have: {allowed}");
    Err(UaaError::invalid_scope(text))
}

fn require_scopes(scopes: Scopes) -> UaaResult<Scopes> {
    if scopes.is_empty() {
        return Err(UaaError::invalid_scope(
            "None of the requested scopes is allowed.",
        ));
    }
    Ok(scopes)
}

/// The origin that a client names in `login_hint`: `{"origin":"uaa"}`. Only users stored here have
/// a password to check.
fn hinted_origin(login_hint: Option<&str>) -> UaaResult<String> {
    #[derive(serde::Deserialize)]
    struct Hint {
        origin: String,
    }
    let Some(text) = login_hint else {
        return Ok(ORIGIN_UAA.to_owned());
    };
    let hint: Hint = serde_json::from_str(text)
        .map_err(|_| UaaError::invalid_request("login_hint must be {\"origin\":\"…\"}"))?;
    if hint.origin.eq_ignore_ascii_case(ORIGIN_UAA) {
        return Ok(ORIGIN_UAA.to_owned());
    }
    Err(UaaError::invalid_request(
        "The origin provided in the login_hint does not match any active Identity Provider, \
         that supports password grant.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifier_of_the_challenge_proves_it() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves(Some(verifier), Some(challenge)));
        assert!(!proves(Some("other"), Some(challenge)));
        assert!(!proves(None, Some(challenge)));
        assert!(proves(None, None));
    }

    #[test]
    fn a_login_hint_names_an_origin_or_is_refused() {
        assert_eq!(hinted_origin(None).unwrap(), "uaa");
        assert_eq!(hinted_origin(Some("{\"origin\":\"UAA\"}")).unwrap(), "uaa");
        for hint in ["uaa", "{}", "{\"origin\":1}", "{\"origin\":\"ldap\"}"] {
            assert!(hinted_origin(Some(hint)).is_err(), "{hint}");
        }
    }
}
