-- Settings and identities (UAA). Times are microseconds since 1970.
create table settings (
    name text primary key not null,
    value text not null
) strict;
