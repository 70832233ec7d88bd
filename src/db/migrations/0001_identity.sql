-- Settings and identities (UAA). Times are microseconds since 1970.
create table settings (
    name text primary key not null,
    value text not null
) strict;

-- RSA keys that sign tokens; the newest one signs, all of them verify. An older one goes when the
-- last token it can have signed has expired.
create table signing_keys (
    kid text primary key not null,
    -- Encrypted PKCS#8 PEM.
    private_key blob not null,
    created_at integer not null
) strict;

create table users (
    guid text primary key not null,
    user_name text not null collate nocase,
    origin text not null collate nocase default 'uaa',
    external_id text,
    given_name text,
    family_name text,
    email text not null collate nocase,
    active integer not null default 1,
    verified integer not null default 0,
    -- argon2id; null for users of another origin, who cannot log in with a password.
    password_hash text,
    password_changed_at integer not null,
    -- Grows when everything issued so far has to stop working: new password, deactivation.
    generation integer not null default 0,
    -- Wrong passwords in a row, and when the next try is looked at.
    failed_logins integer not null default 0,
    login_not_before integer not null default 0,
    last_logon_at integer,
    previous_logon_at integer,
    -- SCIM's meta.version.
    version integer not null default 0,
    created_at integer not null,
    updated_at integer not null,
    unique (user_name, origin)
) strict;
create index users_by_creation on users (created_at, guid);
create index users_by_update on users (updated_at, guid);
create index users_by_email on users (email);
create index users_by_external_id on users (external_id);

-- Groups are scopes: a member's tokens may carry the group's name.
create table user_groups (
    guid text primary key not null,
    name text not null unique,
    description text,
    -- SCIM's meta.version.
    version integer not null default 0,
    created_at integer not null,
    updated_at integer not null
) strict;
create index user_groups_by_creation on user_groups (created_at, guid);

create table user_group_members (
    group_name text not null references user_groups (name) on delete cascade on update cascade,
    user_guid text not null references users (guid) on delete cascade,
    created_at integer not null,
    primary key (user_guid, group_name)
) strict, without rowid;
create index user_group_members_by_group on user_group_members (group_name);

create table oauth_clients (
    client_id text primary key not null,
    name text not null,
    -- Encrypted; null for a public client, whose secret is empty.
    secret blob,
    -- Encrypted; counts, too, while clients move from one secret to the next.
    second_secret blob,
    -- Lists, separated by blanks.
    grant_types text not null,
    scopes text not null,
    authorities text not null,
    redirect_uris text not null,
    resource_ids text not null default 'none',
    -- Scopes that users need not agree to: a list, or * for all.
    auto_approve text not null default '',
    -- Seconds that tokens live; null for the platform's default.
    access_validity integer,
    refresh_validity integer,
    -- Belongs to the platform, which rewrites it at every start.
    built_in integer not null default 0,
    -- Grows when everything issued through the client so far has to stop working.
    generation integer not null default 0,
    created_at integer not null,
    updated_at integer not null
) strict;
create index oauth_clients_by_creation on oauth_clients (created_at, client_id);

create table refresh_tokens (
    token_id text primary key not null,
    -- SHA-256 of the token: a copied database gives no token away.
    token_hash text not null unique,
    user_guid text not null references users (guid) on delete cascade,
    client_id text not null references oauth_clients (client_id) on delete cascade,
    scopes text not null,
    grant_type text not null,
    generation integer not null,
    authenticated_at integer not null,
    issued_at integer not null,
    expires_at integer not null
) strict;
create index refresh_tokens_by_user on refresh_tokens (user_guid);
create index refresh_tokens_by_expiry on refresh_tokens (expires_at);

create index refresh_tokens_by_client on refresh_tokens (client_id);

-- Access tokens that were issued, to list them and to end them early; verifying one needs no row.
create table access_tokens (
    token_id text primary key not null,
    -- Null when a client speaks for itself.
    user_guid text references users (guid) on delete cascade,
    client_id text not null references oauth_clients (client_id) on delete cascade,
    scopes text not null,
    grant_type text not null,
    issued_at integer not null,
    expires_at integer not null
) strict;
create index access_tokens_by_user on access_tokens (user_guid, client_id);
create index access_tokens_by_client on access_tokens (client_id);
create index access_tokens_by_expiry on access_tokens (expires_at);

create table authorization_codes (
    code_hash text primary key not null,
    user_guid text not null references users (guid) on delete cascade,
    client_id text not null references oauth_clients (client_id) on delete cascade,
    scopes text not null,
    -- As the client asked; null when it did not name one.
    redirect_uri text,
    -- PKCE, S256.
    code_challenge text,
    -- OpenID Connect's; goes into the identity token.
    nonce text,
    generation integer not null,
    authenticated_at integer not null,
    expires_at integer not null
) strict;
create index authorization_codes_by_user on authorization_codes (user_guid);
create index authorization_codes_by_expiry on authorization_codes (expires_at);

-- One-time codes that people carry from the browser to the CLI.
create table passcodes (
    code_hash text primary key not null,
    user_guid text not null references users (guid) on delete cascade,
    generation integer not null,
    authenticated_at integer not null,
    expires_at integer not null
) strict;
create index passcodes_by_user on passcodes (user_guid);
create index passcodes_by_expiry on passcodes (expires_at);

-- Signed-in browsers.
create table login_sessions (
    -- SHA-256 of the cookie.
    session_hash text primary key not null,
    user_guid text not null references users (guid) on delete cascade,
    generation integer not null,
    authenticated_at integer not null,
    expires_at integer not null
) strict;
create index login_sessions_by_user on login_sessions (user_guid);
create index login_sessions_by_expiry on login_sessions (expires_at);

-- What users agreed to let a client do.
create table approvals (
    user_guid text not null references users (guid) on delete cascade,
    client_id text not null references oauth_clients (client_id) on delete cascade,
    scopes text not null,
    expires_at integer not null,
    primary key (user_guid, client_id)
) strict, without rowid;
create index approvals_by_client on approvals (client_id);
create index approvals_by_expiry on approvals (expires_at);

-- What signed tokens cannot know: kept until the last token concerned has expired.
create table token_revocations (
    kind text not null check (kind in ('token', 'user')),
    -- A token's jti or a user's guid.
    subject text not null,
    -- The user's only valid generation; null when the user is gone, and for tokens.
    generation integer,
    expires_at integer not null,
    primary key (kind, subject)
) strict, without rowid;
create index token_revocations_by_expiry on token_revocations (expires_at);
