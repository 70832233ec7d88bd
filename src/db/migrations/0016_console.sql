-- Sessions of browsers with the web console.
create table console_sessions (
    -- SHA-256 of the secret in the browser's cookie, in hex.
    session_hash text primary key not null,
    -- Where it began, such as `http://console.cf.localhost:8080`; it is valid nowhere else.
    origin text not null,
    -- The user's tokens as JSON, encrypted.
    tokens blob not null,
    expires_at integer not null
) strict;
create index console_sessions_by_end on console_sessions (expires_at);
