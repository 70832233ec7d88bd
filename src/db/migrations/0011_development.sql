-- Apps whose files `cflite dev` changes while they run. A session ends when nobody asks to keep it.
create table development_sessions (
    app_guid text primary key not null references apps (guid) on delete cascade,
    started_at integer not null,
    seen_at integer not null
) strict;
